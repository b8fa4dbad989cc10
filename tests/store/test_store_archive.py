"""A run goes to one file and comes back to the bit, from either database to either; what is no such file leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runvitals.collectors.records import NONE_VALUE
from runvitals.errors import StoreError, UnknownRun
from runvitals.store import Store, open_store
from runvitals.store.archive import PART_BYTES, Archive, archive, file_name, restore
from runvitals.store.export import Exported
from runvitals.store.json_text import dumps
from runvitals.store.types import AlertRow, EventRow, Mute, SeriesPoints

ODD = [1.0, NONE_VALUE, float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1.7e308]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """A second, empty, embedded store."""
    opened = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    yield opened
    opened.close()


def alert(run_id: str) -> AlertRow:
    return AlertRow(
        id=f"{run_id}:loss_spike:loss:3@1",
        run_id=run_id,
        rule="loss_spike",
        signal="loss",
        severity="critical",
        state="firing",
        incident=f"{run_id}:loss_spike:loss:3@1",
        onset_step=3,
        onset_s=1001.0,
        fired_step=4,
        fired_s=1002.0,
        resolved_step=None,
        resolved_s=None,
        detail={"title": "Spike", "evidence": {"value": float("nan"), "limit": float("inf")}, "remedies": []},
    )


def fill(store: Store, batch_of: Any, points_of: Any, *, size: int = 40_000) -> None:
    """An ended run with every kind of row: several writers, steps that go back, odd values, rows without a step, what people did."""
    values = np.random.default_rng(5).normal(size=size)
    steps = np.arange(size)
    values[: len(ODD)] = ODD
    series = {
        "loss": points_of(values, steps),
        "grad_norm": points_of(values / 2, steps),
        "gpu/0/power_w": points_of(values[:300], np.full(min(size, 300), -1)),
    }
    event = EventRow(run_id="run", writer_id="writer", seq=3, time_s=1003.0, step=None, kind="config", data={"β": 0.1})
    store.append(batch_of(series, events=(event,), first_seq=1))
    back = points_of([7.0, 7.0, 8.0], [size // 2, size // 2, size // 2 + 1], [9e5, 9e5, 9e5 - 3])
    store.append(batch_of({"loss": back, "late": points_of([0.5])}, writer_id="second"))
    store.put_alerts([alert("run")])
    store.acknowledge("run:loss_spike:loss:3@1", "seen\u2028it", 2000.0)
    store.mute("run:loss_spike:loss:3@1", 1e10, 2001.0)
    store.tick("run:loss_spike:loss:3@1", 1, True, 2002.0)
    store.add_mute(Mute(run_id="run", rule="loss_spike", since_s=2002.0, until_s=1e9, who="ada", note="known"))
    store.tag_runs(["run"], add=["<b>tag</b>", "β"])
    store.group_runs(["run"], "sweep")
    store.describe_run("run", "what it is about")
    store.mark_told("slack://secret", [("run:loss_spike:loss:3@1", "firing")], 7.0)
    store.add_note("run", "a note\nwith <b>markup</b>", 5, 2003.0)
    store.set_run("run", status="finished", ended_s=2004.0, health="critical", alerts=1, rules=[{"rule": "loss_spike"}])
    store.archive_runs(["run"], 2005.0)


def bits(points: SeriesPoints) -> tuple[bytes, ...]:
    return points.steps.tobytes(), points.times_s.tobytes(), points.values.tobytes()


def everything(store: Store, run_id: str = "run") -> dict[str, Any]:
    """All that a store says of a run, comparable: numbers as bits and words."""
    with store.export(run_id) as run:
        tables = repr(run.tables)
    keys = sorted(store.keys(run_id))
    given = store.since(run_id, keys, {})
    drawn = {
        generation: repr(store.drawn(run_id, keys, n=50, generation=generation))
        for generation in ("current", "superseded", "all")
    }
    notes = [replace(note, id=0) for note in store.notes(run_id)]
    events = [replace(event, id=0) for event in store.events(run_id)]
    mutes = [replace(mute, id=0) for mute in store.mutes()]
    told = (store.run(run_id), store.alerts(run_id=run_id), mutes, notes, events, store.writers(run_id))
    return {
        "tables": tables,
        "points": {key: bits(given.points[key]) for key in keys},
        "drawn": drawn,
        "told": repr(told),
    }


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


def test_a_live_run_and_an_unknown_one_are_not_archived(sqlite_store: Store, tmp_path: Path, batch_of: Any) -> None:
    sqlite_store.append(batch_of({}))
    with pytest.raises(StoreError, match="archive it when it has ended"):
        archive(sqlite_store, "run", tmp_path / "files")
    with pytest.raises(UnknownRun):
        archive(sqlite_store, "nobody", tmp_path / "files")
    assert not (tmp_path / "files").exists()


@pytest.fixture
def file(sqlite_store: Store, tmp_path: Path, batch_of: Any, points_of: Any) -> Path:
    """The file of a run that its store has no more."""
    fill(sqlite_store, batch_of, points_of, size=5000)
    path = archive(sqlite_store, "run", tmp_path / "files")
    sqlite_store.delete_run("run")
    return path


def test_a_file_that_exists_is_never_overwritten(sqlite_store: Store, file: Path) -> None:
    restore(sqlite_store, file)
    before = file.read_bytes()
    with pytest.raises(StoreError, match="exists already"):
        archive(sqlite_store, "run", file.parent)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_run_that_the_store_has_is_refused_and_stays(sqlite_store: Store, file: Path) -> None:
    restore(sqlite_store, file)
    sqlite_store.add_note("run", "since", None, 3000.0)
    before = everything(sqlite_store)
    with pytest.raises(StoreError, match="is in the store already"):
        restore(sqlite_store, file)
    assert everything(sqlite_store) == before


def is_empty(store: Store) -> bool:
    told = store.describe()
    return (told["runs"], told["points"]) == (0, 0) and store.examine_rest() == [] and store.alerts() == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_cut_short_leaves_nothing_behind(sqlite_store: Store, file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(StoreError, match=file.name):
        restore(sqlite_store, file)
    assert is_empty(sqlite_store)


def test_a_flipped_byte_anywhere_is_noticed_or_harmless(sqlite_store: Store, other: Store, file: Path) -> None:
    content = file.read_bytes()
    restore(other, file)
    whole = everything(other)
    noticed = 0
    for at in np.random.default_rng(3).integers(0, len(content), 60).tolist():
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        file.write_bytes(damaged)
        try:
            restore(sqlite_store, file)
        except StoreError:
            noticed += 1
            assert is_empty(sqlite_store)
        else:  # a byte that says nothing of the run, such as the name of the program that wrote the file
            assert everything(sqlite_store) == whole
            sqlite_store.delete_run("run")
    assert noticed > 40


def rewritten(path: Path, **changes: Any) -> None:
    """Writes the file anew with changed rows of tables, digests right: what a forger would do."""
    from runvitals.store import archive as module

    found = Archive(path)
    tables, stripes = found.tables(), list(found.stripes())
    for name, change in changes.items():
        for row in tables[name]:
            row.update(change)
    digest = module._Digest()
    path.unlink()
    with pq.ParquetWriter(path, module._SCHEMA) as writer:
        for stripe in stripes:
            digest.add(stripe)
            writer.write_table(module._table(stripe))
        writer.add_key_value_metadata(module._metadata(tables, points=found.points, digest=digest.text()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": {"status": "running"}}, "has ended"),
        ({"runs": {"status": "<script>"}}, r"runs\.status: expected one of"),
        ({"runs": {"health": "superb"}}, r"runs\.health"),
        ({"runs": {"created_s": float("nan")}}, r"runs\.created_s: expected a finite number"),
        ({"runs": {"last_step": 2**70}}, r"runs\.last_step: expected a whole number"),
        ({"runs": {"color": 2**40}}, r"runs\.color: .*32 bits"),
        ({"runs": {"config": [1]}}, r"runs\.config: expected a JSON object"),
        ({"runs": {"rules": ["x"]}}, r"runs\.rules"),
        ({"runs": {"name": None}}, r"runs\.name: expected text"),
        ({"runs": {"owner": "x"}}, "expected rows with the columns"),
        ({"alerts": {"severity": "mild"}}, r"alerts\.severity"),
        ({"alerts": {"history": [{"text": "x"}]}}, r"alerts\.history"),
        ({"notifications": {"alert_id": "another run's"}}, "own alerts"),
        ({"series": {"count": 3}}, "the points are not those"),
        ({"series": {"rewinds": "AAAA"}}, r"series\.rewinds"),
        ({"series": {"key": "same"}}, "differ in their keys|the points are not those"),
        ({"events": {"data": "text"}}, r"events\.data"),
    ],
)
def test_a_forged_value_is_named_and_leaves_nothing_behind(
    sqlite_store: Store, file: Path, changes: dict[str, Any], message: str
) -> None:
    rewritten(file, **changes)
    with pytest.raises(StoreError, match=message):
        restore(sqlite_store, file)
    assert is_empty(sqlite_store)


def test_an_alert_of_another_run_is_not_taken_over(sqlite_store: Store, file: Path, batch_of: Any) -> None:
    sqlite_store.append(batch_of({}, run_id="innocent"))
    sqlite_store.put_alerts([replace(alert("innocent"), id=alert("run").id)])
    with pytest.raises(StoreError, match="in the store already, with another run"):
        restore(sqlite_store, file)
    assert [run.id for run in sqlite_store.runs()] == ["innocent"]
    assert [row.run_id for row in sqlite_store.alerts()] == ["innocent"]


def test_a_newer_files_version_is_named(sqlite_store: Store, file: Path) -> None:
    table = pq.read_table(file)
    head = {**(table.schema.metadata or {}), b"runvitals": b'{"format":"runvitals run","version":9}'}
    pq.write_table(table.replace_schema_metadata(head), file)
    with pytest.raises(StoreError, match="newer runvitals"):
        restore(sqlite_store, file)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000, b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_another_kind_of_file_is_named(sqlite_store: Store, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"holiday\.jpg"):
        restore(sqlite_store, path)
    with pytest.raises(StoreError, match="cannot be read"):
        restore(sqlite_store, tmp_path / "missing.parquet")


def test_another_programs_parquet_is_named(sqlite_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(StoreError, match="no run that `runvitals archive` wrote"):
        restore(sqlite_store, path)


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


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_lost(
    sqlite_store: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(sqlite_store, batch_of, points_of, size=100)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        archive(sqlite_store, "run", tmp_path / "file" / "folder")
    assert sqlite_store.run("run").status == "finished"


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(sqlite_store: Store, tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    fill(sqlite_store, batch_of, points_of, size=10)
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        archive(sqlite_store, "run", folder)


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


def test_a_mute_of_another_run_s_alert_is_refused(
    sqlite_store: Store, other: Store, batch_of: Any, points_of: Any
) -> None:
    fill(sqlite_store, batch_of, points_of, size=500)
    with sqlite_store.export("run") as run:
        tables = {name: [dict(row) for row in rows] for name, rows in run.tables.items()}
        stripes = list(run.stripes())
    tables["mutes"][0]["alert_id"] = "another's"
    with pytest.raises(StoreError, match="own alerts"):
        other.restore(tables, stripes)
    assert other.runs() == []
