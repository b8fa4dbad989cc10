"""`runvitals runs QUERY` answers as the Runs page does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runvitals.cli import app
from runvitals.errors import SettingsError
from runvitals.found_runs import found_runs
from runvitals.store import Store, open_store
from runvitals.store.types import Batch


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three ended runs that differ in their learning rate; one is archived, one tagged."""
    opened = open_store(f"sqlite:///{tmp_path / 'runvitals.db'}")
    for number, name in enumerate(("slow", "middle", "fast")):
        start = {"project": "p", "name": name, "config": {"learning_rate": 10.0 ** (number - 6)}, "info": {}}
        start |= {"time_s": 100.0 + number}
        opened.append(Batch(run_id=name, writer_id="w", first_seq=1, last_seq=1, position={}, start=start))
        opened.set_run(name, status="finished")
    opened.archive_runs(["slow"], 5.0)
    opened.tag_runs(["fast"], add=["base line"])
    return opened


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("", ["fast", "middle"]),
        ("lr>5e-6", ["fast", "middle"]),
        ("lr<5e-6", []),
        ("is:archived lr<5e-6", ["slow"]),
        ('tag:"base line"', ["fast"]),
        ("-tag:x status:finished mid", ["middle"]),
    ],
)
def test_a_query_finds_what_the_page_finds(store: Store, query: str, answer: list[str]) -> None:
    assert [run.name for run in found_runs(store, query)] == answer


def test_a_deleted_run_is_not_listed(store: Store) -> None:
    store.delete_later(["fast"], 9e9)
    assert [run.name for run in found_runs(store, "")] == ["middle"]
    assert [run.name for run in found_runs(store, "is:deleted")] == ["fast"]


def test_a_query_that_means_nothing_is_refused_and_a_part_of_one_is_told(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match="no column, signal or setting is called foo"):
        found_runs(store, "foo:1")
    assert [run.name for run in found_runs(store, "foo:1 fast")] == ["fast"]
    assert "left out foo:1" in capsys.readouterr().err


def test_json_has_one_run_a_line_with_its_settings_and_no_number_that_json_lacks(store: Store, tmp_path: Path) -> None:
    start = {
        "project": "p",
        "name": "<odd>\n",
        "config": {"lr": float("nan"), "deep": [{"x": float("-inf")}]},
        "info": {},
    }
    batch = Batch(run_id="odd", writer_id="w", first_seq=1, last_seq=1, position={}, start={**start, "time_s": 200.0})
    store.append(batch)
    listed = CliRunner().invoke(app, ["runs", "--json", "--home", str(tmp_path)])
    found = [json.loads(line, parse_constant=pytest.fail) for line in listed.stdout.splitlines()]
    assert [run["name"] for run in found] == ["<odd>\n", "fast", "middle"]
    assert found[0]["config"] == {"lr": "NaN", "deep": [{"x": "-Infinity"}]}
    assert (found[1]["tags"], found[1]["status"], found[1]["step"]) == (["base line"], "finished", None)
    asked = CliRunner().invoke(app, ["runs", "is:archived", "--json", "--home", str(tmp_path)])
    assert [json.loads(line)["id"] for line in asked.stdout.splitlines()] == ["slow"]
    assert CliRunner().invoke(app, ["runs", "nobody", "--json", "--home", str(tmp_path)]).stdout == ""
