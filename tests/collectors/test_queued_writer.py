"""Where a queue and a thread stand between the run and a mount: a mount that hangs stalls nothing, and what it takes late is not lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.collectors import journal
from runvitals.collectors.append_file import AppendFile
from runvitals.collectors.layout import MAX_PAYLOAD_BYTES, ROW, row_tail_struct
from runvitals.collectors.options import Options
from runvitals.collectors.queued_writer import QueuedWriter
from runvitals.collectors.records import NONE_VALUE, Rows
from runvitals.collectors.run import Run
from runvitals.collectors.writer import MAX_SCHEMAS, Packed, Writer

QUEUED = Options(sample=False, heartbeat_s=1000.0, queued=True)
START: dict[str, Any] = {
    "time_s": 1.5,
    "run_id": "r",
    "writer_id": "host-1-ab",
    "project": "p",
    "name": "n",
    "config": {},
    "info": {},
    "resumed": False,
}
WAIT_S = 20.0


class Mount:
    """A file system that can hang: writers made by it wait in each write, and as they open their first file, until it is freed."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.reached = threading.Event()
        self.free.set()

    def writer(self, *args: Any, **kwargs: Any) -> Writer:
        mount = self

        class FileOnMount(AppendFile):
            def begin(self, path: Path) -> bool:
                mount.wait()
                return super().begin(path)

            def write(self, records: Sequence[bytes], *, stay: bool = False) -> int:
                mount.wait()
                return super().write(records, stay=stay)

        return Writer(*args, file=FileOnMount(), **kwargs)

    def wait(self) -> None:
        if not self.free.is_set():
            self.reached.set()
        assert self.free.wait(WAIT_S)


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    """Runs with a queue write to this mount."""
    mount = Mount()
    monkeypatch.setattr("runvitals.collectors.opening.QueuedWriter", partial(QueuedWriter, make_writer=mount.writer))
    yield mount
    mount.free.set()


def hang(mount: Mount, run: Run) -> None:
    """Lets the mount hang, and the run's thread with it."""
    mount.free.clear()
    run.event("last before it hangs")
    assert mount.reached.wait(WAIT_S)


def test_all_that_is_told_while_the_mount_hangs_is_there_in_order_when_it_is_back(
    tmp_path: Path, mount: Mount, told: Callable[[Path], Any]
) -> None:
    run = Run(tmp_path, "p", options=QUEUED)
    run.log({"loss": -1}, step=0)
    hang(mount, run)
    for step in range(1, 3000):
        run.log({"loss": step, "odd": "1.5" if step % 2 else None}, step=step)
    run.phase("eval")
    run._beat()
    run.alert("odd")
    assert len(told(run.path).training) <= 1
    mount.free.set()
    run.finish()
    say = told(run.path)
    assert [step for step, _ in say.training] == list(range(3000))
    assert say.training[1][1] == {"loss": 1.0, "odd": 1.5}
    assert say.beats and say.of("alert") and say.of("finish") and not say.of("fault") and not say.damage
    seqs = [row[0] for row in say.rows]
    assert seqs == sorted(set(seqs))


def test_a_mount_that_hangs_from_the_start_does_not_hold_up_init(
    tmp_path: Path, mount: Mount, told: Callable[[Path], Any]
) -> None:
    mount.free.clear()
    run = Run(tmp_path, "p", config={"lr": 0.1}, options=QUEUED)
    run.log({"loss": 1}, step=1)
    assert mount.reached.wait(WAIT_S) and not run.path.exists()
    mount.free.set()
    run.finish()
    assert told(run.path).training == [(1, {"loss": 1.0})] and told(run.path).starts[0].config == {"lr": 0.1}


def test_what_finds_the_queue_full_is_counted_printed_once_and_told_when_the_mount_is_back(
    tmp_path: Path, mount: Mount, told: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    small = partial(QueuedWriter, make_writer=mount.writer, queue_bytes=100_000)
    monkeypatch.setattr("runvitals.collectors.opening.QueuedWriter", small)
    run = Run(tmp_path, "p", options=QUEUED)
    hang(mount, run)
    for step in range(1000):
        run.log({"loss": step}, step=step)
    mount.free.set()
    wait_for(lambda: run._writer is not None and run._writer._given == run._writer._taken)  # type: ignore[union-attr]
    run.log({"loss": 1}, step=1000)
    run.finish()
    say = told(run.path)
    kept = [step for step, _ in say.training]
    assert kept[:-1] == list(range(len(kept) - 1)) and kept[-1] == 1000 and 100 < len(kept) < 600
    [fault] = say.of("fault")
    assert fault["where"] == "journal" and fault["count"] == 1001 - len(kept)
    err = capfd.readouterr().err
    assert err.count("lost records") == 1 and "training goes on" in err


def wait_for(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.005)):
        if true():
            return
        pause.wait(0.005)
    raise AssertionError("it never came")


