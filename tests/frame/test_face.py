"""The public face: names, settings, errors."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import runvitals
from runvitals import errors
from runvitals.settings import Settings, checked_store_url


def test_public_names_are_those_listed() -> None:
    for name in runvitals.__all__:
        assert getattr(runvitals, name) is not None
    assert set(runvitals._HOMES) - {"open"} == set(runvitals.__all__)


def test_star_import_leaves_pythons_open_alone() -> None:
    names: dict[str, object] = {}
    exec("from runvitals import *", names)
    assert "open" not in names
    assert callable(runvitals.open)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        runvitals.nothing  # noqa: B018


def test_init_says_once_where_it_writes_and_how_to_watch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        run = runvitals.init(name="first", home=tmp_path / "a home")
        run.finish()
        said = capfd.readouterr().err
        where = f"run 'first' is written to {run.path}; to watch it: runvitals up --home '{tmp_path}/a home'\n"
        assert said == (f"runvitals: {where}" if rank == "0" else "")


def test_every_error_belongs_to_the_family() -> None:
    family = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(family) > 5
    assert all(issubclass(kind, errors.RunvitalsError) for kind in family)


def test_home_and_store_come_from_the_environment(tmp_path: Path) -> None:
    settings = Settings.from_environment({"RUNVITALS_HOME": str(tmp_path), "RUNVITALS_NOTIFY": "json://a json://b"})
    assert settings.store == f"sqlite:///{tmp_path / 'runvitals.db'}"
    assert settings.journals == tmp_path / "journal"
    assert settings.notify == ("json://a", "json://b")


def test_named_store_goes_before_database_url(tmp_path: Path) -> None:
    environ = {"RUNVITALS_STORE": "sqlite:////a/b.db", "DATABASE_URL": "postgres://u:p@h/d"}
    assert Settings.from_environment(environ, home=tmp_path).store == "sqlite:////a/b.db"
    del environ["RUNVITALS_STORE"]
    assert Settings.from_environment(environ, home=tmp_path).store == "postgresql+psycopg://u:p@h/d"


def test_store_url_of_another_kind_is_refused_without_its_secrets() -> None:
    with pytest.raises(errors.SettingsError, match="scheme 'mysql'") as caught:
        checked_store_url("mysql://user:secret@host/db")
    assert "secret" not in str(caught.value)
