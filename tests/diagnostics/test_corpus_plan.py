"""The plan of the corpus: what it holds, and how it is split before anyone looks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from runvitals.diagnostics.catalogue import default_rules
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


def test_every_fault_and_recipe_is_in_both_halves_or_told_why_not(plan: ModuleType) -> None:
    runs = plan.plan()
    assert {run.recipe for run in runs if run.cause is None} == set(RECIPES)
    for half in ("fit", "test"):
        causes = {run.cause.name for run in runs if run.cause and run.half == half}
        assert {fault.value for fault in FACTS} <= causes


def test_cause_names_a_family_of_rules_and_fits_its_recipes(plan: ModuleType) -> None:
    families = {rule.spec.family for rule in default_rules()}
    assert {cause.fault for cause in plan.CAUSES} <= families
    assert all(run.recipe in run.cause.fits for run in plan.plan() if run.cause)


def test_run_whose_outcome_decides_has_a_healthy_twin_in_its_half(plan: ModuleType) -> None:
    by_name = {run.name: run for run in plan.plan()}
    for run in by_name.values():
        if run.cause and not run.cause.is_sure:
            twin = by_name[run.control]
            assert (twin.cause, twin.half, twin.seed, twin.setting) == (None, run.half, run.seed, run.setting)
