"""Training labels that are flipped show as pairs that the model orders worse than held-out ones."""

from __future__ import annotations

import random

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, RunContext
from tests.diagnostics.faults import to_rows


def told(
    flipped: float, *, skill: float = 0.95, held_out: float | None = None, both: bool = False, seed: int = 1
) -> list[Alert]:
    """The alerts of `noisy_labels` on a run of 200 rows of 64 pairs, evaluated on 512 pairs every 40 rows.

    skill: the accuracy that the model comes to on clean labels. held_out: that on held-out pairs, where it differs. both: they are flipped too.
    """
    draw = random.Random(seed)

    def accuracy(right: float, flips: float, pairs: int) -> float:
        seen = (1 - flips) * right + flips * (1 - right)
        return sum(draw.random() < seen for _ in range(pairs)) / pairs

    values: list[dict[str, float | None]] = []
    for place in range(1, 201):
        right = skill - (skill - 0.5) * 0.9**place
        values.append({"loss": 0.5, "rewards/accuracies": accuracy(right, flipped, 64)})
        if place % 40 == 0:
            there = held_out if held_out is not None else right
            values.append({"eval_loss": 0.5, "eval_rewards/accuracies": accuracy(there, flipped if both else 0.0, 512)})
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="dpo", max_steps=200))
    for row in to_rows(values):
        engine.feed(row)
    assert not [state.error for state in engine.states() if state.error]
    return [alert for alert in engine.alerts() if alert.rule == "noisy_labels"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("skill", [0.8, 0.95])
def test_a_third_of_flipped_labels_is_a_warning_with_its_share(skill: float, seed: int) -> None:
    (alert,) = told(0.3, skill=skill, seed=seed)
    assert alert.severity == "warning"
    assert alert.evidence is not None
    share = next(number.value for number in alert.evidence.numbers if number.label.startswith("Flipped"))
    assert 20 < share < 42


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("skill", [0.55, 0.65, 0.8, 0.95])
def test_clean_labels_say_nothing(skill: float, seed: int) -> None:
    assert told(0.0, skill=skill, seed=seed) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_tenth_is_information_where_the_pairs_are_hard_and_a_warning_where_nine_of_ten_held_out_pairs_are_won(
    seed: int,
) -> None:
    assert {alert.severity for alert in told(0.13, skill=0.85, seed=seed)} <= {"info"}
    (alert,) = told(0.1, skill=0.98, seed=seed)
    assert alert.severity == "warning"


@pytest.mark.parametrize("seed", range(8))
def test_a_few_pairs_fewer_than_held_out_are_no_noise(seed: int) -> None:
    """Clean runs of real trainers win up to 2.5 % fewer training pairs than held-out ones."""
    assert told(0.02, skill=0.99, seed=seed) == []


def test_noise_in_both_and_a_model_at_chance_cannot_be_told() -> None:
    assert told(0.3, both=True) == []
    assert told(0.5, skill=0.52) == []


def test_model_that_does_better_on_what_it_trains_on_is_another_matter() -> None:
    assert told(0.0, held_out=0.7) == []
