"""The life of one alert."""

from __future__ import annotations

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import RunContext, Transition
from tests.diagnostics.scripted import Scripted, loss_row, spec


def play(script: str, **changes: object) -> tuple[Engine, list[Transition]]:
    """The engine after one rule's script, and all transitions."""
    engine = Engine([Scripted(spec("rule", **changes), script)], RunContext(run_id="run"))
    changed: list[Transition] = []
    for step in range(1, len(script) + 1):
        changed += engine.feed(loss_row(step))
    return engine, changed


def story(changed: list[Transition]) -> list[tuple[int | None, str, str, str]]:
    """Step, state before, state after and severity of each transition."""
    return [(each.step, each.before, each.alert.state, each.alert.severity) for each in changed]


def test_rule_is_unknown_before_it_judges() -> None:
    engine, changed = play("uu")
    assert changed == []
    assert engine.states()[0].state == "unknown"
    assert engine.states()[0].reason == "needs more"


def test_ok_reading_makes_it_inactive() -> None:
    engine, _ = play("uo")
    assert engine.states()[0].state == "inactive"
    assert engine.states()[0].reason == ""


def test_hold_counts_consecutive_bad_readings() -> None:
    engine, changed = play("wwoww", hold=3)
    assert changed == []
    assert engine.states()[0].state == "pending"


def test_alert_fires_at_the_hold_and_dates_its_onset_back() -> None:
    _, changed = play("owww", hold=3)
    assert story(changed) == [(4, "pending", "firing", "warning")]
    alert = changed[0].alert
    assert (alert.onset_step, alert.fired_step) == (2, 4)
    assert (alert.onset_s, alert.fired_s) == (1002.0, 1004.0)


def test_silent_rows_do_not_break_the_hold() -> None:
    _, changed = play("w-uw", hold=2)
    assert story(changed) == [(4, "pending", "firing", "warning")]


def test_severity_rises_with_new_evidence_and_never_falls() -> None:
    engine, changed = play("iwciw")
    assert story(changed) == [
        (1, "unknown", "firing", "info"),
        (2, "firing", "firing", "warning"),
        (3, "firing", "firing", "critical"),
    ]
    assert engine.alerts()[0].sentence == "Critical since step 3: critical"


def test_alert_resolves_after_consecutive_clear_readings() -> None:
    engine, changed = play("woo", clear=2)
    assert story(changed) == [(1, "unknown", "firing", "warning"), (3, "firing", "resolved", "warning")]
    assert engine.alerts()[0].resolved_step == 3


@pytest.mark.parametrize("between", ["n", "w"])
def test_readings_that_are_not_clear_start_the_count_again(between: str) -> None:
    engine, _ = play(f"wo{between}o", clear=2)
    assert engine.alerts()[0].state == "firing"


def test_missing_data_never_resolves() -> None:
    engine, _ = play("w" + "-u" * 50, clear=2)
    assert engine.alerts()[0].state == "firing"
    assert engine.states()[0].state == "firing"


def test_second_episode_has_its_own_id() -> None:
    engine, _ = play("wooiw", clear=2)
    assert [alert.id for alert in engine.alerts()] == ["run:rule:loss:1@1001000", "run:rule:loss:4@1004000"]
    assert [alert.state for alert in engine.alerts()] == ["resolved", "firing"]


def test_frozen_curve_holds_at_most_200_points_and_does_not_move() -> None:
    engine, _ = play("o" * 300 + "w" + "w" * 20)
    evidence = engine.alerts()[0].evidence
    assert evidence is not None
    assert len(evidence.curves[0].steps) == 200
    assert evidence.curves[0].steps[-1] == 301
