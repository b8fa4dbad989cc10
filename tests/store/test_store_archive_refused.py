"""What is no archived run, is damaged, forged or cannot be written is named and leaves nothing behind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runvitals.errors import StoreError, UnknownRun
from runvitals.store import Store
from runvitals.store.archive import Archive, archive, restore
from tests.store.archived import alert, everything, fill, is_empty


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


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_lost(
    sqlite_store: Store, tmp_path: Path, batch_of: Any, points_of: Any
) -> None:
    fill(sqlite_store, batch_of, points_of, size=100)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        archive(sqlite_store, "run", tmp_path / "file" / "folder")
    assert sqlite_store.run("run").status == "finished"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(sqlite_store: Store, tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    fill(sqlite_store, batch_of, points_of, size=10)
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        archive(sqlite_store, "run", folder)


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
