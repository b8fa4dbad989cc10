"""What to do first is what is against the cause that this run's evidence makes likely."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, Row, Rule, RunContext

ROOT = Path(__file__).resolve().parents[2]
RULES = {rule.spec.name: rule for rule in default_rules()}


def alert_of(name: str, rows: list[dict[str, float | None]], trainer: str) -> Alert:
    engine = Engine([RULES[name]], RunContext(run_id="run", trainer=trainer, max_steps=len(rows)))
    for step, values in enumerate(rows, 1):
        engine.feed(Row(time_s=1e9 + step, step=step, values=values))
    return engine.alerts()[0]


def diverging(*, rate_rises: bool) -> list[dict[str, float | None]]:
    """A loss that turns upwards at row 60, with a learning rate that rises with it or not."""
    draw = random.Random(1)
    return [
        {
            "loss": (4.0 - 0.02 * min(step, 60)) * math.exp(draw.gauss(0.02 * max(0, step - 60), 0.02)),
            "learning_rate": 1e-4 * (1.0 + 0.1 * max(0, step - 50) * rate_rises),
        }
        for step in range(160)
    ]


def test_a_learning_rate_that_rose_is_lowered_first() -> None:
    rose = alert_of("loss_divergence", diverging(rate_rises=True), "sft")
    assert rose.causes[0].likelihood == "likely"
    assert rose.remedies[0].text.startswith("Lower the learning rate")
    assert sorted(remedy.text for remedy in rose.remedies) == sorted(
        remedy.text for remedy in RULES["loss_divergence"].spec.remedies
    )


def test_without_a_likely_cause_the_remedies_keep_their_order() -> None:
    level = alert_of("loss_divergence", diverging(rate_rises=False), "sft")
    assert level.causes[0].likelihood == "possible"
    assert level.remedies == RULES["loss_divergence"].spec.remedies


def test_a_dead_optimiser_is_looked_at_before_the_pairs_are_read() -> None:
    draw = random.Random(1)
    rows: list[dict[str, float | None]] = [
        {"rewards/margins": draw.gauss(0, 1e-4), "rewards/accuracies": 0.5, "grad_norm": 0.3, "learning_rate": 0.0}
        for _ in range(200)
    ]
    assert alert_of("margin_stagnant", rows, "dpo").remedies[0].text.startswith("Check that the optimiser moves")


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_remedy_is_against_a_cause_that_there_is(rule: Rule) -> None:
    causes = {cause.text for cause in rule.spec.causes}
    said = (ROOT / "diagnostics" / "rules" / "margin_causes.py").read_text(encoding="utf-8")
    for remedy in rule.spec.remedies:
        assert not remedy.against or remedy.against in causes or f'"{remedy.against}"' in said
