"""Numbers of our rules that a user may set: they take hold, and keep to their order."""

from __future__ import annotations

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.limits import Limited, adjusted, values_of
from runvitals.diagnostics.types import Alert, Pulse, Row, Rule, RunContext
from tests.diagnostics.faults import faulty_runs

RULES = {rule.spec.name: rule for rule in default_rules()}
FAULTS = {fault.rule: fault for fault in faulty_runs(seed=1)}


def alerts(rule: Rule) -> list[Alert]:
    """What a rule says of the run that it should catch."""
    fault = FAULTS[rule.spec.name]
    engine = Engine([rule], RunContext(run_id="run", trainer=fault.trainer, max_steps=len(fault.rows)))
    for row in fault.rows:
        engine.feed(row)
    return [alert for alert in engine.alerts() if alert.severity != "info" or rule.spec.name == "loss_spike"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("loss_spike", {"times": 50}),
        ("loss_spike", {"noise": 100}),
        ("grad_norm_explosion", {"sustained": 900, "critical": 9000, "times": 900}),
        ("loss_divergence", {"times": 2.0, "critical": 3.0}),
        ("kl_blowup", {"warning": 99, "critical": 100, "per_token": 100}),
        ("entropy_collapse", {"warning": 0.0011, "critical": 0.001}),
    ],
)
def test_wider_limit_fires_later_or_not_at_all(name: str, values: dict[str, float]) -> None:
    before, after = alerts(RULES[name]), alerts(adjusted(RULES[name], values))
    assert before
    assert not after or (after[0].fired_step or 0) > (before[0].fired_step or 0)


def test_wider_limit_makes_an_alert_less_grave() -> None:
    rule = RULES["zero_advantage_groups"]
    assert {alert.severity for alert in alerts(rule)} == {"critical"}
    assert {alert.severity for alert in alerts(adjusted(rule, {"critical": 1.0}))} == {"warning"}


def test_narrower_limit_fires_earlier() -> None:
    early = adjusted(RULES["entropy_collapse"], {"warning": 0.6})
    assert (alerts(early)[0].fired_step or 0) < (alerts(RULES["entropy_collapse"])[0].fired_step or 0)


def test_hold_makes_a_rule_wait() -> None:
    rule = RULES["zero_advantage_groups"]
    later = adjusted(rule, {"hold": rule.spec.hold + 7})
    assert (alerts(later)[0].fired_step or 0) == (alerts(rule)[0].fired_step or 0) + 7


def test_evidence_names_the_limit_that_was_set() -> None:
    (alert, *_) = alerts(adjusted(RULES["loss_spike"], {"times": 2.0}))
    assert alert.evidence is not None
    numbers = {number.label: number for number in alert.evidence.numbers}
    assert numbers["Loss"].expected == f"at most {2 * numbers['Median around it'].value:.3g}"


@pytest.mark.parametrize(
    ("name", "values", "waited_s"),
    [("heartbeat_lost", {"warning_s": 100}, 80), ("progress_stalled", {"least_s": 300}, 200)],
)
def test_patience_is_what_the_user_says(name: str, values: dict[str, float], waited_s: float) -> None:
    def fires(rule: Rule, after_s: float) -> bool:
        engine = Engine([rule], RunContext(run_id="run", started_s=1000.0))
        for step in range(40):
            engine.feed(Row(time_s=1000.0 + step, step=step, values={"loss": 1.0}))
        beat_s = 1039.0 if name == "heartbeat_lost" else 1039.0 + after_s
        engine.pulse(Pulse(now_s=1039.0 + after_s, beat_s=beat_s, phase="train", alive=True))
        return bool(engine.alerts())

    assert fires(RULES[name], waited_s)
    assert not fires(adjusted(RULES[name], values), waited_s)
    assert fires(adjusted(RULES[name], values), 4 * waited_s)


def test_numbers_out_of_order_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="expected warning_s below critical_s, got 60 and 30; change either"):
        adjusted(RULES["heartbeat_lost"], {"critical_s": 30})


def test_spec_describes_every_number_that_a_rule_takes() -> None:
    adjustable = [rule for rule in RULES.values() if isinstance(rule, Limited)]
    assert len(adjustable) >= 16
    for rule in adjustable:
        assert {one.name: one.default for one in rule.spec.limits} | {
            "hold": rule.spec.hold,
            "clear": rule.spec.clear,
        } == values_of(rule)


NUMBERS = [(rule.spec.name, one.name) for rule in default_rules() for one in rule.spec.limits]


@pytest.mark.parametrize(("name", "number"), NUMBERS)
def test_each_number_works_at_both_ends_of_its_range(name: str, number: str) -> None:
    rule = RULES[name]
    told = next(one for one in rule.spec.limits if one.name == number)
    assert told.least <= told.default <= told.most
    for value in (told.least, told.most):
        try:
            changed = adjusted(rule, {number: value})
        except ValueError as error:  # it must stay below or above another number, and says so
            assert "change either" in str(error)
            continue
        for fault in FAULTS.values():
            engine = Engine([changed], RunContext(run_id="run", trainer=fault.trainer, max_steps=len(fault.rows)))
            for row in fault.rows:
                engine.feed(row)
            assert engine.states()[0].error == ""


def policy_rows(count: int = 120, **values: float) -> list[Row]:
    """A policy whose reward stands still, with constant values from row 30 on and 1 before."""
    logged = {key.replace("__", "/"): value for key, value in values.items()}
    return [
        Row(
            time_s=1e9 + step,
            step=step,
            values={"reward": 0.5, **{key: value if step >= 30 else 1.0 for key, value in logged.items()}},
        )
        for step in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "rows", "wider"),
    [
        ("ratio_blowup", policy_rows(val__ratio=1.5), {"warning": 1.6}),
        ("entropy_explosion", policy_rows(entropy=3.0), {"times": 3.5}),
        ("length_hacking", policy_rows(completions__mean_length=4.0), {"longer": 5.0}),
        ("value_collapse", policy_rows(loss__value_avg=6.0), {"times": 7.0}),
        (
            "engine_mismatch",
            policy_rows(sampling__importance_sampling_ratio__mean=1.4),
            {"info": 1.5, "warning": 1.6},
        ),
    ],
)
def test_a_wider_number_keeps_a_policy_rule_quiet(name: str, rows: list[Row], wider: dict[str, float]) -> None:
    def fires(rule: Rule) -> bool:
        engine = Engine([rule], RunContext(run_id="run", trainer="ppo", max_steps=len(rows)))
        for row in rows:
            engine.feed(row)
        return bool(engine.alerts())

    assert fires(RULES[name])
    assert not fires(adjusted(RULES[name], wider))
