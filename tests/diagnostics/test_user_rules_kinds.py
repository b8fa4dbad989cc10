"""What the kinds of a user's own rules catch, and what they leave alone."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import linear_regression

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, Happening, Pulse, Row, Rule, RunContext
from runvitals.diagnostics.user_rules.judges import Finding, Lines, Shift, Trend
from runvitals.diagnostics.user_rules.user_rules import read_user_rules

Values = Sequence[float | None]


def own(kind: str, keys: str, *, series: str = 'signal = "loss"') -> Rule:
    """The rule `mine` of a kind, without the defaults for hold and clear."""
    rules = read_user_rules(f'[own.mine]\nkind = "{kind}"\n{series}\nclear = 1\n{keys}', file="f")
    assert rules.faults == ()
    return rules.own[0].rule


def engine_over(rule: Rule, values: Values, *, key: str = "loss") -> Engine:
    engine = Engine([rule], RunContext(run_id="run", started_s=1000.0))
    for step, value in enumerate(values):
        engine.feed(Row(time_s=1000.0 + step, step=step, values={key: value}))
    assert engine.states()[0].error == ""
    return engine


def alerts(rule: Rule, values: Values, *, key: str = "loss") -> list[Alert]:
    return engine_over(rule, values, key=key).alerts()


def test_threshold_fires_on_the_side_that_was_asked_for() -> None:
    above = own("threshold", "above = 2")
    assert [alert.fired_step for alert in alerts(above, [1, 2, 2.1, 1])] == [2]
    assert alerts(above, [1, 2, -9]) == []
    below = own("threshold", "below = 2")
    assert [alert.fired_step for alert in alerts(below, [3, 2, 1.9])] == [2]
    both = own("threshold", "below = 0\nabove = 1")
    assert [alert.fired_step for alert in alerts(both, [0.5, 2, 0.5, -1])] == [1, 3]


def test_threshold_window_takes_the_median() -> None:
    rule = own("threshold", "above = 2\nwindow = 3")
    assert alerts(rule, [1, 9, 1, 1, 9, 1, 1]) == []
    assert [alert.fired_step for alert in alerts(rule, [1, 9, 1, 9])] == [3]


def test_hold_clear_severity_and_words_come_from_the_file() -> None:
    rules = read_user_rules(
        '[own.mine]\nkind = "threshold"\nsignal = "loss"\nabove = 2\nhold = 3\nclear = 2\nseverity = "critical"\n'
        'title = "Too high"\nmessage = "{signal}: {value} > {limit} ({window}) at {step} {{so}}"\ncauses = ["A"]\nremedies = ["B"]',
        file="f",
    )
    (alert,) = alerts(rules.own[0].rule, [1, 3, 3, 1, 3, 3, 4, 1, 3, 1, 1, 1])
    assert (alert.onset_step, alert.fired_step, alert.resolved_step, alert.severity) == (4, 6, 10, "critical")
    assert (alert.title, alert.sentence) == ("Too high", "Loss: 4 > 2 (1) at 6 {so}")
    assert [cause.text for cause in alert.causes] + [remedy.text for remedy in alert.remedies] == ["A", "B"]
    assert alert.evidence is not None
    assert alert.evidence.window == (4, 6)
    assert alert.evidence.curves[0].values[-1] == 4


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None])
def test_values_that_are_no_numbers_neither_fire_nor_blind(odd: float | None) -> None:
    for rule in (
        own("threshold", "above = 2\nbelow = -2"),
        own("change", "rise = 1\nfall = 1\nwindow = 2\nagainst = 4"),
    ):
        assert alerts(rule, [1.0, odd] * 20) == []
        assert len(alerts(rule, [*[1.0, odd] * 20, 5.0, 5.0, 5.0])) == 1


def test_key_is_read_as_logged_and_brings_its_own_curve() -> None:
    rule = own("threshold", "above = 2", series='key = "my/score {x}"')
    (alert,) = alerts(rule, [1, 1, 3], key="my/score {x}")
    assert alert.signal == "my/score {x}"
    assert alert.sentence == "my/score {x} is 3 at step 2; above 2."
    assert alert.evidence is not None
    (curve,) = alert.evidence.curves
    assert (curve.signal, tuple(curve.steps), tuple(curve.values)) == ("my/score {x}", (0, 1, 2), (1, 1, 3))
    assert alerts(rule, [1, 1, 3], key="my/other") == []


def test_key_that_a_signal_stands_for_is_drawn_on_the_chart_of_the_signal() -> None:
    rule = own("threshold", "above = 200", series='key = "gpu/1/power_w"')
    engine = Engine([rule], RunContext(run_id="run"))
    engine.feed(Row(time_s=1.0, step=1, values={"gpu/0/power_w": 300.0, "gpu/1/power_w": 100.0}))
    assert engine.alerts() == []
    engine.feed(Row(time_s=2.0, step=2, values={"gpu/0/power_w": 100.0, "gpu/1/power_w": 300.0}))
    (alert,) = engine.alerts()
    assert alert.signal == "gpu_power_w"
    assert alert.evidence is not None
    assert tuple(alert.evidence.curves[0].values) == (100.0, 300.0)


def test_signal_is_read_under_any_name_that_means_it() -> None:
    rule = own("threshold", "above = 2", series='signal = "eval_loss"')
    assert len(alerts(rule, [1, 3], key="eval_loss")) == len(alerts(rule, [1, 3], key="eval/loss")) == 1


def test_change_fires_on_a_step_and_lets_it_become_the_level() -> None:
    rule = own("change", "rise_percent = 20\nwindow = 4\nagainst = 10")
    (alert,) = alerts(rule, [10.0] * 30 + [13.0] * 40)
    assert 31 <= (alert.fired_step or 0) <= 33
    assert alert.resolved_step is not None
    assert "risen by 30 %" in alert.sentence
    assert alerts(rule, [10.0] * 30 + [11.5] * 40) == []
    assert alerts(rule, [10.0] * 30 + [5.0] * 10) == []


def test_percent_of_a_negative_level_follow_the_direction() -> None:
    rise = own("change", "rise_percent = 20\nwindow = 4\nagainst = 10")
    assert len(alerts(rise, [-10.0] * 20 + [-7.0] * 8)) == 1
    assert alerts(rise, [-10.0] * 20 + [-13.0] * 8) == []


def test_percent_of_a_level_of_0_are_unknown_and_say_what_to_use() -> None:
    engine = engine_over(own("change", "rise_percent = 20\nwindow = 2\nagainst = 4"), [0.0] * 20 + [5.0] * 3)
    assert engine.alerts() == []
    assert "use rise or fall" in engine.states()[0].reason


def test_zscore_fires_on_what_stands_out_and_not_on_noise() -> None:
    draw = random.Random(4)
    noise = [draw.gauss(5, 1) for _ in range(400)]
    rule = own("zscore", "above = 6\nbelow = 6\nwindow = 50")
    assert alerts(rule, noise) == []
    for leap in (14.0, -4.0):
        (alert,) = alerts(rule, [*noise[:200], leap, *noise[200:]])
        assert alert.fired_step == 200


def test_zscore_takes_a_level_that_stays_as_the_new_one() -> None:
    draw = random.Random(4)
    noise = [draw.gauss(5, 1) for _ in range(300)]
    rule = own("zscore", "above = 6\nwindow = 30")
    (alert,) = alerts(rule, noise[:100] + [value + 50 for value in noise[100:]])
    assert alert.resolved_step is not None


def test_zscore_does_not_cry_at_the_first_wiggle_of_a_constant() -> None:
    rule = own("zscore", "above = 6\nwindow = 30")
    assert alerts(rule, [100.0] * 50 + [104.0]) == []
    assert len(alerts(rule, [100.0] * 50 + [110.0])) == 1
    engine = engine_over(rule, [0.0] * 50 + [1e-9])
    assert engine.alerts() == []
    assert "no noise" in engine.states()[0].reason


def test_trend_fires_on_a_slow_climb_and_not_on_noise() -> None:
    draw = random.Random(1)
    rule = own("trend", "rise = 5\nwindow = 100")
    noise = [draw.gauss(0, 3) for _ in range(300)]
    assert alerts(rule, noise) == []
    (alert,) = alerts(rule, [value + 0.1 * place for place, value in enumerate(noise)])
    assert "risen by" in alert.sentence
    assert alerts(rule, [value - 0.1 * place for place, value in enumerate(noise)]) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=30))
@settings(deadline=None, max_examples=60)
def test_trend_ends_where_least_squares_do(values: list[float]) -> None:
    judge = Trend(Shift(plain=Lines(above=0.0, below=0.0), percent=Lines()), 30)
    found = [judge.take(value) for value in values][-1]
    slope, intercept = linear_regression(range(30), values)
    if isinstance(found, Finding):
        last, first, _ = (number.value for number in found.numbers)
        scale = max(map(abs, values)) + 1e-9
        assert last == pytest.approx(intercept + 29 * slope, abs=1e-9 * scale)
        assert first == pytest.approx(intercept, abs=1e-9 * scale)


def test_absence_counts_rows_since_the_series_last_came() -> None:
    rule = own("absence", "rows = 3", series='signal = "eval_loss"')
    engine = Engine([rule], RunContext(run_id="run"))
    for step in range(12):
        values = {"eval_loss": None} if step == 5 else {"loss": 1.0}
        engine.feed(Row(time_s=float(step), step=step, values=values))
        engine.feed(Row(time_s=float(step), step=None, values={"gpu/0/power_w": 300.0}))
    assert [(alert.fired_step, alert.resolved_step) for alert in engine.alerts()] == [(3, 5), (9, None)]
    assert "4 rows" in engine.alerts()[0].sentence


def test_absence_in_seconds_asks_the_time_that_it_is_given() -> None:
    rule = own("absence", "for_s = 60", series='signal = "eval_loss"')
    engine = Engine([rule], RunContext(run_id="run", started_s=1000.0))

    def pulse(now_s: float, beat_s: float | None, **more: bool) -> None:
        engine.pulse(Pulse(now_s=now_s, beat_s=beat_s, phase="train", alive=True, **more))

    pulse(1050.0, 1050.0)
    pulse(1200.0, 1055.0)  # the whole run is silent
    assert engine.alerts() == []
    pulse(1061.0, 1061.0)
    (alert,) = engine.alerts()
    assert (alert.onset_s, alert.state) == (1000.0, "firing")
    assert "has not come at all" in alert.sentence
    engine.feed(Row(time_s=1070.0, step=9, values={"eval_loss": math.nan}))
    assert engine.alerts()[0].state == "resolved"
    pulse(1131.0, 1131.0)
    assert (engine.alerts()[1].onset_s, engine.alerts()[1].onset_step) == (1070.0, 9)
    pulse(1140.0, 1140.0, ended=True)
    assert engine.alerts()[1].state == "resolved"


def test_absence_is_told_in_the_units_that_people_read() -> None:
    rule = own("absence", "for_s = 7200", series='signal = "eval_loss"')
    assert "has not come for 2 h" in rule.spec.summary
    engine = Engine([rule], RunContext(run_id="run", started_s=1000.0))
    engine.pulse(Pulse(now_s=14_500.0, beat_s=14_500.0, phase="train", alive=True))
    assert "missing for 3 h 45 min" in engine.alerts()[0].sentence


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("change", "rise = 1\nwindow = 3\nagainst = 10"),
        ("zscore", "above = 5\nwindow = 20"),
        ("trend", "rise = 1\nwindow = 30"),
        ("threshold", "above = 40\nwindow = 5"),
    ],
)
def test_after_a_resume_all_is_compared_anew(kind: str, keys: str) -> None:
    engine = Engine([own(kind, keys)], RunContext(run_id="run"))
    values = [1.0 + 0.01 * (place % 7) for place in range(60)]
    for step, value in enumerate(values):
        engine.feed(Row(time_s=float(step), step=step, values={"loss": value}))
    engine.happen(Happening(time_s=60.0, step=None, kind="resume"))
    for step, value in enumerate(values, 20):
        engine.feed(Row(time_s=70.0 + step, step=step, values={"loss": value + 30.0}))
    assert engine.alerts() == []


EXTREMES = st.sampled_from([0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, 1e-300, math.nan, math.inf, None])
KINDS = [
    ("threshold", "above = 2\nbelow = -2\nwindow = 4"),
    ("change", "rise = 1\nfall_percent = 3\nwindow = 3\nagainst = 5"),
    ("zscore", "above = 5\nbelow = 5\nwindow = 10"),
    ("trend", "rise_percent = 1\nfall = 1\nwindow = 10"),
    ("absence", "rows = 3"),
]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KINDS), st.lists(st.one_of(EXTREMES, st.floats(-10, 10)), max_size=60))
def test_no_values_break_a_rule(kind: tuple[str, str], values: list[float | None]) -> None:
    for alert in alerts(own(*kind), values):
        assert alert.sentence
