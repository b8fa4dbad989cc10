"""The tables, and the steps by which a store came to its present shape.

Numbers that may be NaN or Inf are kept as the bits of their float64 in integer columns (`*_bits`) or in blobs: SQLite turns NaN to NULL.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

meta = Table("runvitals_meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("trainer", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("health", Text, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("ended_s", Double),
    Column("beat_s", Double),
    Column("last_step", BigInteger),
    Column("last_step_s", Double),
    Column("max_steps", BigInteger),
    Column("color", Integer, nullable=False),
    Column("config", Text, nullable=False),
    Column("info", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("finding", Text, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

writers = Table(
    "writers",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("writer_id", Text, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("position", Text, nullable=False),
    Column("info", Text, nullable=False),
    Column("beat_s", Double),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("time_s", Double, nullable=False),
    Column("value_bits", BigInteger, nullable=False),
    Column("best_min", Double),
    Column("best_max", Double),
    Column("count", BigInteger, nullable=False),
    Column("nonfinite", BigInteger, nullable=False),
    Column("min_step", BigInteger, nullable=False),
    Column("max_step", BigInteger, nullable=False),
    Column("min_time_s", Double, nullable=False),
    Column("max_time_s", Double, nullable=False),
    UniqueConstraint("run_id", "key"),
    Index("series_by_key", "key", "run_id"),
)

tails = Table(
    "tails",
    metadata,
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

clocks = Table(
    "clocks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("data", LargeBinary, nullable=False),
)

# level -1: parts of the chunk that is not full yet; level 0: full chunks of points; level 1 and up: summary buckets.
# first, size: index of the block's first point (bucket) in order of arrival, and how many it holds.
blocks = Table(
    "blocks",
    metadata,
    Column("series_id", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("min_step", BigInteger, nullable=False),
    Column("max_step", BigInteger, nullable=False),
    Column("min_time_s", Double, nullable=False),
    Column("max_time_s", Double, nullable=False),
    Column("clock_id", Integer),
    Column("clock", LargeBinary),
    Column("data", LargeBinary, nullable=False),
    # The range columns stand in the index so that a zoom skips blocks without touching their pages.
    Index("blocks_by_place", "series_id", "level", "first", "size", "min_step", "max_step", "min_time_s", "max_time_s"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("writer_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time_s", Double, nullable=False),
    Column("step", BigInteger),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("events_by_run", "run_id", "id"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("rule", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("incident", Text, nullable=False),
    Column("onset_step", BigInteger),
    Column("onset_s", Double, nullable=False),
    Column("fired_step", BigInteger),
    Column("fired_s", Double),
    Column("resolved_step", BigInteger),
    Column("resolved_s", Double),
    Column("detail", Text, nullable=False),
    Column("acknowledged_s", Double),
    Column("acknowledged_note", Text, nullable=False, default=""),
    Column("muted_until_s", Double),
    Column("feedback", Text, nullable=False, default=""),
    Column("ticked", Text, nullable=False, default="[]"),
    Column("history", Text, nullable=False, default="[]"),
)

notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False, index=True),
    Column("time_s", Double, nullable=False),
    Column("step", BigInteger),
    Column("text", Text, nullable=False),
)

watchers = Table(
    "watchers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_s", Double, nullable=False),
    Column("pass_s", Double, nullable=False),
    Column("behind_bytes", BigInteger, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("message", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until_s", Double, nullable=False),
)

# receiver: a digest, because the address of a receiver is a credential.
notifications = Table(
    "notifications",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("transition", Text, primary_key=True),
    Column("receiver", Text, primary_key=True),
)


def m0001_first_tables(connection: Connection) -> None:
    """All tables of the first version."""
    metadata.create_all(connection)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (m0001_first_tables,)
"""In order, never changed once released; the schema version of a store is how many of them it has seen."""
