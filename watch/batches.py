"""Turns journal records into what the store takes and what the diagnostics engine takes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runvitals.collectors.records import NO_STEP, NONE_BITS, Beat, Event, Record, Rows, Start, is_none
from runvitals.diagnostics.rank_rows import rank_row
from runvitals.diagnostics.signals import NODE
from runvitals.diagnostics.types import Row
from runvitals.store.types import Batch, EventRow, SeriesPoints
from runvitals.watch.tail import last_seq


def make_batch(
    records: Sequence[Record], *, run_id: str, writer_id: str, position: Mapping[str, Any], tells_phase: bool = True
) -> Batch:
    """The records as one batch for the store. records: at least one, in sequence. tells_phase: whether the writer's phase is the run's."""
    starts = [record for record in records if isinstance(record, Start)]
    beats = [record for record in records if isinstance(record, Beat)]
    blocks = [record for record in records if isinstance(record, Rows)]
    first = records[0]
    return Batch(
        run_id=run_id,
        writer_id=writer_id,
        first_seq=first.first_seq if isinstance(first, Rows) else first.seq,
        last_seq=last_seq(records),
        position=position,
        series=_series(blocks),
        events=tuple(_event_row(record, run_id, writer_id) for record in records if isinstance(record, Event)),
        start=_start(starts[0]) if starts else None,
        beat_s=beats[-1].time_s if beats else None,
        phase=beats[-1].phase if beats and tells_phase else None,
        rows=sum(block.count for block in blocks),
    )


def _start(start: Start) -> dict[str, Any]:
    return {
        "project": start.project,
        "name": start.name,
        "config": dict(start.config),
        "info": dict(start.info),
        "time_s": start.time_s,
        "resumed": start.resumed,
        "tags": start.tags,
        "group": start.group,
        "description": start.description,
    }


def _event_row(event: Event, run_id: str, writer_id: str) -> EventRow:
    return EventRow(
        run_id=run_id,
        writer_id=writer_id,
        seq=event.seq,
        time_s=event.time_s,
        step=event.step,
        kind=event.kind,
        data=event.data,
    )


def _series(blocks: Sequence[Rows]) -> dict[str, SeriesPoints]:
    """Per key its points in order of arrival. Keys that were logged in the same rows share steps and times, and are rows of one table."""
    by_keys: dict[tuple[str, ...], list[Rows]] = {}
    for block in blocks:
        by_keys.setdefault(block.keys, []).append(block)
    homes: dict[str, list[int]] = {}
    for number, keys in enumerate(by_keys):
        for key in keys:
            homes.setdefault(key, []).append(number)
    together: dict[tuple[int, ...], list[str]] = {}
    for key, numbers in homes.items():
        together.setdefault(tuple(numbers), []).append(key)
    tables = [_Table(keys, found) for keys, found in by_keys.items()]
    series: dict[str, SeriesPoints] = {}
    for signature, same in together.items():
        series |= _points([tables[number] for number in signature], same)
    return {key: series[key] for key in homes}


class _Table:
    """All rows with the same keys."""

    def __init__(self, keys: tuple[str, ...], blocks: Sequence[Rows]) -> None:
        self.places = {key: place for place, key in enumerate(keys)}
        self.rows = np.frombuffer(
            blocks[0].body if len(blocks) == 1 else b"".join(block.body for block in blocks), dtype=_row_type(len(keys))
        )
        self._blocks = blocks

    def seqs(self) -> NDArray[np.int64]:
        """The sequence number of each row."""
        counts = np.array([block.count for block in self._blocks])
        ahead = np.cumsum(counts) - counts
        firsts = np.array([block.first_seq for block in self._blocks], dtype=np.int64)
        return np.asarray(np.arange(counts.sum()) + np.repeat(firsts - ahead, counts))

    def columns(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """The values of some keys. Shape (keys, rows)."""
        values = self.rows["values"]
        if len(keys) == len(self.places):
            return np.ascontiguousarray(values.T)
        return np.ascontiguousarray(values[:, [self.places[key] for key in keys]].T)


def _points(tables: Sequence[_Table], keys: Sequence[str]) -> dict[str, SeriesPoints]:
    """The points of keys that are in the rows of each of the tables."""
    if len(tables) == 1:
        (table,) = tables
        steps, times_s, values = table.rows["step"].copy(), table.rows["time_s"].copy(), table.columns(keys)
    else:
        order = np.argsort(np.concatenate([table.seqs() for table in tables]), kind="stable")
        steps = np.concatenate([table.rows["step"] for table in tables])[order]
        times_s = np.concatenate([table.rows["time_s"] for table in tables])[order]
        values = np.concatenate([table.columns(keys) for table in tables], axis=1)[:, order]
    return {
        key: SeriesPoints(steps=steps, times_s=times_s, values=column) for key, column in zip(keys, values, strict=True)
    }


@lru_cache(maxsize=256)
def _row_type(keys: int) -> np.dtype[np.void]:
    return np.dtype([("time_s", "<f8"), ("step", "<i8"), ("values", "<f8", (keys,))])


def last_row_s(block: Rows) -> tuple[float, bool]:
    """The time of a block's last row, and whether any of its rows has a step."""
    table = np.frombuffer(block.body, dtype=_row_type(len(block.keys)))
    return float(table["time_s"][-1]), bool((table["step"] != NO_STEP).any())


def row_times(block: Rows) -> list[float]:
    """The time of each row."""
    times_s: list[float] = np.frombuffer(block.body, dtype=_row_type(len(block.keys)))["time_s"].tolist()
    return times_s


def rows(block: Rows) -> Iterator[Row]:
    """The rows of a block, one by one, for the engine; a logged None is None again."""
    keys = block.keys
    unpacked = struct.iter_unpack(f"<dq{len(keys)}d", block.body)
    if not (np.frombuffer(block.body, dtype="<u8") == NONE_BITS).any():
        for time_s, step, *values in unpacked:
            yield Row(
                time_s=time_s, step=None if step == NO_STEP else step, values=dict(zip(keys, values, strict=True))
            )
        return
    for time_s, step, *values in unpacked:
        restored = [None if value != value and is_none(value) else value for value in values]
        yield Row(time_s=time_s, step=None if step == NO_STEP else step, values=dict(zip(keys, restored, strict=True)))


def other_rows(block: Rows, rank: int) -> Iterator[Row | float]:
    """What the rows of another rank say of its machine and of its own steps; the time of those that say neither.

    They have no step: the first rank counts the steps.
    """
    for row in rows(block):
        machine = {key: value for key, value in row.values.items() if key.startswith(NODE)}
        times = rank_row(row.time_s, row.step, rank, row.values)
        if machine:
            yield Row(time_s=row.time_s, step=None, values=machine)
        if times is not None:
            yield times
        elif not machine:
            yield row.time_s