def test_the_end_gives_a_hanging_mount_up_says_so_and_the_rows_still_come_when_it_is_back(
    tmp_path: Path, mount: Mount, told: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    hurried = partial(QueuedWriter, make_writer=mount.writer, standstill_s=0.02)
    monkeypatch.setattr("runvitals.collectors.opening.QueuedWriter", hurried)
    run = Run(tmp_path, "p", options=QUEUED)
    hang(mount, run)
    run.log({"loss": 1}, step=1)
    run.finish()
    assert re.search(r"ended and [34] of its records were lost: .* has not taken", capfd.readouterr().err)
    mount.free.set()
    wait_for(lambda: bool(told(run.path).of("finish")))
    assert told(run.path).training == [(1, {"loss": 1.0})]


def test_what_a_mount_refuses_waits_and_nothing_is_lost(
    tmp_path: Path, told: Callable[[Path], Any], capfd: Any
) -> None:
    (tmp_path / "journal").write_text("in the way")
    run = Run(tmp_path / "journal", "p", options=QUEUED)
    said = ""
    for step in range(100):
        run.log({"loss": step}, step=step)

    def refused() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return "cannot write the journal" in said

    wait_for(refused)
    (tmp_path / "journal").unlink()
    run.finish()
    assert [step for step, _ in told(run.path).training] == list(range(100))
    assert told(run.path).of("fault") == []
    assert (said + capfd.readouterr().err).count("runvitals:") == 1


def test_a_write_that_fails_half_way_is_written_again_in_the_next_file(tmp_path: Path) -> None:
    class Broken(AppendFile):
        failures = 2

        def write(self, records: Sequence[bytes], *, stay: bool = False) -> int:
            if self.size > 0 and self.failures:
                self.failures -= 1
                joined = b"".join(records)
                os.write(self.fd, joined[: len(joined) // 2])
                self.cut_off(OSError(5, "Input/output error"))
                return 0
            return super().write(records, stay=stay)

    def on_broken(*args: Any, **kwargs: Any) -> Writer:
        return Writer(*args, file=Broken(), **kwargs)

    writer = QueuedWriter(tmp_path, START, make_writer=on_broken)
    for step in range(500):
        writer.row({"loss": step}, step, 0.0)
    writer.close()
    assert writer.lost == 0
    steps, seqs = [], []
    for path in journal.files(tmp_path):
        result = journal.read(path)
        assert not result.damage and not result.tail_bytes
        for values in rows_of(result.records):
            seqs.append(values[0])
            steps.append(values[2])
    assert steps == list(range(500)) and seqs == sorted(set(seqs))


@pytest.mark.parametrize("cuts", [True, False], ids=["cut off", "cannot be cut"])
def test_wherever_a_batch_is_torn_a_reader_at_that_moment_and_a_later_one_read_each_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: bool
) -> None:
    key_lists = [("loss",), ("loss", "kl"), ("loss", "kl"), ("loss",), ("grad_norm",), ("grad_norm",)]
    batch: list[Packed] = [
        (ROW, keys, row_tail_struct(len(keys)).pack(0.0, step, *[0.5] * len(keys)))
        for step, keys in enumerate(key_lists)
    ]
    real_write, real_cut = os.write, os.ftruncate
    for torn in range(0, 300, 7):
        folder, room = tmp_path / str(torn), [torn]
        writer = Writer(folder, START)
        path, seen = journal.files(folder)[0], []

        def full(fd: int, data: bytes, room: list[int] = room) -> int:
            return real_write(fd, data[: room.pop()] if room else data)

        def looked_at(fd: int, size: int, path: Path = path, seen: list[Any] = seen) -> None:
            seen.append(journal.read(path))
            if not cuts:
                raise OSError(5, "Input/output error")
            real_cut(fd, size)

        with monkeypatch.context() as torn_disk:
            torn_disk.setattr(os, "write", full)
            torn_disk.setattr(os, "ftruncate", looked_at)
            taken = writer.take(batch)
            assert taken + writer.take(batch[taken:]) == len(batch)
        live = [*seen[0].records, *journal.read(path, seen[0].position).records] if seen else []
        others = [record for file in journal.files(folder)[bool(seen) :] for record in journal.read(file).records]
        anew = [record for file in journal.files(folder) for record in journal.read(file).records]
        for records in ([*live, *others], anew):
            assert [row[2] for row in rows_of(records)] == list(range(6))
        if seen:
            assert {row[::2] for row in rows_of(seen[0].records)} <= {row[::2] for row in rows_of(anew)}
        writer.close()


def rows_of(records: Any) -> list[tuple[int, float, int]]:
    """(sequence number, time_s, step) of every row."""
    found = []
    for record in records:
        if isinstance(record, Rows):
            for i in range(record.count):
                time_s, step = struct.unpack_from("<dq", record.body, i * record.row_bytes)
                found.append((record.first_seq + i, time_s, step))
    return found


def test_a_deleted_folder_is_noticed_and_counted(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    run = Run(tmp_path, "p", options=QUEUED)
    run.log({"loss": 1}, step=1)
    wait_for(lambda: len(told(run.path).training) == 1)
    shutil.rmtree(run.path)
    run._beat()
    wait_for(lambda: run._writer is not None and run._writer.lost > 0)
    run.log({"loss": 2}, step=2)
    run.finish()
    assert [step for step, _ in told(run.path).training] == [2]
    assert told(run.path).of("fault")[0]["count"] >= 1 and "deleted" in told(run.path).of("fault")[0]["message"]


def test_too_long_events_and_too_many_keys_are_refused_alone(tmp_path: Path) -> None:
    writer = QueuedWriter(tmp_path, START)
    assert not writer.event({"time_s": 0.0, "step": None, "kind": "x", "data": {"text": "x" * MAX_PAYLOAD_BYTES}})
    assert not writer.row({"x" * (MAX_PAYLOAD_BYTES + 1): 1.0}, 0, 0.0)
    assert writer.row({"loss": 1.0}, 1, 0.0)
    writer.close()
    assert writer.lost == 2 and "too long" in writer.failure
    assert [row[2] for row in rows_of(journal.read(journal.files(tmp_path)[0]).records)] == [1]


def test_keys_that_never_repeat_get_new_files(tmp_path: Path) -> None:
    writer = QueuedWriter(tmp_path, START)
    for step in range(2 * MAX_SCHEMAS + 1):
        writer.row({f"key {step}": 1.0}, step, 0.0)
    writer.close()
    paths = journal.files(tmp_path)
    assert len(paths) == 3
    assert [row[2] for path in paths for row in rows_of(journal.read(path).records)] == list(range(2 * MAX_SCHEMAS + 1))


floats = st.floats(allow_nan=True, allow_infinity=True) | st.just(NONE_VALUE)
rows = st.lists(
    st.tuples(
        st.dictionaries(st.text(max_size=5), floats, min_size=1, max_size=4),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
    ),
    max_size=20,
)


@settings(max_examples=30, deadline=None)
@given(rows=rows, rotate_bytes=st.integers(300, 5000))
def test_both_writers_keep_the_same_rows_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], rotate_bytes: int
) -> None:
    kept = []
    for make in (Writer, QueuedWriter):
        folder = tmp_path_factory.mktemp("journal")
        writer: Any = make(folder, START, rotate_bytes=rotate_bytes)
        for values, step, time_s in rows:
            assert writer.row(values, step, time_s)
        writer.close()
        found = [record for path in journal.files(folder) for record in journal.read(path).records]
        kept.append([(keys, body) for keys, body in single_rows(found)])
    assert kept[0] == kept[1]


def single_rows(records: list[Any]) -> Iterator[tuple[tuple[str, ...], bytes]]:
    for record in records:
        if isinstance(record, Rows):
            for i in range(record.count):
                yield record.keys, record.body[i * record.row_bytes : (i + 1) * record.row_bytes]


BEGIN = """
from runvitals.collectors.options import Options
run = runvitals.init("p", "n", home=home, options=Options(heartbeat_s=0.05, sample=False, queued=True))
"""


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 15); time.sleep(30)", "raise ValueError('x')"])
def test_however_the_process_ends_in_python_the_queue_is_written_first(script: Any, end: str) -> None:
    code, _, _ = script.run(BEGIN + "for step in range(5000):\n    run.log({'loss': step}, step)\n" + end)
    told = script.told()
    assert [step for step, _ in told.training] == list(range(5000)) and len(told.of("finish")) == 1
    assert code == {"": 0, "o": -15, "r": 1}[end[:1]]


