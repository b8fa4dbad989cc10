"""What is no store of ours is refused with its name and what to do, never with a traceback of a driver."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from runvitals.errors import ForeignStore, NewerStore, SettingsError, StoreError, StoreUnreachable
from runvitals.settings import checked_store_url
from runvitals.store import Store, open_store
from runvitals.store.open import _prepare_file
from runvitals.store.schema import SCHEMA_VERSION


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_store_opens_again_with_what_it_held(store_url: str, batch_of: Any, points_of: Any) -> None:
    first = open_store(store_url)
    first.append(batch_of({"loss": points_of([1.0])}))
    first.close()
    again = open_store(store_url, create=False)
    assert again.read("run", "loss").values.tolist() == [1.0]
    again.close()


def test_a_store_says_what_it_is(store: Store, store_url: str, batch_of: Any, points_of: Any) -> None:
    store.append(batch_of({"loss": points_of([1.0, 2.0])}))
    told = store.describe()
    assert (told["runs"], told["points"], told["schema_version"]) == (1, 2, SCHEMA_VERSION)
    assert told["kind"] == ("SQLite" if store_url.startswith("sqlite") else "PostgreSQL")
    assert told["bytes"] > 0


def test_a_missing_store_is_not_made_where_that_was_not_asked(store_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store there yet"):
        open_store(store_url, create=False)
    assert not (tmp_path / "runvitals.db").exists()


def test_another_programs_database_is_refused(store_url: str) -> None:
    engine = create_engine(checked_store_url(store_url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    engine.dispose()
    with pytest.raises(ForeignStore, match="holds other tables"):
        open_store(store_url)


def test_a_newer_store_is_refused(store: Store, store_url: str) -> None:
    engine = create_engine(checked_store_url(store_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE runvitals_meta SET value = '99' WHERE key = 'schema_version'"))
    engine.dispose()
    with pytest.raises(NewerStore, match="schema 99"):
        open_store(store_url)


@pytest.mark.parametrize("content", [b"{}", b"x" * 5000, b"SQLite format 3\x00" + b"\xff" * 20])
def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ForeignStore, match=r"notes\.txt"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="got a folder"):
        open_store(url_of(tmp_path))


def test_a_file_where_a_folder_should_be_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnreachable, match="cannot be opened"):
        open_store(url_of(tmp_path / "file" / "runvitals.db"))


def filled(path: Path, batch_of: Callable[..., Any], points_of: Callable[..., Any]) -> None:
    """A closed store with two chunks of a series that does not compress."""
    store = open_store(url_of(path))
    values = np.random.default_rng(2).normal(size=10_000)
    store.append(batch_of({"loss": points_of(values)}))
    store.close()


def test_many_that_create_the_file_at_once_all_get_it(tmp_path: Path) -> None:
    for number in range(100):  # without a second try about one round in eight fails
        barrier = threading.Barrier(8)

        def create(path: Path = tmp_path / f"{number}.db", barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            _prepare_file(path, create=True)

        with ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(create) for _ in range(8)]:
                done.result()


def test_a_store_cut_short_is_refused_by_name(tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    path = tmp_path / "cut.db"
    filled(path, batch_of, points_of)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ForeignStore, match=r"cut\.db.*cut short"):
        open_store(url_of(path))


@pytest.mark.parametrize("level", [-1, 0, 1])
def test_a_damaged_blob_names_the_file_and_the_series(
    tmp_path: Path, batch_of: Any, points_of: Any, level: int
) -> None:
    path = tmp_path / "bad.db"
    filled(path, batch_of, points_of)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE blocks SET data = zeroblob(40) WHERE level = ?", (level,))
    connection.commit()
    connection.close()
    store = open_store(url_of(path))
    with pytest.raises(ForeignStore, match=r"bad\.db.*'loss' of run 'run'"):
        if level == 1:
            store.envelope("run", ["loss"], n=20)
        else:
            store.read("run", "loss")
    assert store.run("run").name == "run"
    store.close()


def test_a_damaged_page_is_named(tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    path = tmp_path / "page.db"
    filled(path, batch_of, points_of)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(ForeignStore, match=r"page\.db"):
        store = open_store(url_of(path))
        store.runs()


def test_a_server_that_does_not_answer_is_unreachable_and_no_password_is_told() -> None:
    with pytest.raises(StoreUnreachable) as caught:
        open_store("postgresql://someone:hunter2@127.0.0.1:9/db?password=hunter3")
    assert "hunter" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(SettingsError):
        open_store("mysql://localhost/db")


def test_a_password_is_not_described(store_url: str) -> None:
    store = open_store(store_url.replace("postgres:@", "postgres:hunter2@"))
    assert "hunter2" not in str(store.describe())
    store.close()


def test_a_file_that_is_moved_away_is_missed_and_found_again(tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    path = tmp_path / "runvitals.db"
    store = open_store(url_of(path))
    store.append(batch_of({"loss": points_of([1.0])}))
    away = tmp_path / "away"
    away.mkdir()
    for file in tmp_path.glob("runvitals.db*"):
        file.rename(away / file.name)
    for _ in range(2):
        with pytest.raises(StoreUnreachable, match="cannot be opened"):
            store.runs()
    assert not path.exists(), "nobody makes an empty one in its place"
    for file in sorted(away.iterdir(), reverse=True):
        file.rename(tmp_path / file.name)
    assert [run.id for run in store.runs()] == ["run"]
    store.append(batch_of({"loss": points_of([2.0], steps=[1])}, first_seq=2))
    store.close()
    again = open_store(url_of(path), create=False)
    assert again.read("run", "loss").values.tolist() == [1.0, 2.0]
    again.close()


def test_another_file_in_the_place_of_the_store_is_read_at_once(tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    store = open_store(url_of(tmp_path / "runvitals.db"))
    store.append(batch_of({"loss": points_of([1.0])}))
    other = open_store(url_of(tmp_path / "other.db"))
    other.close()
    for file in tmp_path.glob("runvitals.db*"):
        file.rename(tmp_path / f"old-{file.name}")
    (tmp_path / "other.db").rename(tmp_path / "runvitals.db")
    assert store.runs() == []
    store.close()
    old = open_store(url_of(tmp_path / "old-runvitals.db"), create=False)
    assert [run.id for run in old.runs()] == ["run"]
    old.close()
