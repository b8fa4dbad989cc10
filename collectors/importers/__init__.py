"""Logs that other tools wrote, as plain rows."""
