"""Numbers of the margin rules from a rules file: alert and verdict obey the same ones."""

from __future__ import annotations

import random
from dataclasses import fields

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.margin import MarginLimits, MarginSettings, MarginVerdict, verdict
from runvitals.diagnostics.margin_limits import HOLD
from runvitals.diagnostics.rules import margin, margin_late
from runvitals.diagnostics.rules.margin_detector import MarginRule
from runvitals.diagnostics.types import Alert, Row, RunContext
from runvitals.diagnostics.user_rules.user_rules import read_user_rules
from tests.diagnostics.test_margin_agreement import DPO, scripted, series_of
from tests.diagnostics.test_margin_late import rising

RULES = (*margin.RULES, *margin_late.RULES)


def both(text: str, rows: list[Row], *, project: str = "mine") -> tuple[set[str], MarginVerdict]:
    """The margin rules that fire under a rules file, and the verdict under it."""
    user = read_user_rules(text, file="runvitals.toml")
    assert user.faults == ()
    max_steps = round(len(rows) / 0.9)
    context = RunContext(run_id="run", trainer="dpo", config=DPO, max_steps=max_steps)
    names = {rule.spec.name for rule in RULES}
    engine = Engine([rule for rule in user.rules_for(project) if rule.spec.name in names], context)
    for row in rows:
        engine.feed(row)
    assert [state.error for state in engine.states() if state.error] == []
    settings = MarginSettings.of_run("dpo", DPO, max_steps, user.margin_limits(project))
    return {alert.rule for alert in engine.alerts()}, verdict(series_of(rows), settings=settings)


def alerts(text: str, rows: list[Row]) -> list[Alert]:
    context = RunContext(run_id="run", trainer="dpo", config=DPO, max_steps=len(rows))
    engine = Engine(read_user_rules(text, file="runvitals.toml").rules_for(""), context)
    for row in rows:
        engine.feed(row)
    return engine.alerts()


def displaced() -> list[Row]:
    values = rising(logps=-60.0, lost=900.0)
    return [Row(time_s=float(step), step=step, values=each) for step, each in enumerate(values, 1)]


def saturated() -> list[Row]:
    values = {"loss": 0.01, "rewards/accuracies": 1.0}
    return [
        Row(time_s=float(step), step=step, values={**values, "rewards/margins": 0.05 * step}) for step in range(1, 200)
    ]


def creeping() -> list[Row]:
    """Grows evenly to less than a tenth of a nat, while chosen wins as a coin would."""
    draw = random.Random(3)
    return [
        Row(
            time_s=float(step),
            step=step,
            values={
                "rewards/margins": 4e-5 * step + draw.gauss(0, 2e-4),
                "rewards/accuracies": sum(draw.random() < 0.5 for _ in range(16)) / 16,
            },
        )
        for step in range(1, 201)
    ]


def falling() -> list[Row]:
    """Rises to 2 with nearly all pairs won, then falls to 0.2 with few."""
    draw = random.Random(3)
    shares = [1 - abs(step - 120) / 120 * (0.9 if step > 120 else 1.0) for step in range(240)]
    return [
        Row(
            time_s=float(step),
            step=step,
            values={
                "rewards/margins": 2 * share + draw.gauss(0, 0.1),
                "rewards/accuracies": 0.55 + 0.4 * share + draw.gauss(0, 0.03),
            },
        )
        for step, share in enumerate(shares, 1)
    ]


FAULTS = {
    "too_small": ("margin_too_small", creeping(), "nats = 0.01\naccuracy = 0.5"),
    "stagnant": ("margin_stagnant", scripted("nothing", 0), "after = 0.95\nlate = 1.0"),
    "inverted": ("margin_inverted", scripted("inverted", 0), "errors = 100"),
    "fluctuating": ("margin_fluctuating", scripted("swings", 0), "times = 100"),
    "saturated": ("margin_saturated", saturated(), "loss = 0.001"),
    "displaced": ("likelihood_displacement", displaced(), "nats = 5000\nbelow_reference = 5000"),
    "falling": ("margin_falling", falling(), "lost = 10"),
}
"""By state: its rule, rows that it fires on, and wider limits under which it does not."""


