"""What people do with runs and alerts: tags, groups, archived and deleted runs, mutes that cover more than one alert, saved views; when whom was told.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runvitals.store.clean_text import CleanText

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds columns to `runs` and `alerts` and the tables `mutes` and `views`; a mute that stood in its alert becomes a row of its own."""
    op.add_column("runs", sa.Column("tags", CleanText, nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("group", CleanText, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("description", CleanText, nullable=False, server_default=""))
    op.add_column("runs", sa.Column("archived_s", sa.Double))
    op.add_column("runs", sa.Column("delete_after_s", sa.Double))
    op.add_column("alerts", sa.Column("acknowledged_by", CleanText, nullable=False, server_default=""))
    op.create_table(
        "mutes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alert_id", CleanText),
        sa.Column("run_id", CleanText, index=True),
        sa.Column("rule", CleanText),
        sa.Column("project", CleanText),
        sa.Column("since_s", sa.Double, nullable=False),
        sa.Column("until_s", sa.Double, nullable=False),
        sa.Column("who", CleanText, nullable=False),
        sa.Column("note", CleanText, nullable=False),
        sa.Column("ended_s", sa.Double),
        sa.Column("ended_by", CleanText, nullable=False),
    )
    op.add_column("notifications", sa.Column("sent_s", sa.Double))
    op.add_column("watchers", sa.Column("receivers", CleanText, nullable=False, server_default="[]"))
    op.create_table(
        "views",
        sa.Column("page", CleanText, primary_key=True),
        sa.Column("name", CleanText, primary_key=True),
        sa.Column("query", CleanText, nullable=False),
        sa.Column("created_s", sa.Double, nullable=False),
        sa.Column("changed_s", sa.Double, nullable=False),
    )
    # Since when such a mute has held stands only in the words of the alert's history: from the onset on is the earliest that it can be.
    op.execute(
        "INSERT INTO mutes (alert_id, run_id, since_s, until_s, who, note, ended_by) "
        "SELECT id, run_id, onset_s, muted_until_s, '', '', '' FROM alerts WHERE muted_until_s IS NOT NULL"
    )
    op.drop_column("alerts", "muted_until_s")
