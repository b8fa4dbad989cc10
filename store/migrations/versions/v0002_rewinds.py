"""Series know who wrote them last, where their steps went back, and their newest step.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runvitals.store.clean_text import CleanText

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds `last_writer`, `rewinds` and `last_step` to `series`; a series that exists has its newest point's step."""
    op.add_column("series", sa.Column("last_writer", CleanText, nullable=False, server_default=""))
    op.add_column("series", sa.Column("rewinds", sa.LargeBinary))
    op.add_column("series", sa.Column("last_step", sa.BigInteger, nullable=False, server_default="-1"))
    op.execute("UPDATE series SET last_step = step")