@pytest.mark.parametrize("state", FAULTS)
def test_a_wider_limit_silences_the_alert_and_changes_the_verdict_alike(state: str) -> None:
    name, rows, wider = FAULTS[state]
    fired, said = both("", rows)
    assert name in fired
    assert said.state == state
    fired, said = both(f"[rules.{name}]\n{wider}\n", rows)
    assert name not in fired
    assert said.state != state


def test_a_narrower_limit_raises_an_alert_and_a_verdict_where_ours_are_content() -> None:
    rows = scripted("weak", 1)
    fired, said = both("", rows)
    assert fired == set()
    assert said.severity is None
    fired, said = both("[rules.margin_stagnant]\nnats = 2.0\naccuracy = 0.8\nsurely = 0.9\n", rows)
    assert fired == {"margin_stagnant"}
    assert (said.state, said.severity) == ("stagnant", "warning")


def test_limits_of_a_project_hold_there_alone() -> None:
    text = "[projects.mine.rules.margin_inverted]\nerrors = 100\n"
    rows = scripted("inverted", 0)
    assert both(text, rows, project="mine")[1].state != "inverted"
    assert both(text, rows, project="other")[1].state == "inverted"


def test_hold_keeps_alert_and_verdict_waiting_alike() -> None:
    rows = scripted("inverted, then well", 0)
    assert both("", rows)[0] == {"margin_inverted"}
    fired, said = both("[rules.margin_inverted]\nhold = 1000\n", rows)
    assert "margin_inverted" not in fired
    assert said.state != "inverted"


def test_clear_says_when_a_fault_is_over_for_both() -> None:
    rows = scripted("becomes barely", 0) + [
        Row(time_s=row.time_s + 320, step=(row.step or 0) + 320, values=row.values) for row in scripted("healthy", 0)
    ]
    assert both("", rows)[1].state == "levelled_off"
    text = "[rules.margin_stagnant]\nclear = 1000\n"
    assert [alert.state for alert in alerts(text, rows) if alert.rule == "margin_stagnant"] == ["firing"]
    assert both(text, rows)[1].state == "stagnant"


def test_a_rule_that_is_off_leaves_its_numbers_to_the_verdict() -> None:
    rows = scripted("inverted", 0)
    fired, said = both('off = ["margin_inverted"]\n[rules.margin_inverted]\nerrors = 100\n', rows)
    assert "margin_inverted" not in fired
    assert said.state != "inverted"


def test_words_name_the_limit_that_is_in_force() -> None:
    name, rows, _ = FAULTS["fluctuating"]
    (alert,) = [found for found in alerts(f"[rules.{name}]\ntimes = 3\n", rows) if found.rule == name]
    assert "more than 3 times as much as before" in alert.sentence
    _, said = both("[rules.margin_stagnant]\naccuracy = 0.58\n", scripted("nothing", 0))
    assert {number.label: number.expected for number in said.numbers}["chosen wins"] == "above 0.58"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[rules.margin_stagnant]\nhold = 2\nlate = 2\n", "runvitals.toml:3: rules.margin_stagnant.late: expected a number from 0.01 to 1, got 2"),
        ("[rules.margin_stagnant]\nafter = 0.7\n", "expected after below late, got 0.7 and 0.5; change either"),
        ("[rules.margin_too_small]\naccuracy = 0.6\n", "expected accuracy below surely, got 0.6 and 0.6; change either"),
        ("[rules.margin_falling]\nlost = true\n", "runvitals.toml:2: rules.margin_falling.lost: expected a number"),
        ("[rules.margin_saturated]\nlosss = 0.2\n", "runvitals.toml:2: rules.margin_saturated.losss: margin_saturated has no losss; did you mean loss?"),
        ("\n[projects.a.rules.margin_inverted]\nerrors = 0\n", "runvitals.toml:3: projects.a.rules.margin_inverted.errors: expected a number from 1 to 100, got 0"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_told_with_their_line_and_change_nothing(text: str, fault: str) -> None:
    found = read_user_rules(text, file="runvitals.toml")
    assert len(found.faults) == 1
    assert fault in str(found.faults[0])
    assert found.margin_limits("a") == MarginLimits()


def test_every_fault_has_a_rule_with_limits_that_the_verdict_knows() -> None:
    assert {rule.state for rule in RULES} == set(HOLD) == {one.name for one in fields(MarginLimits)} - {"hold", "clear"}
    for rule in RULES:
        assert isinstance(rule, MarginRule)
        assert rule.spec.limits
        assert getattr(MarginLimits(), rule.state) == rule.limits
