"""Journals become batches: nothing lost, nothing doubled, None and NaN kept apart."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from runvitals.collectors.options import Options
from runvitals.collectors.records import NO_STEP, NONE_BITS, Event, Record, Rows, is_none
from runvitals.collectors.run import Run
from runvitals.watch.batches import make_batch, rows
from runvitals.watch.tail import Journals, Tail, cut, find_journals, last_seq

QUIET = Options(sample=False, heartbeat_s=3600.0)


def block(first_seq: int, values: list[float]) -> Rows:
    body = b"".join(struct.pack("<dqd", 100.0 + i, i, value) for i, value in enumerate(values))
    return Rows(first_seq=first_seq, count=len(values), keys=("loss",), body=body)


def find_tails(folder: Path, known: dict[str, Tail]) -> list[Tail]:
    """A reader for each writer; those of `known` go on."""
    journals: dict[str, Journals] = {writer_id: tail.journals for writer_id, tail in known.items()}
    find_journals(folder, journals, {})
    return [known.setdefault(writer_id, Tail(found)) for writer_id, found in journals.items()]


def read_all(tail: Tail) -> list[Record]:
    found: list[Record] = []
    while records := tail.read():
        found += records
    return found


def test_tail_gives_every_row_once_while_the_run_writes(tmp_path: Path) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    tails: dict[str, Tail] = {}
    seen: list[int | None] = []
    for step in range(30):
        run.log({"loss": float(step)}, step=step)
        if step % 7 == 0:
            for tail in find_tails(run.path, tails):
                seen += [row.step for record in read_all(tail) if isinstance(record, Rows) for row in rows(record)]
    run.finish()
    for tail in find_tails(run.path, tails):
        seen += [row.step for record in read_all(tail) if isinstance(record, Rows) for row in rows(record)]
        assert tail.behind_bytes == 0
    assert seen == list(range(30))


def test_tail_goes_on_into_files_that_rotation_began(tmp_path: Path) -> None:
    run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=3600.0, rotate_bytes=4096))
    for step in range(500):
        run.log({"loss": float(step)}, step=step)
    run.finish()
    (tail,) = find_tails(run.path, {})
    assert len(tail.journals.files) > 1
    steps = [row.step for record in read_all(tail) if isinstance(record, Rows) for row in rows(record)]
    assert steps == list(range(500))


def test_cut_splits_a_block_that_straddles_what_is_stored() -> None:
    records: list[Record] = [block(5, [1.0, 2.0, 3.0]), Event(seq=8, time_s=0.0, step=None, kind="eval")]
    (kept, event) = cut(records, 6)
    assert isinstance(kept, Rows)
    assert (kept.first_seq, kept.count) == (7, 1)
    assert [row.values["loss"] for row in rows(kept)] == [3.0]
    assert event is records[1]
    assert cut(records, 8) == []
    assert cut(records, -1) == records
    assert last_seq(records) == 8
    assert last_seq(records[:1]) == 7


def test_none_and_nan_stay_apart_on_both_ways() -> None:
    none = struct.unpack("<d", struct.pack("<Q", NONE_BITS))[0]
    record = block(1, [1.0, math.nan, none, math.inf])
    values = [row.values["loss"] for row in rows(record)]
    assert values[0] == 1.0
    assert values[1] is not None and math.isnan(values[1])
    assert values[2] is None
    assert values[3] == math.inf
    column = make_batch([record], run_id="r", writer_id="w", position={}).series["loss"].values
    assert [is_none(value) for value in column.tolist()] == [False, False, True, False]
    assert column.view(np.uint64)[2] == NONE_BITS


def test_batch_joins_blocks_of_a_key_in_order() -> None:
    other = Rows(first_seq=3, count=1, keys=("lr", "loss"), body=struct.pack("<dqdd", 9.0, NO_STEP, 1e-5, 7.0))
    batch = make_batch([block(1, [1.0, 2.0]), other], run_id="r", writer_id="w", position={"a": 1})
    assert (batch.first_seq, batch.last_seq, batch.rows) == (1, 3, 3)
    assert batch.series["loss"].values.tolist() == [1.0, 2.0, 7.0]
    assert batch.series["loss"].steps.tolist() == [0, 1, NO_STEP]
    assert batch.series["lr"].times_s.tolist() == [9.0]
