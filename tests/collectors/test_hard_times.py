"""Nothing is lost and nothing is read wrongly: journals cut and hurt anywhere, clocks that go back, many processes, kill -9, a full disk."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.collectors import journal
from runvitals.collectors.options import Options
from runvitals.collectors.records import Record, Rows
from runvitals.collectors.run import Run
from runvitals.collectors.writer import Writer
from runvitals.errors import JournalError

START: dict[str, Any] = {
    "time_s": 1.5,
    "run_id": "r",
    "writer_id": "host-1-ab",
    "project": "p",
    "name": "n",
    "config": {"lr": 0.1},
    "info": {},
    "resumed": False,
}
QUIET = Options(sample=False, heartbeat_s=1000.0)

rows = st.tuples(
    st.just("row"), st.dictionaries(st.text(max_size=3), st.floats(), min_size=1, max_size=3), st.integers(-1, 2**40)
)
events = st.tuples(st.just("event"), st.text(max_size=20), st.integers(-1, 99))
beats = st.tuples(st.just("beat"), st.sampled_from(["train", "eval"]), st.integers(0, 99))
contents = st.lists(rows | events | beats, min_size=1, max_size=12)


def written(folder: Path, content: list[Any]) -> Path:
    """A journal file of these records."""
    writer = Writer(folder, START)
    for kind, what, step in content:
        if kind == "row":
            assert writer.row(what, step, 2.0)
        elif kind == "event":
            assert writer.event({"time_s": 2.0, "step": step, "kind": "note", "data": {"text": what}})
        else:
            assert writer.beat(what, step, 2.0)
    writer.close()
    [path] = journal.files(folder)
    return path


def singly(records: tuple[Record, ...]) -> list[Any]:
    """Every record by its number, rows one by one, as bytes where NaN must be equal to NaN."""
    found: list[Any] = []
    for record in records:
        if isinstance(record, Rows):
            size = record.row_bytes
            found += [
                (record.first_seq + i, record.keys, record.body[i * size : (i + 1) * size]) for i in range(record.count)
            ]
        else:
            found.append((record.seq, repr(record)))
    return found


@settings(max_examples=60, deadline=None)
@given(content=contents, cut=st.floats(0, 1), zeros=st.integers(0, 40))
def test_any_prefix_of_any_journal_reads_to_a_prefix_of_its_records(
    tmp_path_factory: pytest.TempPathFactory, content: list[Any], cut: float, zeros: int
) -> None:
    path = written(tmp_path_factory.mktemp("journal"), content)
    whole = path.read_bytes()
    every = singly(journal.read(path).records)
    assert len(every) == len(content) + 1
    path.write_bytes(whole[: int(len(whole) * cut)] + b"\0" * zeros)
    result = journal.read(path)
    found = singly(result.records)
    assert found == every[: len(found)] and not result.damage and not result.more
    path.write_bytes(whole)
    assert found + singly(journal.read(path, result.position).records) == every


@settings(max_examples=60, deadline=None)
@given(content=contents, at=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_wrong_byte_anywhere_never_makes_a_record_that_was_not_written(
    tmp_path_factory: pytest.TempPathFactory, content: list[Any], at: float, flip: int
) -> None:
    path = written(tmp_path_factory.mktemp("journal"), content)
    whole = path.read_bytes()
    every = singly(journal.read(path).records)
    place = int(len(whole) * at)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
    found, position, more = [], None, True
    try:
        while more:
            result = journal.read(path, position)
            position, more = result.position, result.more
            found += singly(result.records)
    except JournalError:
        assert place < 8  # the first bytes are another file's, or another version's
        return
    assert all(one in every for one in found)
    assert [one[0] for one in found] == sorted(one[0] for one in found)
    lost_rows_of_one_list = {one[1] for one in every if one not in found and len(one) == 3}
    assert len(every) - len(found) <= 1 or len(lost_rows_of_one_list) <= 1 or place < 8


@settings(max_examples=30, deadline=None)
@given(times_s=st.lists(st.floats(-1e9, 1e10), min_size=1, max_size=20))
def test_a_clock_that_goes_back_costs_nothing(tmp_path_factory: pytest.TempPathFactory, times_s: list[float]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    clock = iter([0.0, *times_s, 0.0, 0.0, 0.0])
    options = Options(sample=False, heartbeat_s=1000.0, clock=lambda: next(clock, 0.0))
    run = Run(folder, "p", options=options)
    for ticker in run._tickers:
        ticker.stop(5.0)
    for step in range(len(times_s)):
        run.log({"loss": step}, step=step)
    run.finish()
    [path] = journal.files(run.path)
    back = [
        struct.unpack_from("<dq", body)
        for _, keys, body in (one for one in singly(journal.read(path).records) if len(one) == 3)
    ]
    assert [step for _, step in back] == list(range(len(times_s)))


class Raises:
    """A value whose own way of becoming a number raises anything."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __float__(self) -> float:
        raise self.error

    def __str__(self) -> str:
        raise self.error


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        complex(1, 2),
        "True",
        "",
        b"\xff",
        object(),
        [1.0],
        (),
        {1},
        np.ones(2),
        np.datetime64("2026-01-01"),
        Raises(OverflowError()),
        Raises(ArithmeticError()),
        Raises(AssertionError()),
        Raises(LookupError()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_one_number_never_raises_and_costs_only_itself(
    tmp_path: Path, value: Any, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    run.log({"loss": 1, "odd": value}, step=1)
    run.finish()
    assert told(run.path).training == [(1, {"loss": 1.0})]
    assert told(run.path).of("fault")[0]["message"].startswith("odd: ")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (np.bool_(True), 1.0),
        (np.float16(0.5), 0.5),
        (np.uint8(200), 200.0),
        (2**63, 2.0**63),
        (" 1_000 ", 1000.0),
        ("inf", math.inf),
        ("-Infinity", -math.inf),
        (-0.0, -0.0),
    ],
)
def test_what_is_one_number_is_kept_as_float64(
    tmp_path: Path, value: Any, number: float, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    run.log({"a": value}, step=1)
    run.finish()
    [(_, values)] = told(run.path).training
    assert struct.pack("<d", values["a"]) == struct.pack("<d", number)


def test_where_two_come_to_one_key_the_last_is_kept(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    run.log({"a": {"b": 1}, "a/b": 2}, step=1)
    run.log({"a/b": 2, "a": {"b": 1}}, step=2)
    run.log({}, step=3)
    run.finish()
    assert told(run.path).training == [(1, {"a/b": 2.0}), (2, {"a/b": 1.0}), (3, {})]


def test_a_row_too_long_for_the_format_is_lost_alone_and_never_raises(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    run.log({"x" * (1 << 24): 1.0}, step=1)
    run.log({"x" * (1 << 24): "1.0"}, step=2)
    run.log({"loss": 1}, step=3)
    run.finish()
    assert told(run.path).training == [(3, {"loss": 1.0})]
    assert told(run.path).of("fault")[0]["count"] == 2 and "too long" in told(run.path).of("fault")[0]["message"]


def test_ten_thousand_keys_that_come_and_go_over_a_run_all_come_back(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    for step in range(1200):
        run.log({f"key/{(step * 9 + i) % 10_000}": step + i for i in range(12)}, step=step)
    run.finish()
    say = told(run.path)
    assert [step for step, _ in say.training] == list(range(1200)) and not say.damage
    assert len({key for _, values in say.training for key in values}) == 10_000
    assert say.training[777][1] == {f"key/{(777 * 9 + i) % 10_000}": 777.0 + i for i in range(12)}


def test_duplicate_steps_and_steps_that_go_back_are_rows_as_they_came(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=QUIET)
    steps = [0, 1, 1, 2, 0, 1, 5, None, 3]
    for i, step in enumerate(steps):
        run.log({"loss": i}, step=step)
    run.finish()
    back = [(None if step < 0 else step, values["loss"]) for _, _, step, values in told(run.path).rows]
    assert back == [(step, float(i)) for i, step in enumerate(steps)]


def test_eight_processes_that_write_one_run_at_once_lose_and_mix_nothing(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    code = """
import runvitals, sys
run = runvitals.init("p", "n", resume="shared")
sys.stdin.readline()
for step in range(400):
    run.log({"who": int(sys.argv[1]), "x": step}, step=step)
run.finish()
"""
    environ = {**os.environ, "RUNVITALS_HOME": str(tmp_path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(i)], stdin=subprocess.PIPE, text=True, env=environ)
        for i in range(8)
    ]
    for one in writers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in writers:
        one.communicate(timeout=60)
    say = told(tmp_path / "journal" / "shared")
    assert len({start.writer_id for start in say.starts}) == 8 and not say.damage
    for i in range(8):
        assert [step for step, values in say.training if values["who"] == i] == list(range(400))
    assert len(say.of("finish")) == 8


BEGIN = """
from runvitals.collectors.options import Options
run = runvitals.init("p", "n", home=home, options=Options(heartbeat_s=0.05, sample=False))
"""


def test_kill_9_at_100_hz_loses_no_row(script: Any) -> None:
    process = script.start(
        BEGIN
        + """
for step in range(10_000):
    run.log({"loss": step}, step)
    os.write(1, b"%d\\n" % step)
    time.sleep(0.01)
"""
    )
    for line in process.stdout:
        if int(line) == 40:
            break
    process.kill()
    rest, _ = process.communicate()
    returned = max([40, *map(int, rest.split("\n")[:-1])])
    steps = [step for step, _ in script.told().training]
    assert steps == list(range(len(steps))) and steps[-1] >= returned


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB in memory; skips where mounting is not allowed."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "-l", place], check=True, capture_output=True)


@pytest.mark.parametrize("queued", [False, True])
def test_a_really_full_disk_stops_nothing_and_every_row_is_kept_or_counted(
    script: Any, tiny_disk: Path, queued: bool
) -> None:
    script.home = tiny_disk
    code, out, err = script.run(
        BEGIN.replace("sample=False", f"sample=False, queued={queued}").replace("0.05", "1000.0")
        + """
ballast = os.path.join(home, "ballast")
with open(ballast, "wb") as stream:
    stream.write(bytes(150_000))
row = {f"key/{i}": float(i) for i in range(20)}
for step in range(1000):
    run.log(row, step)
print("trained")
until = time.monotonic() + 10
while os.statvfs(home).f_bavail > 1 and time.monotonic() < until:
    time.sleep(0.01)
os.unlink(ballast)
time.sleep(0.15)
run.log(row, 1000)
"""
    )
    assert (code, out) == (0, "trained\n")
    told = script.told()
    kept = [step for step, _ in told.training]
    assert kept == sorted(set(kept)) and kept[-1] == 1000 and not told.damage
    lost = told.of("fault")[-1]["count"] if told.of("fault") else 0
    assert len(kept) + lost == 1001
    assert (lost == 0) == queued and err.count("runvitals:") == 1


def test_workers_of_a_data_loader_leave_the_run_alone(script: Any) -> None:
    pytest.importorskip("torch")
    code, _, err = script.run(
        "import torch\n"
        + BEGIN
        + """
class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, i):
        run.log({"worker": i}, 1000 + i)
        return i
loader = torch.utils.data.DataLoader(Numbers(), batch_size=8, num_workers=2, multiprocessing_context="fork")
for epoch in range(2):
    for step, batch in enumerate(loader):
        run.log({"loss": batch.sum()}, epoch * 8 + step)
"""
    )
    assert code == 0, err
    told = script.told()
    assert [step for step, _ in told.training] == list(range(16)) and not told.damage
    assert len(told.of("finish")) == 1 and len(told.starts) == 1
