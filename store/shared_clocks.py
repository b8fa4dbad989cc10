"""Stored steps and times, one row of `clocks` for all blocks of the same rows: put in on first asking, dropped after the last part of them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, exists, insert, literal_column

from runvitals.store.blocks import PARTS, batched
from runvitals.store.schema import blocks, clocks
from runvitals.store.shared_rows import SharedRows

_PUT = (
    insert(clocks)
    .values(run_id=bindparam("run"), data=bindparam("packed", type_=clocks.c.data.type))
    .returning(clocks.c.id)
)
# The level stands in the text of the statement, for else neither database would know that the index of parts' clocks answers it.
_REFERRING = exists().where((blocks.c.clock_id == clocks.c.id) & (blocks.c.level == literal_column(str(PARTS))))
_DROP = delete(clocks).where(clocks.c.id.in_(bindparam("ids", expanding=True)) & ~_REFERRING)


class ClockIds:
    """The numbers under which steps and times of a run's rows are stored, within one transaction."""

    def __init__(self, connection: Connection, run_id: str) -> None:
        self._connection = connection
        self._run_id = run_id
        self._known: dict[SharedRows, int] = {}

    def of(self, rows: SharedRows) -> int:
        """The number of these rows' steps and times, which are stored on first asking."""
        if rows not in self._known:
            added = self._connection.execute(_PUT, {"run": self._run_id, "packed": rows.blob})
            self._known[rows] = added.scalar_one()
        return self._known[rows]


def drop_unused(connection: Connection, ids: Collection[int]) -> None:
    """Deletes those of these clocks that no part refers to any more.

    They must be clocks of parts: a chunk's never is, for it has other points than any part.
    """
    for some in batched(list(ids)):
        connection.execute(_DROP, {"ids": some})
