"""All tables of the first version.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, UniqueConstraint

from runvitals.store.clean_text import CleanText

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables and their indexes."""
    op.create_table(
        "runvitals_meta", Column("key", CleanText, primary_key=True), Column("value", CleanText, nullable=False)
    )
    op.create_table(
        "runs",
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
    )
    op.create_table(
        "writers",
        Column("run_id", CleanText, primary_key=True),
        Column("writer_id", CleanText, primary_key=True),
        Column("last_seq", BigInteger, nullable=False),
        Column("position", CleanText, nullable=False),
        Column("info", CleanText, nullable=False),
        Column("beat_s", Double),
    )
    op.create_table(
        "series",
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
        UniqueConstraint("run_id", "key"),
    )
    op.create_table(
        "tails",
        Column("series_id", Integer, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),
    )
    op.create_table(
        "clocks",
        Column("id", Integer, primary_key=True),
        Column("run_id", CleanText, nullable=False),
        Column("data", LargeBinary, nullable=False),
    )
    op.create_table(
        "blocks",
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
    )
    op.create_table(
        "events",
        Column("id", Integer, primary_key=True),
        Column("run_id", CleanText, nullable=False),
        Column("writer_id", CleanText, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("time_s", Double, nullable=False),
        Column("step", BigInteger),
        Column("kind", CleanText, nullable=False),
        Column("data", CleanText, nullable=False),
    )
    op.create_table(
        "alerts",
        Column("id", CleanText, primary_key=True),
        Column("run_id", CleanText, nullable=False),
        Column("rule", CleanText, nullable=False),
        Column("signal", CleanText, nullable=False),
        Column("severity", CleanText, nullable=False),
        Column("state", CleanText, nullable=False),
        Column("incident", CleanText, nullable=False),
        Column("onset_step", BigInteger),
        Column("onset_s", Double, nullable=False),
        Column("fired_step", BigInteger),
        Column("fired_s", Double),
        Column("resolved_step", BigInteger),
        Column("resolved_s", Double),
        Column("detail", CleanText, nullable=False),
        Column("acknowledged_s", Double),
        Column("acknowledged_note", CleanText, nullable=False),
        Column("muted_until_s", Double),
        Column("feedback", CleanText, nullable=False),
        Column("ticked", CleanText, nullable=False),
        Column("history", CleanText, nullable=False),
    )
    op.create_table(
        "notes",
        Column("id", Integer, primary_key=True),
        Column("run_id", CleanText, nullable=False),
        Column("time_s", Double, nullable=False),
        Column("step", BigInteger),
        Column("text", CleanText, nullable=False),
    )
    op.create_table(
        "watchers",
        Column("id", CleanText, primary_key=True),
        Column("host", CleanText, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("started_s", Double, nullable=False),
        Column("pass_s", Double, nullable=False),
        Column("behind_bytes", BigInteger, nullable=False),
        Column("rules", Integer, nullable=False),
        Column("message", CleanText, nullable=False),
    )
    op.create_table(
        "leases",
        Column("run_id", CleanText, primary_key=True),
        Column("owner", CleanText, nullable=False),
        Column("until_s", Double, nullable=False),
    )
    op.create_table(
        "notifications",
        Column("alert_id", CleanText, primary_key=True),
        Column("transition", CleanText, primary_key=True),
        Column("receiver", CleanText, primary_key=True),
    )
    op.create_index("series_by_key", "series", ["key", "run_id"])
    op.create_index("ix_clocks_run_id", "clocks", ["run_id"])
    op.create_index(
        "blocks_by_place",
        "blocks",
        ["series_id", "level", "first", "size", "min_step", "max_step", "min_time_s", "max_time_s"],
    )
    op.create_index("events_by_run", "events", ["run_id", "id"])
    op.create_index("ix_alerts_run_id", "alerts", ["run_id"])
    op.create_index("ix_alerts_state", "alerts", ["state"])
    op.create_index("ix_notes_run_id", "notes", ["run_id"])
