"""Real trainings of two processes: by hand on what looks like two hosts, and by torchrun, where one is killed."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runvitals.collectors import journal
from runvitals.collectors.records import Event, Record, Rows, Start
from runvitals.diagnostics.types import Row
from runvitals.store.open import open_store
from runvitals.watch.batches import rows
from runvitals.watch.loop import Watcher

TRAINING = str(Path(__file__).with_name("rank_training.py"))
LONGEST_S = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a launch left. exits: of the processes that were waited for; stderr: of all."""

    home: Path
    exits: list[int]
    stderr: str

    def records(self) -> dict[int, list[Record]]:
        """By rank, what it wrote."""
        told: dict[int, list[Record]] = {}
        for path in sorted(self.home.glob("journal/*/*.rvj")):
            records = list(journal.read(path).records)
            assert isinstance(records[0], Start)
            told[records[0].info["rank"]] = records
        return told


def rows_of(records: list[Record]) -> list[Row]:
    return [row for record in records if isinstance(record, Rows) for row in rows(record)]


def values(records: list[Record], key: str) -> list[float]:
    return [value for row in rows_of(records) if (value := row.values.get(key)) is not None]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RUNVITALS_")}
    return {**kept, "RUNVITALS_HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **more}


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Launch]]:
    """Both at once, as most of their time goes into imports."""
    folder = tmp_path_factory.mktemp("launches")
    port, homes = free_port(), {name: folder / name for name in ("hosts", "killed")}
    started: dict[str, list[subprocess.Popen[str]]] = {"hosts": [], "killed": []}
    for rank in range(2):
        where = {
            "RANK": str(rank),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        environ = environment(homes["hosts"], **where, HOSTS="node-a,node-b")
        command = [sys.executable, TRAINING, str(folder / "out")]
        started["hosts"].append(subprocess.Popen(command, env=environ, text=True, stderr=subprocess.PIPE))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, TRAINING, str(folder / "out")]
    environ = environment(homes["killed"], DIES="1:6", STEPS="10000")
    started["killed"].append(subprocess.Popen(command, env=environ, text=True, stderr=subprocess.PIPE))
    try:
        told = {
            name: [process.communicate(timeout=LONGEST_S)[1] for process in those] for name, those in started.items()
        }
        yield {
            name: Launch(home=homes[name], exits=[process.returncode for process in those], stderr="".join(told[name]))
            for name, those in started.items()
        }
    finally:
        for process in (*started["hosts"], *started["killed"]):
            process.kill()


def test_every_process_writes_its_own_times_into_one_run(launches: dict[str, Launch]) -> None:
    launch = launches["hosts"]
    assert launch.exits == [0, 0]
    assert len(list(launch.home.glob("journal/*"))) == 1
    told = launch.records()
    assert sorted(told) == [0, 1]
    for records in told.values():
        steps = [row.step for row in rows_of(records) if "perf/step_time_s" in row.values]
        assert steps == list(range(1, 13))
        assert len(values(records, "perf/forward_time_s")) == 12
    assert launch.stderr.count("is written to") == 1


def test_the_other_process_repeats_nothing_of_what_the_first_one_says(launches: dict[str, Launch]) -> None:
    other = launches["hosts"].records()[1]
    logged = {key for row in rows_of(other) if row.step is not None for key in row.values}
    assert logged == {"perf/step_time_s", "perf/data_wait_s", "perf/forward_time_s", "perf/optimizer_time_s"}
    start = other[0]
    assert isinstance(start, Start)
    assert (start.config, start.name, start.project) == ({}, "ranks", "p")
    kinds = {record.kind for record in other if isinstance(record, Event)}
    assert kinds - {"absent"} == {"finish"}  # where there is no GPU, each host's sampler says so


def test_the_first_process_of_each_host_samples_it(launches: dict[str, Launch]) -> None:
    for rank, records in launches["hosts"].records().items():
        start = records[0]
        assert isinstance(start, Start)
        assert start.info["host"] == ("node-a", "node-b")[rank]
        assert values(records, "host/memory_used_gib")


def test_a_straggler_shows_in_its_own_wait_and_not_in_the_step_that_all_share(launches: dict[str, Launch]) -> None:
    told = launches["hosts"].records()
    waits = [statistics.median(values(told[rank], "perf/data_wait_s")) for rank in range(2)]
    steps = [statistics.median(values(told[rank], "perf/step_time_s")) for rank in range(2)]
    assert waits[1] > 0.028
    assert waits[1] > 2 * waits[0]
    assert steps[0] == pytest.approx(steps[1], rel=0.3)


def test_a_process_that_is_killed_leaves_what_it_wrote_and_a_run_that_crashed(launches: dict[str, Launch]) -> None:
    launch = launches["killed"]
    assert launch.exits != [0]
    told = launch.records()
    assert len(values(told[1], "perf/step_time_s")) in (5, 6)  # its callback may come before ours
    assert not [record for record in told[1] if isinstance(record, Event) and record.kind == "finish"]
    store = open_store(f"sqlite:///{launch.home / 'test.db'}")
    watcher = Watcher(launch.home / "journal", store)
    watcher.run_once()
    (run,) = store.runs()
    assert run.status == "crashed"
    assert "rank/1/perf/data_wait_s" in store.keys(run.id)
    watcher.close()
    store.close()


def test_nothing_of_ours_fails_on_any_rank(launches: dict[str, Launch]) -> None:
    faults = [
        record
        for launch in launches.values()
        for records in launch.records().values()
        for record in records
        if isinstance(record, Event) and record.kind == "fault"
    ]
    assert faults == []
