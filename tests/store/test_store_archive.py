"""A run goes to one file and comes back to the bit, from database to database, or not at all."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runvitals.store import Store, open_store
from runvitals.store.archive import PART_BYTES, Archive, archive, file_name, restore
from runvitals.store.export import Exported
from runvitals.store.json_text import dumps
from runvitals.store.types import EventRow, SeriesPoints
from tests.store.archived import everything, fill, is_empty


def test_a_run_comes_back_to_the_bit_into_another_store(
    store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(store, batch_of, points_of)
    path = archive(store, "run", tmp_path / "files")
    assert restore(other, path) == "run"
    assert everything(other) == everything(store)
    assert other.told("run", "slack://secret") == {("run:loss_spike:loss:3@1", "firing"): 7.0}
    assert [wrong for _, found in other.examine("run") for wrong in found] == []


def test_a_run_comes_back_into_either_database(
    sqlite_store: Store, store_url: str, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(sqlite_store, batch_of, points_of, size=5000)
    before = everything(sqlite_store)
    path = archive(sqlite_store, "run", tmp_path / "files")
    sqlite_store.delete_run("run")
    target = open_store(store_url)
    restore(target, path)
    assert everything(target) == before
    target.close()


def test_a_run_whose_newest_value_is_negative_zero_comes_back(
    sqlite_store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    sqlite_store.append(batch_of({"x": points_of([1.0, -0.0], [1, 2])}))
    sqlite_store.set_run("run", status="finished")
    restore(other, archive(sqlite_store, "run", tmp_path))
    assert everything(other) == everything(sqlite_store)


def test_a_compacted_run_comes_back_as_small_as_it_was(
    sqlite_store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(sqlite_store, batch_of, points_of)
    before = everything(sqlite_store)
    sqlite_store.compact("run")
    restore(other, archive(sqlite_store, "run", tmp_path))
    assert everything(other) == before
    with sqlite3.connect(tmp_path / "other.db") as connection:
        (tails,) = connection.execute("SELECT count(*) FROM tails WHERE length(data) > 1 + 24 * 16").fetchone()
    assert tails == 0


def test_pandas_reads_the_file_directly(store: Store, tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    fill(store, batch_of, points_of)
    table = pd.read_parquet(archive(store, "run", tmp_path))
    assert list(table.columns) == ["key", "step", "time_s", "value"]
    loss = table[table["key"] == "loss"]
    assert loss["value"].to_numpy().tobytes() == store.since("run", ["loss"], {}).points["loss"].values.tobytes()
    assert loss["step"].tolist()[-3:] == [20_000, 20_000, 20_001]
    assert table[table["key"] == "gpu/0/power_w"]["step"].isna().all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=40, max_size=40),
    steps=st.lists(st.integers(-1, 5), min_size=40, max_size=40),
    cuts=st.lists(st.integers(1, 39), max_size=3, unique=True),
)
def test_any_points_come_back(
    sqlite_store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any, words: Any, steps: Any, cuts: Any
) -> None:
    points = points_of(np.array(words, np.int64).view(np.float64), steps)
    for number, (start, stop) in enumerate(pairwise([0, *sorted(cuts), 40])):
        part = SeriesPoints(
            steps=points.steps[start:stop], times_s=points.times_s[start:stop], values=points.values[start:stop]
        )
        sqlite_store.append(batch_of({"x": part}, writer_id=f"writer{number}"))
    sqlite_store.set_run("run", status="stopped")
    path = archive(sqlite_store, "run", tmp_path)
    restore(other, path)
    came, went = everything(other), everything(sqlite_store)
    path.unlink()
    for one in (sqlite_store, other):
        one.delete_run("run")
    assert came == went


def test_json_longer_than_a_part_is_split_and_joined(
    sqlite_store: Store, other: Store, tmp_path: Path, batch_of: Any
) -> None:
    text = "é" * (PART_BYTES // 3)  # six bytes each as JSON
    event = EventRow(run_id="run", writer_id="writer", seq=1, time_s=1.0, step=1, kind="completions", data={"t": text})
    sqlite_store.append(batch_of({}, events=(event,)))
    sqlite_store.set_run("run", status="finished")
    path = archive(sqlite_store, "run", tmp_path)
    names = pq.read_metadata(path).metadata
    assert b"runvitals.events.2" in names
    assert max(map(len, names.values())) <= max(PART_BYTES, len(names.get(b"ARROW:schema", b"")))
    assert pd.read_parquet(path).empty
    restore(other, path)
    assert other.events("run")[0].data == {"t": text}


def test_series_of_the_same_rows_share_their_clock_again(
    sqlite_store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    values = np.random.default_rng(1).normal(size=50_000)
    sqlite_store.append(batch_of({f"key{number}": points_of(values) for number in range(8)}))
    sqlite_store.set_run("run", status="finished")
    restore(other, archive(sqlite_store, "run", tmp_path))
    assert other.describe()["bytes"] < 1.1 * sqlite_store.describe()["bytes"]


def test_an_export_shows_one_moment(sqlite_store: Store, batch_of: Any, points_of: Any) -> None:
    sqlite_store.append(batch_of({"loss": points_of([1.0, 2.0])}))
    with sqlite_store.export("run") as run:
        assert isinstance(run, Exported)
        sqlite_store.append(batch_of({"loss": points_of([3.0])}, first_seq=3))
        assert run.points == 2
        (stripe,) = run.stripes()
        assert stripe["loss"].values.tolist() == [1.0, 2.0]


def as_version_1(path: Path) -> None:
    """Rewrites the file as the first version wrote it: without what people keep with runs, a mute as a column of its alert."""
    table, metadata = pq.read_table(path), dict(pq.read_metadata(path).metadata)
    head = json.loads(metadata[b"runvitals"])
    tables = Archive(path).tables()
    for row in tables["runs"]:
        for name in ("tags", "group", "description", "archived_s"):
            del row[name]
    for row in tables["alerts"]:
        del row["acknowledged_by"]
        row["muted_until_s"] = 1e10
    for row in tables["notifications"]:
        del row["sent_s"]
    del tables["mutes"], head["tables"]["mutes"]
    for name, rows in tables.items():
        text = dumps(rows).encode()
        assert len(text) < PART_BYTES
        metadata[f"runvitals.{name}.0".encode()] = text
        head["tables"][name] = {"parts": 1, "digest": hashlib.blake2b(text, digest_size=16).hexdigest()}
    metadata[b"runvitals"] = dumps({**head, "version": 1}).encode()
    with pq.ParquetWriter(path, table.schema.remove_metadata()) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({key: value for key, value in metadata.items() if key != b"ARROW:schema"})


def test_a_file_of_the_first_version_comes_back_with_its_mute(
    store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(store, batch_of, points_of, size=500)
    path = archive(store, "run", tmp_path)
    as_version_1(path)
    restore(other, path)
    run = other.run("run")
    assert (list(run.tags), run.group, run.archived_s) == ([], "", None)
    (mute,) = other.mutes()
    assert (mute.alert_id, mute.run_id, mute.until_s) == ("run:loss_spike:loss:3@1", "run", 1e10)
    assert other.alerts()[0].muted_until_s == 1e10
    assert other.told("run", "slack://secret") == {("run:loss_spike:loss:3@1", "firing"): None}
    assert everything(other)["points"] == everything(store)["points"]


def test_a_run_on_its_way_out_is_not_so_in_another_store(
    sqlite_store: Store, other: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(sqlite_store, batch_of, points_of, size=500)
    sqlite_store.delete_later(["run"], 3000.0)
    restore(other, archive(sqlite_store, "run", tmp_path))
    assert other.run("run").delete_after_s is None


POINTS = "60000"


KILLED = """
import os, sys
from pathlib import Path
from runvitals.store import open_store
from runvitals.store.archive import archive, restore
what, url, place, points = sys.argv[1:]
def die(done, total):
    if done >= int(points):
        os.kill(os.getpid(), 9)
