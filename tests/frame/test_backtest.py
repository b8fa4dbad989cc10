"""`runvitals backtest`: the same alerts as the watcher raised, and what a rules file changes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runvitals.backtest_differences import differences
from runvitals.backtest_job import run_job
from runvitals.cli import app
from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.diagnostics.catalogue import default_rules
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.stored_rows import stored_rows
from runvitals.watch.command import watch_once
from tests.diagnostics.faults import supervised

TIMED = {rule.spec.name for rule in default_rules() if rule.spec.timed}


class Clock:
    """A second passes each time it is asked."""

    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def values(place: int, row: dict[str, float | None]) -> dict[str, Any]:
    """A loss that climbs from row 80 on, a hole and a NaN."""
    if place == 30:
        return {**row, "extra": None}
    if place in (40, 41):
        return {**row, "grad_norm": math.nan}
    return {**row, "loss": (row["loss"] or 0.0) * 1.04 ** max(0, place - 80)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one run that diverges, taken in by a watcher."""
    settings = Settings.from_environment({}, home=tmp_path)
    run = Run(
        settings.journals,
        "p",
        name="climbs",
        config={},
        options=Options(sample=False, heartbeat_s=3600.0, clock=Clock()),
    )
    run.event("trainer", {"kind": "sft", "max_steps": 160}, step=0)
    for place, row in enumerate(supervised(160, seed=3)):
        run.log(values(place, row), step=place + 1)
        if place == 100:
            run.event("eval", {}, step=place + 1)
    run.finish()
    assert watch_once(settings, ()) == 0
    return tmp_path


@pytest.fixture
def store(home: Path) -> Store:
    """The home's store."""
    return open_store(Settings.from_environment({}, home=home).store)


