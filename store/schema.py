"""The tables as they are at SCHEMA_VERSION; `store/migrations/versions` has the steps by which a store came to that shape.

Numbers that may be NaN or Inf are kept as the bits of their float64 in integer columns (`*_bits`) or in blobs: SQLite turns NaN to NULL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from runvitals.store.clean_text import CleanText

SCHEMA_VERSION = 4
"""The newest version that `store/migrations/versions` leads to; a store keeps its own in `runvitals_meta`."""

metadata = MetaData()

meta = Table(
    "runvitals_meta", metadata, Column("key", CleanText, primary_key=True), Column("value", CleanText, nullable=False)
)

runs = Table(
    "runs",
    metadata,
    Column("id", CleanText, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("project", CleanText, nullable=False),
    Column("name", CleanText, nullable=False),
    Column("trainer", CleanText, nullable=False),
    Column("status", CleanText, nullable=False),
    Column("phase", CleanText, nullable=False),
    Column("health", CleanText, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("ended_s", Double),
    Column("beat_s", Double),
    Column("last_step", BigInteger),
    Column("last_step_s", Double),
    Column("max_steps", BigInteger),
    Column("color", Integer, nullable=False),
    Column("config", CleanText, nullable=False),
    Column("info", CleanText, nullable=False),
    Column("rules", CleanText, nullable=False),
    Column("finding", CleanText, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("tags", CleanText, nullable=False, server_default="[]"),
    Column("group", CleanText, nullable=False, server_default=""),
    Column("description", CleanText, nullable=False, server_default=""),
    Column("archived_s", Double),
    Column("delete_after_s", Double),
)

writers = Table(
    "writers",
    metadata,
    Column("run_id", CleanText, primary_key=True),
    Column("writer_id", CleanText, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("position", CleanText, nullable=False),
    Column("info", CleanText, nullable=False),
    Column("beat_s", Double),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", CleanText, nullable=False),
    Column("key", CleanText, nullable=False),
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
    Column("last_writer", CleanText, nullable=False, server_default=""),
    Column("rewinds", LargeBinary),
    Column("last_step", BigInteger, nullable=False, server_default="-1"),
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
    Column("run_id", CleanText, nullable=False, index=True),
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
    # Says which parts still refer to a clock; chunks keep theirs as long as the run lives.
    Index("parts_by_clock", "clock_id", sqlite_where=text("level = -1"), postgresql_where=text("level = -1")),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", CleanText, nullable=False),
    Column("writer_id", CleanText, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time_s", Double, nullable=False),
    Column("step", BigInteger),
    Column("kind", CleanText, nullable=False),
    Column("data", CleanText, nullable=False),
    Index("events_by_run", "run_id", "id"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", CleanText, primary_key=True),
    Column("run_id", CleanText, nullable=False, index=True),
    Column("rule", CleanText, nullable=False),
    Column("signal", CleanText, nullable=False),
    Column("severity", CleanText, nullable=False),
    Column("state", CleanText, nullable=False, index=True),
    Column("incident", CleanText, nullable=False),
    Column("onset_step", BigInteger),
    Column("onset_s", Double, nullable=False),
    Column("fired_step", BigInteger),
    Column("fired_s", Double),
    Column("resolved_step", BigInteger),
    Column("resolved_s", Double),
    Column("detail", CleanText, nullable=False),
    Column("acknowledged_s", Double),
    Column("acknowledged_note", CleanText, nullable=False, default=""),
    Column("feedback", CleanText, nullable=False, default=""),
    Column("ticked", CleanText, nullable=False, default="[]"),
    Column("history", CleanText, nullable=False, default="[]"),
    Column("acknowledged_by", CleanText, nullable=False, server_default=""),
)

# A mute of an alert names its run too, so that it goes wherever the run goes.
mutes = Table(
    "mutes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", CleanText),
    Column("run_id", CleanText, index=True),
    Column("rule", CleanText),
    Column("project", CleanText),
    Column("since_s", Double, nullable=False),
    Column("until_s", Double, nullable=False),
    Column("who", CleanText, nullable=False),
    Column("note", CleanText, nullable=False),
    Column("ended_s", Double),
    Column("ended_by", CleanText, nullable=False),
)

notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", CleanText, nullable=False, index=True),
    Column("time_s", Double, nullable=False),
    Column("step", BigInteger),
    Column("text", CleanText, nullable=False),
)

views = Table(
    "views",
    metadata,
    Column("page", CleanText, primary_key=True),
    Column("name", CleanText, primary_key=True),
    Column("query", CleanText, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("changed_s", Double, nullable=False),
)

watchers = Table(
    "watchers",
    metadata,
    Column("id", CleanText, primary_key=True),
    Column("host", CleanText, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_s", Double, nullable=False),
    Column("pass_s", Double, nullable=False),
    Column("behind_bytes", BigInteger, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("message", CleanText, nullable=False),
    Column("receivers", CleanText, nullable=False, server_default="[]"),
)

leases = Table(
    "leases",
    metadata,
    Column("run_id", CleanText, primary_key=True),
    Column("owner", CleanText, nullable=False),
    Column("until_s", Double, nullable=False),
)

# receiver: a digest, because the address of a receiver is a credential.
notifications = Table(
    "notifications",
    metadata,
    Column("alert_id", CleanText, primary_key=True),
    Column("transition", CleanText, primary_key=True),
    Column("receiver", CleanText, primary_key=True),
    Column("sent_s", Double),
)
