"""Where runs live: compressed chunks with summary levels, in SQLite or PostgreSQL."""