def test_kill_9_loses_only_what_was_still_waiting(script: Any) -> None:
    process = script.start(
        BEGIN + "step = 0\nwhile True:\n    run.log({'loss': step}, step)\n    step += 1\n    time.sleep(0.001)\n"
        "    if step == 200:\n        os.write(1, b'up\\n')\n"
    )
    process.stdout.readline()
    process.kill()
    process.communicate()
    told = script.told()
    steps = [step for step, _ in told.training]
    assert steps == list(range(len(steps))) and len(steps) > 150 and not told.damage


def test_a_forked_child_leaves_queue_and_file_to_its_parent(script: Any) -> None:
    code, _, err = script.run(
        BEGIN
        + """
for step in range(200):
    run.log({"who": 1}, step)
    if step % 20 == 0:
        child = os.fork()
        if child == 0:
            run.log({"who": 2}, -5)
            own = runvitals.init("p", "child", home=home + "2", options=Options(sample=False, queued=True))
            own.log({"who": 2}, 1)
            own.finish()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""
    )
    assert (code, err) == (0, "")
    assert script.told().training == [(step, {"who": 1.0}) for step in range(200)]


@pytest.fixture
def frozen_disk(tmp_path: Path) -> Iterator[Callable[[bool], Path]]:
    """A real file system that hangs when told to (fsfreeze on a loop device); skips where that is not allowed."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as stream:
        stream.truncate(16 << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a loop device is not allowed here")

    def freeze(hangs: bool) -> Path:
        subprocess.run(["fsfreeze", "-f" if hangs else "-u", place], check=True, capture_output=True)
        return place

    yield freeze
    subprocess.run(["fsfreeze", "-u", place], check=False, capture_output=True)
    subprocess.run(["umount", "-l", place], check=True, capture_output=True)


def test_a_real_file_system_that_hangs_stalls_no_step_and_loses_no_row(
    tmp_path: Path, frozen_disk: Callable[[bool], Path], script: Any
) -> None:
    place = tmp_path / "disk"
    script.home = place / "home"
    process = script.start(
        BEGIN
        + """
row = {f"key/{i}": float(i) for i in range(20)}
for step in range(1, 20000):
    run.log(row, step)
    if step % 100 == 0:
        run.event("eval", {}, step)
    if step == 1000:
        print("frozen?", flush=True)
        sys.stdin.readline()
print("logged", flush=True)
sys.stdin.readline()
""",
        stdin=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stdout.readline() == "frozen?\n"
    wait_for(lambda: any(script.home.glob("journal/*")) and len(script.told().training) == 1000)
    frozen_disk(True)
    process.stdin.write("yes\n")
    process.stdin.flush()
    try:
        assert process.stdout.readline() == "logged\n"  # 19,000 rows and 190 events, with a file system that takes none
        assert len(script.told().training) == 1000
    finally:
        frozen_disk(False)
        process.communicate("\n", timeout=30)
    told = script.told()
    assert [step for step, _ in told.training] == list(range(1, 20000)) and len(told.of("finish")) == 1
    assert told.of("fault") == []


def test_the_switch_overrules_what_the_mount_is(tmp_path: Path) -> None:
    for queued, kind in ((True, QueuedWriter), (False, Writer)):
        run = Run(tmp_path, "p", options=Options(sample=False, heartbeat_s=1000.0, queued=queued))
        assert type(run._writer) is kind
        run.finish()


def test_config_and_numbers_are_those_of_the_moment_they_were_told(
    tmp_path: Path, told: Callable[[Path], Any], mount: Mount
) -> None:
    mount.free.clear()
    config: dict[str, Any] = {"lr": [1]}
    run = Run(tmp_path, "p", config=config, options=QUEUED)
    row: dict[str, Any] = {"loss": 1.0}
    data: Mapping[str, Any] = {"list": [1]}
    run.log(row, step=1)
    run.event("note", data)
    row["loss"], config["lr"], data["list"][0] = 2.0, 5, 7
    mount.free.set()
    run.finish()
    say = told(run.path)
    assert say.training == [(1, {"loss": 1.0})] and say.of("note") == [{"list": [1]}]
    assert say.starts[0].config == {"lr": [1]} and json.dumps(say.starts[0].config)


def test_a_long_hang_is_said_once_and_again_only_after_the_mount_was_back(
    tmp_path: Path, mount: Mount, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, "p", options=QUEUED)
    writer: Any = run._writer
    said = []
    for _ in range(2):
        mount.reached.clear()
        hang(mount, run)
        run._beat()
        assert capfd.readouterr().err == ""
        writer._moved_s -= 60.0
        run._beat()
        run._beat()
        said.append(capfd.readouterr().err.count("has taken nothing for 10 s"))
        mount.free.set()
        wait_for(lambda: writer._given == writer._taken)
        run._beat()
    run.finish()
    assert said == [1, 1]
