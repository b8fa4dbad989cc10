"""Which faults there are, what they say of themselves, and which recipes can have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runvitals.errors import RecipeError
from runvitals.trainers.recipes import faults
from runvitals.trainers.recipes.demo import DEMO
from runvitals.trainers.recipes.faults import FACTS, RECIPES, Fault

HELP_PROBE = """
import sys
from runvitals.trainers.recipes.{recipe} import main
code = main(["--help"])
heavy = sorted(name for name in ("torch", "transformers", "trl", "datasets") if name in sys.modules)
print("heavy:", heavy)
sys.exit(code)
"""


def test_every_fault_says_what_it_does_and_fits_a_recipe() -> None:
    assert set(FACTS) == set(Fault)
    for facts in FACTS.values():
        assert facts.does
        assert set(facts.fits) <= set(RECIPES)
        assert facts.fits


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_is_refused_where_it_does_not_fit_and_the_message_names_where_it_does(fault: Fault) -> None:
    for recipe in RECIPES:
        if recipe in FACTS[fault].fits:
            faults.check_fits(fault, recipe)
            continue
        with pytest.raises(RecipeError, match=f"{fault.value} does not fit the recipe {recipe}: it fits .*") as caught:
            faults.check_fits(fault, recipe)
        assert all(fitting in str(caught.value) for fitting in FACTS[fault].fits)


def test_no_fault_fits_every_recipe_by_default() -> None:
    for recipe in RECIPES:
        faults.check_fits(None, recipe)


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_starts_with_commands_lists_the_faults_and_imports_nothing_heavy(recipe: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP_PROBE.format(recipe=recipe)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "heavy: []" in done.stdout
    assert done.stdout.splitlines()[2].strip().startswith(f"python -m runvitals.trainers.recipes.{recipe}")
    for fault, facts in FACTS.items():
        assert (f"  {fault.value} " in done.stdout) == (recipe in facts.fits)


def test_the_demo_has_distinct_names_and_each_sick_run_injects_a_fault_and_names_a_rule() -> None:
    assert len({entry.name for entry in DEMO}) == len(DEMO)
    for entry in DEMO:
        assert ("--inject" in entry.arguments) == (entry.expect != "healthy")
        assert entry.expect


def test_the_demo_holds_a_healthy_run_of_each_kind_that_it_shows() -> None:
    healthy = {entry.recipe for entry in DEMO if entry.expect == "healthy"}
    assert healthy == {entry.recipe for entry in DEMO} == {"sft", "dpo", "ppo", "grpo"}


def test_the_page_on_recipes_names_every_recipe_fault_and_demo_run_with_its_rules() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    for recipe in RECIPES:
        assert f"`python -m runvitals.trainers.recipes.{recipe}`" in page
    for fault, facts in FACTS.items():
        fits = "all" if facts.fits == RECIPES else ", ".join(facts.fits)
        assert f"| `{fault.value}` | {facts.does} | {fits} |" in page
    for entry in DEMO:
        assert f"`{entry.name}`" in page
        assert entry.expect == "healthy" or all(f"`{rule}`" in page for rule in entry.expect)
