"""The plan of the corpus: what it holds, and how it is split before anyone looks."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.scoring.report import as_plain, compare
from runvitals.diagnostics.scoring.types import LabelledRun
from runvitals.diagnostics.types import Row
from runvitals.trainers.recipes.faults import FACTS, RECIPES

FOLDER = Path(__file__).parent.parent.parent / "benchmarks" / "corpus"


@pytest.fixture(scope="module")
def plan() -> ModuleType:
    """benchmarks/corpus/plan.py, which is no package."""
    found = importlib.util.spec_from_file_location("corpus_plan", FOLDER / "plan.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["corpus_plan"] = module
    found.loader.exec_module(module)
    return module


def test_labels_follow_the_plan_and_where_the_outcome_decides_the_healthy_twin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    labels = importlib.import_module("labels")
    by_cause = {
        run.cause.name: run for run in importlib.import_module("plan").plan() if run.recipe == "sft" and run.cause
    }
    slow, much_too_fast = by_cause["slow_loader"], by_cause["lr_x30"]

    def recording(run: object, meta: dict[str, str], losses: list[float]) -> Path:
        path = Path(labels.place(tmp_path, run))
        path.parent.mkdir(exist_ok=True)
        rows = [{"t": 1.0, "step": step, "logs": {"eval_loss": loss}} for step, loss in enumerate(losses)]
        path.write_text(json.dumps({"meta": meta, "events": [], "logs": rows}))
        return path

    def meta_of(path: Path) -> dict[str, str]:
        return dict(json.loads(path.read_text())["meta"])

    old = recording(slow, {"fault": "stall", "exit_code": "3"}, [1.0])
    fast = recording(much_too_fast, {}, [1.0, 5.0, 5.0, 5.0])
    twin = fast.with_name(f"{much_too_fast.control}.json")
    twin.write_text(json.dumps({"meta": {}, "events": [], "logs": [{"logs": {"eval_loss": 1.0}}]}))
    labels.settle_labels(tmp_path, [slow, much_too_fast])
    assert (meta_of(old)["fault"], meta_of(old)["exit_code"]) == ("stall/resource", "3")
    assert meta_of(fast)["severity"] == "broken"
    twin.write_text(json.dumps({"meta": {}, "events": [], "logs": [{"logs": {"eval_loss": 4.9}}]}))
    labels.settle_labels(tmp_path, [much_too_fast])
    assert meta_of(fast)["severity"] == "unknown"


def test_plan_is_always_the_same_and_names_each_run_once(plan: ModuleType) -> None:
    names = [run.name for run in plan.plan()]
    assert names == [run.name for run in plan.plan()]
    assert len(set(names)) == len(names) > 250


def test_setting_is_wholly_in_one_half_and_both_halves_are_large(plan: ModuleType) -> None:
    halves: dict[str, set[str]] = {}
    for run in plan.plan():
        halves.setdefault(run.setting, set()).add(run.half)
    assert all(len(half) == 1 for half in halves.values())
    tests = sum(run.half == "test" for run in plan.plan())
    assert 0.3 < tests / len(plan.plan()) < 0.7


def test_every_fault_and_recipe_is_in_every_part(plan: ModuleType) -> None:
    runs = plan.plan()
    assert {run.recipe for run in runs if run.cause is None} == set(RECIPES)
    for half in ("fit", "test", "fresh", "closing"):
        causes = {run.cause.name for run in runs if run.cause and run.half == half}
        assert {fault.value for fault in FACTS} <= causes


def test_cause_names_a_family_of_rules_and_fits_its_recipes(plan: ModuleType) -> None:
    families = {rule.spec.family for rule in default_rules()}
    assert {family for cause in plan.CAUSES for family in cause.fault.split("/")} <= families
    assert all(run.recipe in run.cause.fits for run in plan.plan() if run.cause)


def test_run_whose_outcome_decides_has_a_healthy_twin_in_its_half(plan: ModuleType) -> None:
    by_name = {run.name: run for run in plan.plan()}
    for run in by_name.values():
        if run.cause and not run.cause.is_sure:
            twin = by_name[run.control]
            assert (twin.cause, twin.half, twin.seed, twin.setting) == (None, run.half, run.seed, run.setting)


def test_figures_turn_the_benchmarks_json_into_tables() -> None:
    rows = tuple(Row(time_s=100.0 + step, step=step, values={"loss": math.nan}) for step in range(20))
    broken = LabelledRun(
        name="a|b", source="a", kind="sft", severity="broken", items=rows, fault="divergence", cause="nan", onset_step=0
    )
    report = json.dumps(as_plain(compare([broken], default_rules())))
    told = subprocess.run(
        [sys.executable, str(FOLDER / "figures.py")], input=report, capture_output=True, text=True, check=True
    ).stdout
    assert "| **runvitals** | – |" in told and "Missed: none." in told
    assert "| nan | 1 | 1 | 1 | 0 | 0 | 0 |" in told
    assert "| divergence | 1 | 1 | 100 % |" in told
