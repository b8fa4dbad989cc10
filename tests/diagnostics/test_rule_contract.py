"""What every rule of the catalogue must bear: nothing, constants, NaN, None, extremes, gaps, steps that go back."""

from __future__ import annotations

import math
import random

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules.definition import REINFORCED
from runvitals.diagnostics.signals import SIGNALS, canonical
from runvitals.diagnostics.types import Alert, Row, Rule, RunContext, Transition
from tests.diagnostics.faults import faulty_runs, reinforced, supervised, to_rows

RULES = default_rules()
KEYS = (
    "loss", "eval_loss", "grad_norm", "learning_rate", "epoch", "rewards/margins", "rewards/chosen", "rewards/rejected",
    "rewards/accuracies", "logps/chosen", "logps/rejected", "probe/margin", "probe/margin_se", "probe/accuracy", "reward",
    "reward_std", "kl", "objective/kl", "entropy", "objective/entropy", "frac_reward_zero_std", "completions/mean_length",
    "gpu/0/utilization", "gpu/1/utilization", "perf/step_time_s", "perf/data_wait_s",
)  # fmt: skip
# What stands still is what these are about: margins, rewards without spread, steps that only wait, a loss or a reward that never moves.
ABOUT_CONSTANTS = {
    "margin_stagnant", "zero_advantage_groups", "bottleneck", "not_learning", "underfit", "reward_flat", "reward_model_at_chance", "reward_constant",
}  # fmt: skip
ABOUT_NON_FINITE = {"non_finite", "masked_nan"}


def kinds_of(rule: Rule) -> tuple[str, ...]:
    """One or two trainers that the rule applies to."""
    return rule.spec.trainers[:2] or ("sft", "grpo")


def alerts_of(rule: Rule, rows: list[dict[str, float | None]], *, steps: list[int] | None = None) -> list[Alert]:
    """The alerts of one rule alone over rows, on each of its trainers. It must not break."""
    found: list[Alert] = []
    for kind in kinds_of(rule):
        engine = Engine([rule], RunContext(run_id="run", trainer=kind, max_steps=max(len(rows), 1)))
        for place, values in enumerate(rows):
            step = steps[place] if steps else place
            engine.feed(Row(time_s=1e9 + 2.0 * place, step=step, values=values))
        assert engine.states()[0].error == ""
        found += engine.alerts()
    return found


each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.spec.name)


@each_rule
def test_nothing_logged_raises_nothing(rule: Rule) -> None:
    assert alerts_of(rule, []) == []
    assert alerts_of(rule, [{}] * 50) == []


@each_rule
@pytest.mark.parametrize("value", [1.0, 0.5])
def test_constants_raise_nothing(rule: Rule, value: float) -> None:
    alerts = alerts_of(rule, [dict.fromkeys(KEYS, value) for _ in range(300)])
    assert [alert for alert in alerts if alert.rule not in ABOUT_CONSTANTS] == []


@each_rule
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_few_healthy_rows_raise_nothing(rule: Rule, count: int) -> None:
    reinforced_kind = kinds_of(rule)[0] in REINFORCED
    assert alerts_of(rule, (reinforced if reinforced_kind else supervised)(count, seed=3)) == []


@each_rule
@pytest.mark.parametrize("value", [math.nan, None, math.inf, -math.inf])
def test_rows_without_a_number_only_concern_the_rules_about_that(rule: Rule, value: float | None) -> None:
    alerts = alerts_of(rule, [dict.fromkeys(KEYS, value) for _ in range(80)])
    assert {alert.rule for alert in alerts} <= ABOUT_NON_FINITE


@each_rule
@pytest.mark.parametrize("value", [1e30, -1e30, 1e308, 5e-324, 0.0])
def test_extremes_break_nothing(rule: Rule, value: float) -> None:
    alerts_of(rule, [dict.fromkeys(KEYS, value) for _ in range(80)])
    mixed = [dict.fromkeys(KEYS, value if place % 7 == 0 else 1.0 + 0.01 * place) for place in range(200)]
    alerts_of(rule, mixed)


@each_rule
def test_keys_that_come_and_go_break_nothing_and_raise_nothing(rule: Rule) -> None:
    kind = kinds_of(rule)[0]
    healthy = (reinforced if kind in REINFORCED else supervised)(240, seed=5)
    alternating = [
        {key: value for slot, (key, value) in enumerate(sorted(row.items())) if (place + slot) % 3}
        for place, row in enumerate(healthy)
    ]
    engine = Engine([rule], RunContext(run_id="run", trainer=kind))
    for row in to_rows(alternating):
        engine.feed(row)
    assert engine.states()[0].error == ""
    assert [alert for alert in engine.alerts() if alert.severity != "info"] == []


@each_rule
def test_steps_that_go_back_break_nothing(rule: Rule) -> None:
    draw = random.Random(11)
    steps = [draw.randrange(100) for _ in range(200)]
    alerts_of(rule, [{**dict.fromkeys(KEYS, 1.0), "loss": draw.uniform(1, 2)} for _ in steps], steps=steps)


@pytest.mark.parametrize("poison", [math.nan, None, math.inf, -math.inf])
def test_one_row_without_numbers_does_not_blind_the_rules_for_good(poison: float | None) -> None:
    for fault in faulty_runs(seed=2):
        spoiled = [
            Row(
                time_s=row.time_s,
                step=row.step,
                values=dict.fromkeys(row.values, poison) if place in (5, 31) else row.values,
            )
            for place, row in enumerate(fault.rows)
        ]
        engine = Engine(default_rules(), RunContext(run_id="run", trainer=fault.trainer))
        changed: list[Transition] = []
        for row in spoiled:
            changed += engine.feed(row)
        assert fault.rule in {change.alert.rule for change in changed}, fault.rule


@each_rule
def test_spec_says_all_that_the_page_and_the_alert_need(rule: Rule) -> None:
    spec = rule.spec
    assert spec.name == spec.name.lower()
    assert spec.summary and spec.title and spec.family and spec.code and spec.source and spec.needs
    assert len(spec.causes) >= 2 and len(spec.remedies) >= 3
    assert any(remedy.source for remedy in spec.remedies)
    assert "!" not in " ".join((spec.title, spec.summary, spec.false_alarms, *(cause.text for cause in spec.causes)))
    assert spec.main_signal in SIGNALS
    for signal in spec.signals:
        assert signal in SIGNALS or signal.removeprefix("eval_") in SIGNALS, signal


def test_rules_inhibit_only_rules_that_exist_and_never_each_other() -> None:
    inhibits = {rule.spec.name: set(rule.spec.inhibits) for rule in RULES}
    for name, others in inhibits.items():
        assert others <= set(inhibits), name
        assert all(name not in inhibits[other] for other in others), name


def test_contract_keys_mean_something() -> None:
    assert [key for key in KEYS if canonical(key) is None] == []
