"""What goes into a journal comes out of it, however its file ends and whatever was damaged in it."""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.collectors import journal
from runvitals.collectors.layout import HEADER, LEAD, VERSION, framed
from runvitals.collectors.records import NO_STEP, NONE_VALUE, Beat, Event, Record, Rows, Start, is_none
from runvitals.collectors.writer import MAX_SCHEMAS, Writer
from runvitals.errors import JournalError

START: dict[str, Any] = {
    "time_s": 1.5,
    "run_id": "r",
    "writer_id": "host-1-ab",
    "project": "p",
    "name": "n",
    "config": {"lr": 0.1},
    "info": {"pid": 1},
    "resumed": False,
}


def a_writer(folder: Path, **options: Any) -> Writer:
    return Writer(folder, START, **options)


def only_file(folder: Path) -> Path:
    [path] = journal.files(folder)
    return path


def read_all(path: Path, max_bytes: int = journal.MAX_BYTES) -> tuple[list[Record], journal.ReadResult]:
    """All records, and the last result with the damage of all calls."""
    records: list[Record] = []
    damage: list[journal.Damage] = []
    position = None
    while True:
        result = journal.read(path, position, max_bytes=max_bytes)
        records += result.records
        damage += result.damage
        position = json.loads(json.dumps(result.position))
        if not result.more:
            return records, replace(result, damage=tuple(damage))


def rows_of(records: list[Record]) -> list[tuple[int, float, int, dict[str, float]]]:
    """Every row as (seq, time_s, step, values), unpacked one by one."""
    unpacked = []
    for record in records:
        if isinstance(record, Rows):
            for i in range(record.count):
                time_s, step, *values = struct.unpack_from(f"<dq{len(record.keys)}d", record.body, i * record.row_bytes)
                unpacked.append((record.first_seq + i, time_s, step, dict(zip(record.keys, values, strict=True))))
    return unpacked


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def test_every_kind_of_record_comes_back(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    assert writer.row({"loss": 0.5, "lr": 1}, 7, 2.0)
    assert writer.event({"time_s": 3.0, "step": 7, "kind": "alert", "data": {"title": "é", "at": math.inf}})
    assert writer.beat("train", None, 4.0)
    assert writer.beat("eval", 8, 5.0)
    writer.close()
    records, result = read_all(only_file(tmp_path))
    start, row, event, beat, eval_beat = records
    assert start == Start(seq=1, **START)
    assert rows_of([row]) == [(2, 2.0, 7, {"loss": 0.5, "lr": 1.0})]
    assert event == Event(seq=3, time_s=3.0, step=7, kind="alert", data={"title": "é", "at": math.inf})
    assert beat == Beat(seq=4, time_s=4.0, phase="train", step=None)
    assert eval_beat == Beat(seq=5, time_s=5.0, phase="eval", step=8)
    assert (result.tail_bytes, result.damage, result.skipped_kinds) == (0, (), {})


def test_consecutive_rows_of_the_same_keys_are_one_record(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    for step in range(3):
        writer.row({"a": step}, step, 0.0)
    writer.row({"b": 1}, 3, 0.0)
    writer.row({"a": 9}, 4, 0.0)
    records, _ = read_all(only_file(tmp_path))
    assert [(r.first_seq, r.count, r.keys) for r in records if isinstance(r, Rows)] == [
        (2, 3, ("a",)),
        (5, 1, ("b",)),
        (6, 1, ("a",)),
    ]


floats = st.floats(allow_nan=True, allow_infinity=True) | st.just(NONE_VALUE)
row_values = st.dictionaries(st.text(max_size=8), floats, min_size=1, max_size=6)
steps = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(row_values, steps, st.floats(allow_nan=False)), max_size=30),
    max_bytes=st.integers(60, 5000),
)
def test_any_rows_come_back_bit_for_bit_in_reads_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    writer = a_writer(folder)
    for values, step, time_s in rows:
        assert writer.row(values, step, time_s)
    writer.forget()
    records, result = read_all(only_file(folder), max_bytes)
    assert result.tail_bytes == 0
    back = rows_of(records)
    assert [(step, time_s) for _, time_s, step, _ in back] == [(step, time_s) for _, step, time_s in rows]
    assert [{k: bits(v) for k, v in values.items()} for *_, values in back] == [
        {k: bits(v) for k, v in row[0].items()} for row in rows
    ]


