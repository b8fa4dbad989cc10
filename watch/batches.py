"""Turns journal records into what the store takes and what the diagnostics engine takes."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.collectors.records import NO_STEP, Beat, Event, Record, Rows, Start, is_none
from runvitals.diagnostics.types import Row
from runvitals.store.types import Batch, EventRow, SeriesPoints
from runvitals.watch.tail import last_seq


def make_batch(records: Sequence[Record], *, run_id: str, writer_id: str, position: Mapping[str, Any]) -> Batch:
    """The records as one batch for the store. records: at least one, in sequence."""
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
        phase=beats[-1].phase if beats else None,
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
    """Per key its points in arrival order."""
    parts: dict[str, list[tuple[Any, Any, Any]]] = defaultdict(list)
    for block in blocks:
        table = np.frombuffer(
            block.body, dtype=[("time_s", "<f8"), ("step", "<i8"), ("values", "<f8", (len(block.keys),))]
        )
        steps, times_s = table["step"].astype(np.int64), table["time_s"].astype(np.float64)
        columns = np.ascontiguousarray(table["values"].T)
        for key, column in zip(block.keys, columns, strict=True):
            parts[key].append((steps, times_s, column))
    return {key: _join(pieces) for key, pieces in parts.items()}


def _join(pieces: list[tuple[Any, Any, Any]]) -> SeriesPoints:
    if len(pieces) == 1:
        steps, times_s, values = pieces[0]
    else:
        steps, times_s, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return SeriesPoints(steps=steps, times_s=times_s, values=values)


def rows(block: Rows) -> Iterator[Row]:
    """The rows of a block, one by one, for the engine; a logged None is None again."""
    for time_s, step, *values in struct.iter_unpack(f"<dq{len(block.keys)}d", block.body):
        yield Row(
            time_s=time_s,
            step=None if step == NO_STEP else step,
            values={
                key: (None if value != value and is_none(value) else value)
                for key, value in zip(block.keys, values, strict=True)
            },
        )
