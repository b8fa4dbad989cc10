"""Stores for the tests: every test that asks for `store` runs on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from runvitals.settings import checked_store_url
from runvitals.store import Store, open_store
from runvitals.store.types import Batch, SeriesPoints
from tests.postgres_server import postgres_server

BACKENDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL server that lives as long as the session; its socket is in a folder of its own."""
    with postgres_server("runvitals-postgres-") as server:
        yield server.get_uri()


def empty_postgres(url: str) -> str:
    """The URL, after everything in the server's database has been dropped."""
    engine = create_engine(checked_store_url(url))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


def place_for_store(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an empty store of the backend that the fixture is parametrised with."""
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'runvitals.db'}"
    return empty_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=BACKENDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place_for_store(request, tmp_path)


@pytest.fixture
def store(store_url: str, migrated: Path) -> Iterator[Store]:
    if store_url.startswith("sqlite"):
        copy(migrated, store_url.removeprefix("sqlite:///"))
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path, migrated: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{copy(migrated, tmp_path / 'runvitals.db')}")
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path, migrated: Path) -> Iterator[Store]:
    """A second, empty, embedded store."""
    opened = open_store(f"sqlite:///{copy(migrated, tmp_path / 'other.db')}")
    yield opened
    opened.close()


def points_of(values: Sequence[float], steps: Sequence[int] | None = None, times_s: Any = None) -> SeriesPoints:
    """Points of a series; steps count from 0 and times from 1,000 s on where they are not given."""
    size = len(values)
    return SeriesPoints(
        steps=np.arange(size, dtype=np.int64) if steps is None else np.asarray(steps, np.int64),
        times_s=1000.0 + np.arange(size) if times_s is None else np.asarray(times_s, np.float64),
        values=np.asarray(values, np.float64),
    )


def batch_of(
    series: Mapping[str, SeriesPoints] | None = None, *, run_id: str = "run", first_seq: int = 1, **changes: Any
) -> Batch:
    """A batch of one record a row; the first of a writer holds its start."""
    series = series or {}
    rows = max((points.values.size for points in series.values()), default=0)
    start = {"project": "demo", "name": run_id, "config": {"lr": 1e-4}, "info": {"pid": 7}, "time_s": 1000.0}
    fields: dict[str, Any] = {
        "run_id": run_id,
        "writer_id": "writer",
        "first_seq": first_seq,
        "last_seq": first_seq + max(rows, 1) - 1,
        "position": {"offset": first_seq},
        "series": series,
        "rows": rows,
        "start": start if first_seq == 1 else None,
    }
    return Batch(**{**fields, **changes})


@pytest.fixture(scope="session")
def place_of() -> Callable[..., str]:
    return place_for_store


@pytest.fixture(scope="session", name="points_of")
def _points_of() -> Callable[..., SeriesPoints]:
    return points_of


@pytest.fixture(scope="session", name="batch_of")
def _batch_of() -> Callable[..., Batch]:
    return batch_of