store = open_store(url)
if what == "archive":
    archive(store, "run", Path(place), progress=die)
else:
    restore(store, Path(place), progress=die)
"""


def test_a_kill_leaves_no_file_of_that_name_and_no_run(
    store: Store, store_url: str, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(store, batch_of, points_of)
    folder = tmp_path / "files"
    killed = subprocess.run([sys.executable, "-c", KILLED, "archive", store_url, str(folder), POINTS], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(folder.glob("*.parquet")) == []
    before = everything(store)
    path = archive(store, "run", folder)
    store.delete_run("run")
    killed = subprocess.run([sys.executable, "-c", KILLED, "restore", store_url, str(path), POINTS], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert is_empty(store)
    restore(store, path)
    assert everything(store) == before


@pytest.mark.parametrize(
    ("name", "run_id"),
    [("../../etc/passwd", "a"), ("a\x00b", "..."), ("", ""), ("x" * 500, "../" * 100), ("-rf", "~"), ("con\n", "é/é")],
)
def test_file_names_are_safe_and_tell_ids_apart(name: str, run_id: str) -> None:
    found = file_name(name, run_id)
    assert Path(found).name == found
    assert found.isascii()
    assert len(found) < 160
    assert not found.startswith((".", "-"))
    assert file_name(name, run_id) != file_name(name, run_id + "/")
