"""A reward that measures length: told by changes from row to row, not by courses that rise alike."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from statistics import correlation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules.co_movement import CoMovement
from runvitals.diagnostics.types import Alert, RunContext
from tests.diagnostics.faults import reinforced, to_rows

values = st.floats(-1e3, 1e3)


def told(rows: int, seed: int, *, share: float, growth: float = 0.0) -> list[Alert]:
    """The alerts of `length_hacking` on a GRPO run in which length gives a share (0 to 1) of the reward's changes."""
    draw = random.Random(seed)
    made = reinforced(rows, seed)
    for place, each in enumerate(made):
        moved = draw.gauss(0, 1)
        each["completions/mean_length"] = 50 + growth * place + 5 * moved
        each["reward"] = growth * place / 5 + share * moved + math.sqrt(1 - share**2) * draw.gauss(0, 1)
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="grpo", max_steps=rows))
    for row in to_rows(made):
        engine.feed(row)
    return [alert for alert in engine.alerts() if alert.rule == "length_hacking" and alert.severity != "info"]


@pytest.mark.parametrize("seed", range(5))
def test_reward_that_counts_words_is_told_within_fifteen_rows(seed: int) -> None:
    (alert,) = told(15, seed, share=0.9999)
    assert alert.severity == "warning" and "measures length" in alert.sentence


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [-0.999, 0.0, 0.5, 0.75])
def test_reward_that_only_has_to_do_with_length_is_not(seed: int, share: float) -> None:
    assert told(300, seed, share=share) == []


@pytest.mark.parametrize("seed", range(5))
def test_reward_and_length_that_climb_side_by_side_are_not(seed: int) -> None:
    assert told(300, seed, share=0.0, growth=0.2) == []


@given(st.lists(st.tuples(values, values), min_size=14, max_size=60))
def test_correlation_of_changes_is_that_of_the_textbook(pairs: list[tuple[float, float]]) -> None:
    together = CoMovement()
    for first, second in pairs:
        together.add(first, second)
        together.add(first, None)
        together.add(math.nan, second)
    changes = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(pairs)]
    spread = [max(abs(change[side]) for change in changes) for side in (0, 1)]
    if min(spread) < 1e-3:
        return
    try:
        expected = correlation([one for one, _ in changes], [two for _, two in changes])
    except ValueError:  # one of the two always changes alike
        return
    assert together.correlation() == pytest.approx(expected, abs=1e-3)
    assert together.at_least() <= max(together.correlation(), 0.0)


def test_a_value_that_stands_still_correlates_with_nothing() -> None:
    together = CoMovement()
    for place in range(40):
        together.add(1.0, float(place % 3))
    assert (together.correlation(), together.at_least()) == (0.0, 0.0)
