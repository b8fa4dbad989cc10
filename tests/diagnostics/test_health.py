"""Health: never good where a rule broke, where nobody looks at the numbers, or where the last look was long ago."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Happening, Pulse, Row, Rule, RunContext
from tests.diagnostics.faults import reinforced, supervised, to_rows
from tests.diagnostics.scripted import Scripted, spec


def sft(rules: Iterable[Rule] = ()) -> Engine:
    """An engine on an SFT run, with the whole catalogue unless told otherwise."""
    return Engine(tuple(rules) or default_rules(), RunContext(run_id="run", trainer="sft"))


def healthy(engine: Engine, count: int = 60, *, every: int = 1) -> int:
    """Feeds a healthy run that logs every so many steps; its last step."""
    for place, values in enumerate(supervised(count, seed=1), 1):
        engine.feed(Row(time_s=1e9 + place, step=place * every, values=values))
    assert engine.health() == "healthy"
    return count * every


def other(engine: Engine, steps: Iterable[int]) -> None:
    """Rows without anything that a rule of the core is about."""
    for step in steps:
        engine.feed(Row(time_s=1e9 + step, step=step, values={"my_metric": 1.0}))


def breaking(*names: str) -> tuple[Rule, ...]:
    """The catalogue, in which some rules raise at their first row."""
    return tuple(Scripted(rule.spec, "!") if rule.spec.name in names else rule for rule in default_rules())


@pytest.mark.parametrize("name", ["non_finite", "masked_nan", "loss_spike", "grad_norm_explosion", "loss_divergence"])
def test_run_with_a_broken_rule_is_not_healthy(name: str) -> None:
    engine = sft(breaking(name))
    for row in to_rows(supervised(60, seed=1)):
        engine.feed(row)
    assert engine.health() == "unknown"


def test_nan_that_no_rule_is_left_to_see_is_not_healthy() -> None:
    engine = sft(breaking("non_finite", "masked_nan", "loss_spike", "grad_norm_explosion"))
    for row in to_rows([*supervised(60, seed=1), {"loss": math.nan, "grad_norm": math.nan}]):
        engine.feed(row)
    assert engine.health() == "unknown"


def test_alert_counts_although_another_rule_broke() -> None:
    engine = sft(breaking("loss_spike"))
    for row in to_rows([*supervised(60, seed=1), {"loss": math.nan}, {"loss": math.nan}]):
        engine.feed(row)
    assert engine.health() == "critical"


def test_broken_rule_of_another_trainer_does_not_matter() -> None:
    engine = sft([*default_rules(), Scripted(spec("only_ppo", trainers=("ppo",)), "!")])
    engine.happen(Happening(time_s=0.0, step=None, kind="trainer", data={"kind": "ppo"}))
    engine.feed(Row(time_s=1.0, step=0, values={"loss": 4.0}))
    engine.happen(Happening(time_s=2.0, step=None, kind="trainer", data={"kind": "sft"}))
    healthy(engine)


def test_run_is_not_healthy_without_the_rule_about_nan() -> None:
    engine = sft(rule for rule in default_rules() if rule.spec.name != "non_finite")
    for row in to_rows(supervised(60, seed=1)):
        engine.feed(row)
    assert engine.health() == "unknown"


def test_loss_that_is_no_longer_logged_leaves_health_unknown_after_200_steps() -> None:
    engine = sft()
    last = healthy(engine)
    other(engine, range(last + 1, last + 201))
    assert engine.health() == "healthy"
    other(engine, [last + 201])
    assert engine.health() == "unknown"
    engine.feed(Row(time_s=2e9, step=last + 202, values={"loss": 2.3}))
    assert engine.health() == "healthy"


def test_run_that_logs_seldom_has_twenty_times_its_own_pace() -> None:
    engine = sft()
    last = healthy(engine, every=500)
    other(engine, [last + 10_000])
    assert engine.health() == "healthy"
    other(engine, [last + 10_001])
    assert engine.health() == "unknown"


def test_run_that_logs_seldom_is_healthy_as_soon_as_it_can_be() -> None:
    engine = sft()
    last = healthy(engine, 20, every=500)
    other(engine, [last + 450])
    assert engine.health() == "healthy"


def test_every_rule_of_a_reinforced_core_must_go_on_judging() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="grpo"))
    values = reinforced(400, seed=2)
    for row in to_rows(values[:60]):
        engine.feed(row)
    assert engine.health() == "healthy"
    without = [{key: value for key, value in each.items() if key != "kl"} for each in values]
    for row in to_rows(without)[60:]:
        engine.feed(row)
    assert engine.health() == "unknown"


def test_run_that_steps_back_is_judged_on() -> None:
    engine = sft()
    healthy(engine, 300)
    engine.happen(Happening(time_s=2e9, step=10, kind="resume", data={"from_step": 10}))
    healthy(engine, 40)


def test_ended_run_keeps_its_last_word_whatever_the_time() -> None:
    engine = sft()
    last = healthy(engine)
    engine.happen(Happening(time_s=1e9 + 100.0, step=last, kind="finish", data={"status": "finished"}))
    for sample in range(500):
        engine.feed(Row(time_s=1e9 + 100.0 + sample, step=None, values={"host/cpu_percent": 3.0}))
    engine.pulse(Pulse(now_s=2e9, beat_s=1e9 + 100.0, phase="train", alive=None, ended=True))
    assert engine.health() == "healthy"


def test_loss_that_leaps_twofold_from_row_to_row_is_not_called_healthy() -> None:
    draw = random.Random(3)
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft", max_steps=40))
    for step in range(40):
        values = {"loss": 2.0 * 10 ** draw.uniform(-1.0, 1.2), "grad_norm": 1.0, "learning_rate": 1e-4}
        engine.feed(Row(time_s=1e9 + step, step=step, values=values))
    assert engine.health() == "unknown"
    reasons = {state.rule: state.reason for state in engine.states()}
    assert "less noise" in reasons["loss_divergence"]


@pytest.mark.parametrize("trainer", ["dpo", "reward", "kto", "orpo"])
def test_a_preference_run_whose_margin_cannot_be_judged_yet_is_not_healthy(trainer: str) -> None:
    def engine_after(rows: int, *, margins: bool) -> Engine:
        engine = Engine(default_rules(), RunContext(run_id="run", trainer=trainer, max_steps=400))
        draw = random.Random(1)
        for step in range(1, rows + 1):
            values = {"loss": 0.69 - 0.001 * step + draw.gauss(0, 0.005), "grad_norm": 1.0}
            if margins:
                values |= {"rewards/margins": 0.01 * step + draw.gauss(0, 0.02), "rewards/accuracies": 0.85}
            engine.feed(Row(time_s=1e9 + step, step=step, values=values))
        return engine

    assert engine_after(19, margins=True).health() == "unknown"
    assert engine_after(300, margins=True).health() == "healthy"
    assert engine_after(60, margins=False).health() == "healthy"  # nobody logs a margin that could be judged


def test_a_margin_that_cannot_be_told_any_more_is_not_healthy() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="dpo", max_steps=400))
    draw = random.Random(1)
    seen = []
    for step in range(1, 201):
        rising = {"rewards/margins": 0.003 * step + draw.gauss(0, 0.01), "rewards/accuracies": 0.85}
        open_ = {"rewards/margins": 0.04 + draw.gauss(0, 0.03), "rewards/accuracies": 0.6 + draw.gauss(0, 0.1)}
        values = {"loss": 0.6 + draw.gauss(0, 0.005), "grad_norm": 1.0, **(rising if step <= 60 else open_)}
        engine.feed(Row(time_s=1e9 + step, step=step, values=values))
        told = next(state for state in engine.states() if state.rule == "margin_stagnant")
        if step > 20 and told.state in ("unknown", "pending"):
            seen.append(engine.health())
    assert seen
    assert set(seen) == {"unknown"}


def test_a_flat_margin_that_is_not_judged_yet_is_not_enough_data() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="dpo", max_steps=400))
    draw = random.Random(1)
    for step in range(1, 71):
        values = {"loss": 0.693 + draw.gauss(0, 0.003), "rewards/margins": draw.gauss(0, 0.02)}
        values |= {"rewards/accuracies": sum(draw.random() < 0.5 for _ in range(8)) / 8, "grad_norm": 1.0}
        engine.feed(Row(time_s=1e9 + step, step=step, values=values))
    assert engine.health() == "unknown"
