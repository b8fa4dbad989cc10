"""Parts share their steps and times as chunks do, and an index says which parts still refer to a clock.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the index; parts that exist keep the copy of their steps and times beside them."""
    of_parts = sa.text("level = -1")
    op.create_index("parts_by_clock", "blocks", ["clock_id"], sqlite_where=of_parts, postgresql_where=of_parts)
