"""Runs what a store's schema lacks. Importing this module imports Alembic (0.3 s), so only a store that lacks something gets here."""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

VERSION_TABLE = "runvitals_alembic"
"""Alembic's own table in a store; named so that it never meets the `alembic_version` of another program."""

_one_at_a_time = threading.Lock()
"""Alembic keeps its connection in module globals, so two threads that open two stores must take turns."""


def upgrade(connection: Connection, *, found: int) -> None:
    """Brings the tables from version `found` (0: none are there) to the newest, in the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", "runvitals.store:migrations")
    config.attributes["connection"] = connection
    with _one_at_a_time:
        if found == 1 and not _is_known(connection):
            command.stamp(config, "0001")  # made before Alembic kept the versions
        command.upgrade(config, "head")


def _is_known(connection: Connection) -> bool:
    """True where Alembic's table is there."""
    return connection.dialect.has_table(connection, VERSION_TABLE)
