"""Where runs live: compressed chunks with summary levels, in SQLite or PostgreSQL."""

from runvitals.store.open import open_store
from runvitals.store.store import Store

__all__ = ["Store", "open_store"]
