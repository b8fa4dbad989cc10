"""delete, gc, archive, restore and doctor as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import runvitals
from runvitals.cli import app
from runvitals.errors import RunvitalsError, SettingsError, StoreError
from runvitals.housekeeping import seconds, size
from runvitals.store.open import open_store


def vitals(home: Path, *words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, [*words, "--home", str(home)], input=answer)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two ended runs in its store, one of them with a name that means something to a shell, a path and a markup."""
    for name in ("plain", "../[red]$(x)"):
        run = runvitals.init(name=name, home=tmp_path)
        for step in range(30):
            run.log({"loss": 1.0 / (step + 1)}, step=step)
        run.finish()
    assert vitals(tmp_path, "watch", "--once").exit_code == 0
    return tmp_path


def names(home: Path) -> list[str]:
    store = open_store(f"sqlite:///{home / 'runvitals.db'}")
    try:
        return sorted(run.name for run in store.runs())
    finally:
        store.close()


def test_delete_asks_and_takes_no_for_an_answer(home: Path) -> None:
    asked = vitals(home, "delete", "plain", answer="n\n")
    assert asked.exit_code == 1
    assert "Delete 1 run" in asked.output
    assert names(home) == ["../[red]$(x)", "plain"]


def test_delete_wants_a_whole_name(home: Path) -> None:
    refused = vitals(home, "delete", "pl", "--yes")
    assert isinstance(refused.exception, StoreError)
    assert "whole id or name" in str(refused.exception)
    assert names(home) == ["../[red]$(x)", "plain"]


def test_archive_remove_restore_brings_the_run_back(home: Path) -> None:
    put_away = vitals(home, "archive", "../[red]$(x)", "--to", str(home / "backup"), "--remove")
    assert put_away.exit_code == 0
    assert "run removed" in put_away.output
    assert names(home) == ["plain"]
    (path,) = (home / "backup").iterdir()
    assert path.suffix == ".parquet"
    table = pd.read_parquet(path)
    assert table[table["key"] == "loss"]["step"].tolist() == list(range(30))
    brought = vitals(home, "restore", str(path))
    assert brought.exit_code == 0
    assert "restored ../[red]$(x)" in brought.output
    assert names(home) == ["../[red]$(x)", "plain"]
    again = vitals(home, "restore", str(path), str(home / "runvitals.db"))
    assert again.exit_code == 1
    assert "is in the store already" in again.output
    assert "cannot be read as an archived run" in again.output


def test_gc_says_what_it_freed(home: Path) -> None:
    assert "leases that ran out" in vitals(home, "gc").output
    assert "Nothing to remove" in vitals(home, "gc").output
    dry = vitals(home, "gc", "--dry-run", "--older-than", "0h")
    assert dry.exit_code == 0
    assert "would be freed" in dry.output
    assert names(home) == ["../[red]$(x)", "plain"]


def test_doctor_says_how_it_is_by_exit_code_and_json(home: Path) -> None:
    told = vitals(home, "doctor", "--json")
    findings = json.loads(told.output)
    assert told.exit_code == int(any(one["level"] == "wrong" for one in findings))
    assert {one["part"] for one in findings} == {"home", "store", "journals", "watchers", "receivers"}
    assert [one for one in findings if one["part"] == "store" and one["level"] == "wrong"] == []
    (home / "runvitals.db").write_bytes(b"x" * 5000)
    broken = vitals(home, "doctor")
    assert broken.exit_code == 1
    assert "is not a SQLite database" in " ".join(broken.output.split())


@pytest.mark.parametrize("command", [("delete", "x"), ("gc",), ("archive", "x")])
def test_a_home_without_a_store_gets_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    refused = vitals(tmp_path, *command)
    assert isinstance(refused.exception, RunvitalsError)
    assert "no store there yet" in str(refused.exception)
    assert not (tmp_path / "runvitals.db").exists()


def test_ages_and_sizes() -> None:
    assert [seconds(age) for age in ("12h", "90d", "6w")] == [43_200.0, 7_776_000.0, 3_628_800.0]
    assert [size(number) for number in (5, 2048, 3 << 20, 5 << 30)] == ["5 bytes", "2.0 KiB", "3.0 MiB", "5.0 GiB"]


@pytest.mark.parametrize("age", ["", "90", "d", "-1d", "1.5d", "90 d", "1y"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(SettingsError, match="--older-than"):
        seconds(age)