def test_none_stays_apart_from_nan(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.row({"none": NONE_VALUE, "nan": math.nan}, 0, 0.0)
    [(*_, values)] = rows_of(read_all(only_file(tmp_path))[0])
    assert is_none(values["none"])
    assert math.isnan(values["nan"]) and not is_none(values["nan"])


def a_small_file(folder: Path) -> tuple[Path, list[tuple[int, ...]]]:
    """A file of all kinds of records, and for each record (seq, the file's size after it)."""
    writer = a_writer(folder)
    path = only_file(folder)
    ends = [(1, path.stat().st_size)]
    for step in range(4):
        writer.row({"loss": step / 3, "margin": -step}, step, float(step))
        ends.append((2 + 3 * step, path.stat().st_size))
        writer.event({"time_s": 0.0, "step": step, "kind": "eval", "data": {}})
        ends.append((3 + 3 * step, path.stat().st_size))
        writer.beat("train", step, 1.0)
        ends.append((4 + 3 * step, path.stat().st_size))
    writer.close()
    return path, ends


def seqs(records: list[Record]) -> list[int]:
    found: list[int] = []
    for record in records:
        found += range(record.first_seq, record.first_seq + record.count) if isinstance(record, Rows) else [record.seq]
    return found


@pytest.mark.parametrize("filler", [b"", b"\0" * 3, b"\0" * 5000], ids=["cut", "few zeros", "many zeros"])
def test_a_tail_torn_at_any_byte_loses_no_whole_record_and_is_read_on_when_the_rest_comes(
    tmp_path: Path, filler: bytes
) -> None:
    path, ends = a_small_file(tmp_path)
    whole = path.read_bytes()
    torn = tmp_path / "torn-1-0001.rvj"
    for size in range(len(whole)):
        content = whole[:size] + filler
        torn.write_bytes(content)
        first = journal.read(torn)
        assert seqs(list(first.records)) == [seq for seq, end in ends if content[:end] == whole[:end]]
        assert not first.damage and not first.more
        torn.write_bytes(whole)
        rest = journal.read(torn, first.position)
        assert seqs([*first.records, *rest.records]) == [seq for seq, _ in ends], size
        assert rest.tail_bytes == 0


def test_one_wrong_byte_anywhere_costs_at_most_what_it_touches(tmp_path: Path) -> None:
    path, ends = a_small_file(tmp_path)
    whole = path.read_bytes()
    every = [seq for seq, _ in ends]
    hurt = tmp_path / "hurt-1-0001.rvj"
    keys_size = len(framed(b"x" * 13 + b'["loss","margin"]'))
    for at in range(len(HEADER), len(whole)):
        hurt.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        records, result = read_all(hurt)
        touched = next(seq for seq, end in ends if at < end)
        if ends[0][1] <= at < ends[0][1] + keys_size:  # the key list: no row of it can be read any more
            assert not rows_of(records)
        else:
            assert seqs(records) == [seq for seq in every if seq != touched], at
        damaged = sum(damage.size for damage in result.damage) + result.tail_bytes
        assert damaged > 0
        assert all(str(hurt) in str(damage) for damage in result.damage)
    assert len(whole) > 500


def test_noise_in_the_middle_is_passed_over_and_reported_with_its_place(tmp_path: Path) -> None:
    path, ends = a_small_file(tmp_path)
    whole = path.read_bytes()
    cut = ends[6][1]
    noise = b"\x03" + bytes(range(256)) * 40
    path.write_bytes(whole[:cut] + noise + whole[cut:])
    records, result = read_all(path)
    assert seqs(records) == [seq for seq, _ in ends]
    assert result.damage == (journal.Damage(path=path, offset=cut, size=len(noise)),)
    assert result.tail_bytes == 0


def test_a_record_longer_than_one_read_is_read_whole(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.event({"time_s": 0.0, "step": None, "kind": "completions", "data": {"text": "x" * 300_000}})
    writer.beat("train", 1, 0.0)
    records, result = read_all(only_file(tmp_path), max_bytes=1000)
    assert seqs(records) == [1, 2, 3]
    assert not result.damage


def test_an_unknown_kind_is_skipped_and_counted(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    path = only_file(tmp_path)
    with path.open("ab") as stream:
        stream.write(framed(LEAD.pack(77, 2) + b"from the future") + framed(LEAD.pack(77, 3)))
    writer.beat("train", 1, 0.0)
    result = journal.read(path)
    assert result.skipped_kinds == {77: 2}
    assert isinstance(result.records[-1], Beat) and not result.damage


def test_a_record_whose_content_is_not_what_its_kind_promises_is_damage(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    path = only_file(tmp_path)
    size = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(
            framed(LEAD.pack(4, 2) + b"not json") + framed(LEAD.pack(3, 3)) + framed(LEAD.pack(4, 4) + b'{"no":"kind"}')
        )
    writer.beat("train", 1, 0.0)
    result = journal.read(path)
    assert [damage.offset for damage in result.damage] == [size]
    assert isinstance(result.records[-1], Beat)


@pytest.mark.parametrize(
    "content", [b"SQLite format 3\0....", b"RVJ?....", b"hello", b"RVJL" + bytes([VERSION + 1]) + bytes(30)]
)
def test_a_foreign_or_newer_file_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w-0001.rvj"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"w-0001\.rvj"):
        journal.read(path)


@pytest.mark.parametrize("content", [b"", b"RV", b"RVJL", b"\0" * 8, b"\0" * 4096])
def test_a_file_without_its_header_yet_is_waited_for(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w-0001.rvj"
    path.write_bytes(content)
    result = journal.read(path)
    assert (result.records, result.more, result.tail_bytes) == ((), False, len(content))


def test_a_missing_file_and_one_that_became_shorter_are_errors_that_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"gone-0001\.rvj"):
        journal.read(tmp_path / "gone-0001.rvj")
    a_writer(tmp_path).close()
    path = only_file(tmp_path)
    position = journal.read(path).position
    os.truncate(path, 20)
    with pytest.raises(JournalError, match="was cut or replaced"):
        journal.read(path, position)


def test_rotation_keeps_the_numbers_rising_and_every_file_readable_alone(tmp_path: Path) -> None:
    writer = a_writer(tmp_path, rotate_bytes=2000)
    for step in range(100):
        writer.row({"loss": step, "lr": 0.1}, step, 0.0)
    writer.close()
    paths = journal.files(tmp_path)
    assert len(paths) == 3
    assert [journal.number(path) for path in paths] == list(range(1, len(paths) + 1))
    each = [read_all(path)[0] for path in paths]
    assert all(isinstance(records[0], Start) for records in each)
    together = [record for records in each for record in records]
    assert seqs(together) == list(range(1, seqs(together)[-1] + 1))
    assert [step for _, _, step, _ in rows_of(together)] == list(range(100))


def test_keys_that_never_repeat_get_new_files_and_not_an_endless_table(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    for step in range(2 * MAX_SCHEMAS + 1):
        writer.row({f"key {step}": step}, step, 0.0)
    writer.close()
    paths = journal.files(tmp_path)
    assert len(paths) == 3
    assert max(len(read_all(path)[1].position["keys"]) for path in paths) == MAX_SCHEMAS
    assert [step for path in paths for _, _, step, _ in rows_of(read_all(path)[0])] == list(range(2 * MAX_SCHEMAS + 1))


def test_files_are_listed_by_writer_and_number_and_others_are_left_out(tmp_path: Path) -> None:
    for name in ["b-1-0002.rvj", "b-1-0010.rvj", "b-1-0001.rvj", "a-9-0001.rvj", "notes.txt", "x.rvj", "b-1-zz.rvj"]:
        (tmp_path / name).touch()
    assert [path.name for path in journal.files(tmp_path)] == [
        "a-9-0001.rvj",
        "b-1-0001.rvj",
        "b-1-0002.rvj",
        "b-1-0010.rvj",
    ]
    assert journal.writer_id(tmp_path / "b-1-0010.rvj") == "b-1"
    assert journal.files(tmp_path / "nowhere") == []


def test_a_deleted_file_is_noticed_and_what_went_with_it_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    writer = a_writer(folder)
    writer.row({"a": 1}, 0, 0.0)
    writer.check()
    writer.row({"a": 2}, 1, 0.0)
    writer.row({"a": 3}, 2, 0.0)
    only_file(folder).unlink()
    folder.rmdir()
    writer.check()
    assert writer.lost == 2 and "deleted" in writer.failure
    assert writer.row({"a": 4}, 3, 0.0)
    assert [step for _, _, step, _ in rows_of(read_all(only_file(folder))[0])] == [3]


def test_a_folder_that_cannot_be_made_is_tried_again_only_after_a_while(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    now = [0.0]
    writer = a_writer(blocked / "run", clock=lambda: now[0])
    assert writer.failure
    blocked.unlink()
    assert not writer.row({"a": 1}, 0, 0.0)
    now[0] = 2.0
    assert writer.row({"a": 2}, 1, 0.0)
    assert writer.lost == 1
    records, _ = read_all(only_file(blocked / "run"))
    assert seqs(records) == [2, 3]
    assert rows_of(records)[0][2] == 1 != NO_STEP


def test_a_record_too_long_for_the_format_is_refused_and_nothing_is_hurt(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    assert not writer.event({"time_s": 0.0, "step": None, "kind": "completions", "data": {"text": "x" * (1 << 24)}})
    assert writer.row({"a": 1}, 0, 0.0)
    assert writer.lost == 1 and "too long" in writer.failure
    records, result = read_all(only_file(tmp_path))
    assert len(rows_of(records)) == 1 and not result.damage


def test_a_file_closed_by_other_code_is_left_and_whatever_has_its_number_now_is_not_touched(tmp_path: Path) -> None:
    writer = a_writer(tmp_path / "run")
    writer.check()
    stranger = os.open(tmp_path / "users.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(stranger, writer._file.fd)
    number = writer._file.fd
    writer.check()
    assert writer.row({"a": 1}, 0, 0.0)
    assert writer._file.fd != number
    os.close(number)
    os.close(stranger)
    assert (tmp_path / "users.txt").read_bytes() == b""
    assert len(journal.files(tmp_path / "run")) == 2
    writer.close()


def test_fields_that_a_later_version_adds_are_passed_over(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.event({"time_s": 1.0, "step": None, "kind": "eval", "data": {}, "mood": "good"})
    assert read_all(only_file(tmp_path))[0][-1] == Event(seq=2, time_s=1.0, step=None, kind="eval")


def test_folder_that_is_removed_as_the_first_file_is_opened_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, opening = tmp_path / "run", os.open
    folder.mkdir()

    def removed_first(path: Any, *args: Any) -> int:
        monkeypatch.setattr(os, "open", opening)
        folder.rmdir()  # as the watcher does once the run's earlier journals are stored
        return opening(path, *args)

    monkeypatch.setattr(os, "open", removed_first)
    writer = a_writer(folder)
    assert writer.row({"loss": 1.0}, 1, 0.0) and writer.lost == 0
    writer.close()
    assert [record for record in journal.read(only_file(folder)).records if isinstance(record, Rows)]