def asked(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of `runvitals backtest`."""
    result = CliRunner().invoke(app, ["backtest", "--home", str(home), *arguments])
    return result.exit_code, result.stdout + str(result.exception or "")


def test_rows_come_back_as_they_were_logged(store: Store) -> None:
    rows = list(stored_rows(store, store.runs()[0].id))
    logged = [values(place, row) for place, row in enumerate(supervised(160, seed=3))]
    assert [row.step for row in rows] == list(range(1, 161))
    assert [row.time_s for row in rows] == sorted(row.time_s for row in rows)
    for row, told in zip(rows, logged, strict=True):
        assert row.values.keys() == told.keys()
        for key, value in told.items():
            read = row.values[key]
            assert (read is None) == (value is None)
            assert read is None or read == value or (math.isnan(read) and math.isnan(value))


def test_it_tells_what_the_watcher_raised(home: Path, store: Store) -> None:
    code, out = asked(home, "climbs", "--json")
    assert code == 0, out
    found = json.loads(out)
    raised = {
        (row.rule, row.severity, row.fired_step)
        for row in store.alerts()
        if row.severity != "info" and row.rule not in TIMED and not row.detail["inhibited_by"]
    }
    assert raised
    assert {(alert["rule"], alert["severity"], alert["step"]) for alert in found["alerts"]} == raised
    assert {alert["change"] for alert in found["alerts"]} == {""}


def test_table_says_when_and_what_was_not_asked(home: Path) -> None:
    code, out = asked(home, "climbs")
    assert code == 0
    for part in ("climbs", "would have fired", "loss_divergence", "Not asked"):
        assert part in out, part


def test_unknown_run_and_missing_rules_file_are_told(home: Path, tmp_path: Path) -> None:
    code, out = asked(home, "nobody")
    assert code != 0 and "none has it" in out
    code, out = asked(home, "climbs", "--rules", str(tmp_path / "none.toml"))
    assert code != 0 and "expected a TOML file" in out


def test_rules_file_is_tried_and_its_changes_are_marked(home: Path, tmp_path: Path) -> None:
    rules = tmp_path / "runvitals.toml"
    rules.write_text('off = ["loss_divergence"]\n')
    code, out = asked(home, "climbs", "--rules", str(rules), "--json")
    assert code == 0, out
    changes = {alert["rule"]: alert["change"] for alert in json.loads(out)["alerts"]}
    assert changes["loss_divergence"] == "gone"


def test_faults_of_a_rules_file_are_told_with_their_line(home: Path, tmp_path: Path) -> None:
    rules = tmp_path / "runvitals.toml"
    rules.write_text("[rules.loss_divergence]\nenabled = maybe\n")
    code, out = asked(home, "climbs", "--rules", str(rules))
    assert code != 0 and "runvitals.toml:2" in out


def told_by_job(store: Store, **request: Any) -> list[dict[str, Any]]:
    """What a back-test for the dashboard tells, in order."""
    told: list[dict[str, Any]] = []
    run_job(store, {"rules": "", "only": "", **request}, lambda line: told.append(json.loads(json.dumps(line))))
    return told


def test_the_job_finds_what_did_fire_and_leaves_it_as_it_is(store: Store) -> None:
    before = store.alerts()
    (info,) = store.runs()
    found, done = told_by_job(store, runs=[info.id])
    assert done == {"kind": "done"}
    assert found["rows"] == 160
    assert {one["change"] for one in found["differences"]} <= {"same", "not asked"}
    assert "loss_divergence" in {one["rule"] for one in found["differences"]}
    assert store.alerts() == before


def test_the_job_marks_what_other_numbers_would_change(store: Store) -> None:
    (info,) = store.runs()
    later, _ = told_by_job(store, runs=[info.id], rules="[rules.loss_divergence]\nhold = 20\n", only="loss_divergence")
    (moved,) = later["differences"]
    assert moved["change"] == "moved"
    assert moved["would"]["step"] > moved["did"]["step"]
    never, _ = told_by_job(store, runs=[info.id], rules="[rules.loss_divergence]\nhold = 9999\n")
    changes = {one["rule"]: one["change"] for one in never["differences"]}
    assert changes["loss_divergence"] == "gone"


def test_a_rule_that_is_off_is_gone_and_can_be_tried_alone_all_the_same(store: Store) -> None:
    (info,) = store.runs()
    off = 'off = ["loss_divergence"]\n'
    found, _ = told_by_job(store, runs=[info.id], rules=off)
    assert {one["rule"]: one["change"] for one in found["differences"]}["loss_divergence"] == "gone"
    alone, _ = told_by_job(store, runs=[info.id], rules=off, only="loss_divergence")
    assert [one["change"] for one in alone["differences"]] == ["same"]


def test_a_rule_of_ones_own_would_be_new(store: Store) -> None:
    (info,) = store.runs()
    own = '[own.high]\nkind = "threshold"\nsignal = "loss"\nabove = 1.0\n'
    found, _ = told_by_job(store, runs=[info.id], rules=own, only="high")
    assert {one["change"] for one in found["differences"]} == {"new"}


def test_a_run_that_is_gone_stops_no_other(store: Store) -> None:
    (info,) = store.runs()
    failed, found, done = told_by_job(store, runs=["nobody", info.id])
    assert (failed["kind"], found["kind"], done["kind"]) == ("failed", "run", "done")
    assert "no such run" in failed["text"]


def test_an_alert_of_the_users_own_code_cannot_be_asked_of_a_stored_run(store: Store) -> None:
    (raised, *_) = [row for row in store.alerts() if row.rule == "loss_divergence"]
    (found,) = differences([], [raised], asked=set())
    assert found.change == "not asked"
    (gone,) = differences([], [raised], asked={"loss_divergence"})
    assert gone.change == "gone"


@pytest.mark.parametrize("values_at_once", [1, 37, 160, 10_000])
def test_rows_read_in_stretches_are_the_same_rows(store: Store, values_at_once: int) -> None:
    run_id = store.runs()[0].id

    def plain(found: Any) -> list[tuple[Any, ...]]:
        return [
            (row.time_s, row.step, sorted((key, repr(value)) for key, value in row.values.items())) for row in found
        ]

    assert plain(stored_rows(store, run_id, values_at_once=values_at_once)) == plain(stored_rows(store, run_id))
