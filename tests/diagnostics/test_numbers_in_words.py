"""Numbers in the rules' sentences look as on the screens: a real minus, which no other sign stands in for."""

from __future__ import annotations

import math
import random
import re

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules.definition import short
from runvitals.diagnostics.types import Alert, Row, RunContext
from runvitals.diagnostics.user_rules.user_rules import read_user_rules
from tests.diagnostics.faults import faulty_runs
from tests.diagnostics.test_margin_late import rising

HYPHEN_FOR_MINUS = re.compile(r"(?<![\w.:])-\d")

OWN = """
[own.too_low]
kind = "threshold"
signal = "reward"
below = -1
message = "{signal} is {value}, the limit is {limit}"
"""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-12.34, "−12.3"),
        (0.05123, "0.0512"),
        (-0.0, "0"),
        (-4.2e-7, "−4.2e-07"),
        (math.nan, "NaN"),
        (-math.inf, "−inf"),
    ],
)
def test_a_number_in_words(value: float, text: str) -> None:
    assert short(value) == text


def said(alert: Alert) -> list[str]:
    """All texts of an alert that may hold a number."""
    numbers = alert.evidence.numbers if alert.evidence is not None else ()
    return [alert.sentence, *(number.expected for number in numbers), *(cause.because for cause in alert.causes)]


def ill() -> list[tuple[str, list[dict[str, float | None]]]]:
    """Runs that fall ill with numbers below 0: rewards that collapse, chosen answers that are unlearnt."""
    draw = random.Random(1)
    collapsing = [
        {"reward": (2.0 if step < 100 else -7.0) + draw.gauss(0, 0.2), "kl": 0.1, "reward_std": 0.4, "loss": -0.01}
        for step in range(300)
    ]
    return [("grpo", collapsing), ("dpo", rising(logps=-60.0, lost=900.0))]


def test_no_sentence_has_a_hyphen_for_a_minus() -> None:
    runs = ill() + [(fault.trainer, [row.values for row in fault.rows]) for fault in faulty_runs(seed=1)]
    rules = read_user_rules(OWN, file="f").rules_for("")
    texts = []
    for trainer, rows in runs:
        engine = Engine(rules, RunContext(run_id="run", trainer=trainer, max_steps=len(rows)))
        for step, values in enumerate(rows, 1):
            engine.feed(Row(time_s=float(step), step=step, values=values))
        texts += [text for alert in engine.alerts() for text in said(alert)]
    assert sum("−" in text for text in texts) >= 3
    assert [text for text in texts if HYPHEN_FOR_MINUS.search(text)] == []
