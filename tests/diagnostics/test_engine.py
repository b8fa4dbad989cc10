"""The engine: applicability, guard, incidents, inhibition, health, and the same answer however rows come."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Happening, Row, Rule, RunContext, Transition
from tests.diagnostics.faults import faulty_runs, supervised, to_rows
from tests.diagnostics.scripted import Scripted, loss_row, spec

CONTEXT = RunContext(run_id="run", trainer="sft")


def play(*rules: Rule, rows: int = 6, trainer: str = "sft") -> tuple[Engine, list[Transition]]:
    """The engine after some rows, and all transitions."""
    engine = Engine(rules, RunContext(run_id="run", trainer=trainer))
    changed: list[Transition] = []
    for step in range(1, rows + 1):
        changed += engine.feed(loss_row(step))
    return engine, changed


def test_rule_that_breaks_is_named_and_the_others_go_on() -> None:
    engine, changed = play(Scripted(spec("breaks"), "o!"), Scripted(spec("works"), "ooow"))
    states = {state.rule: state for state in engine.states()}
    assert states["breaks"].error == "ZeroDivisionError: on purpose"
    assert states["breaks"].state == "unknown"
    assert [each.alert.rule for each in changed] == ["works"]


def test_rules_of_other_trainers_are_not_fed_and_say_so() -> None:
    engine, changed = play(Scripted(spec("only_ppo", trainers=("ppo",)), "wwww"))
    assert changed == []
    assert engine.states()[0].reason == "for ppo, not for sft"


def test_trainer_event_lets_a_rule_begin_and_another_keep_its_state() -> None:
    rules = [Scripted(spec("for_sft", trainers=("sft",)), "w"), Scripted(spec("for_ppo", trainers=("ppo",)), "w")]
    engine = Engine(rules, CONTEXT)
    engine.feed(loss_row(1))
    engine.happen(Happening(time_s=2.0, step=1, kind="trainer", data={"kind": "ppo", "max_steps": 40}))
    engine.feed(loss_row(2))
    assert [(alert.rule, alert.state) for alert in engine.alerts()] == [("for_sft", "firing"), ("for_ppo", "firing")]
    assert engine.context.max_steps == 40


def test_config_event_is_merged_into_the_context() -> None:
    engine = Engine([], RunContext(run_id="run", config={"a": 1, "b": 1}))
    engine.happen(Happening(time_s=0.0, step=None, kind="config", data={"b": 2}))
    assert engine.context.config == {"a": 1, "b": 2}


def test_rule_whose_signals_are_missing_says_what_it_needs() -> None:
    engine, _ = play(Scripted(spec("blind", signals=("kl",), needs="kl, 10 points"), "w"))
    assert engine.states()[0].reason == "needs kl, 10 points"


def test_alerts_that_overlap_share_the_incident_of_the_earliest_onset() -> None:
    late_but_early_onset = Scripted(spec("slow", hold=4), "wwww")
    engine, changed = play(Scripted(spec("quick"), "ow"), late_but_early_onset)
    incidents = {alert.rule: alert.incident for alert in engine.alerts()}
    assert incidents == {"quick": "run:slow:loss:1@1001000", "slow": "run:slow:loss:1@1001000"}
    assert [(each.alert.rule, each.before) for each in changed] == [
        ("quick", "inactive"),
        ("slow", "pending"),
        ("quick", "firing"),
    ]


def incident_of(*rules: Scripted) -> str:
    """The rule that names the one incident of some rules' scripts."""
    engine, _ = play(*rules, rows=max(len(rule.script) for rule in rules))
    (root,) = {alert.incident for alert in engine.alerts()}
    return root.split(":")[1]


def test_what_was_harmless_long_before_does_not_name_a_grave_incident() -> None:
    late = "o" * 100 + "c"
    assert incident_of(Scripted(spec("early"), "w" * 101), Scripted(spec("grave"), late)) == "grave"
    assert incident_of(Scripted(spec("early"), "i" * 101), Scripted(spec("warned"), "oow")) == "warned"


def test_a_milder_alert_right_before_a_grave_one_is_its_root() -> None:
    assert incident_of(Scripted(spec("leap"), "w" * 20), Scripted(spec("grave"), "o" * 10 + "c")) == "leap"


def test_an_alert_as_grave_as_the_later_one_stays_the_root() -> None:
    assert incident_of(Scripted(spec("early"), "c" * 101), Scripted(spec("late"), "o" * 100 + "c")) == "early"


def test_an_alert_that_grows_worse_takes_the_incident_over() -> None:
    rises = Scripted(spec("rises"), "o" * 70 + "w" * 40 + "c")
    assert incident_of(Scripted(spec("early"), "w" * 111), rises) == "rises"


def test_an_alert_that_grows_worse_after_the_root_was_over_names_what_is_left() -> None:
    rises = Scripted(spec("rises"), "o" * 70 + "w" * 40 + "c")
    assert incident_of(Scripted(spec("early"), "w" * 80 + "o" * 4), rises) == "rises"


def test_an_own_rule_names_no_incident_of_ours_that_is_as_grave() -> None:
    own = spec("mine", family="own")
    assert incident_of(Scripted(own, "w" * 9), Scripted(spec("ours"), "oow")) == "ours"
    assert incident_of(Scripted(spec("ours"), "w" * 9), Scripted(own, "oow")) == "ours"
    assert incident_of(Scripted(own, "c" * 9), Scripted(spec("ours"), "oow")) == "mine"


def test_alerts_that_do_not_overlap_are_incidents_of_their_own() -> None:
    engine, _ = play(Scripted(spec("first"), "woo---"), Scripted(spec("second"), "ooooow"))
    assert [alert.incident for alert in engine.alerts()] == [alert.id for alert in engine.alerts()]


def test_cause_inhibits_a_symptom_until_it_resolves() -> None:
    cause = Scripted(spec("cause", inhibits=("symptom",)), "-wooo")
    engine, changed = play(cause, Scripted(spec("symptom"), "wwwww"))
    seen = [(each.step, each.alert.rule, each.alert.inhibited_by) for each in changed]
    assert seen == [
        (1, "symptom", ""),
        (2, "cause", ""),
        (2, "symptom", "run:cause:loss:2@1002000"),
        (4, "cause", ""),
        (4, "symptom", ""),
    ]
    assert engine.health() == "warning"


def test_weaker_alert_inhibits_no_stronger_one() -> None:
    engine, _ = play(Scripted(spec("cause", inhibits=("symptom",)), "i"), Scripted(spec("symptom"), "-c"))
    assert {alert.rule: alert.inhibited_by for alert in engine.alerts()} == {"cause": "", "symptom": ""}


def test_health_is_unknown_until_the_core_rule_has_enough_data() -> None:
    engine = Engine(default_rules(), CONTEXT)
    healths = []
    for row in to_rows(supervised(25, seed=1)):
        engine.feed(row)
        healths.append(engine.health())
    assert healths[18] == "unknown"
    assert healths[-1] == "healthy"


def test_run_that_logs_nothing_known_is_never_healthy() -> None:
    engine = Engine(default_rules(), CONTEXT)
    for step in range(200):
        engine.feed(Row(time_s=float(step), step=step, values={"my_metric": 1.0}))
    assert engine.health() == "unknown"


def test_information_does_not_change_health() -> None:
    engine, _ = play(Scripted(spec("non_finite"), "ooooooo"), Scripted(spec("loss_divergence"), "ooi"))
    assert engine.health() == "healthy"


def test_two_rules_of_one_name_are_refused() -> None:
    import pytest

    with pytest.raises(ValueError, match="different names"):
        Engine([Scripted(spec("same"), ""), Scripted(spec("same"), "")], CONTEXT)


values = st.one_of(st.floats(0.1, 10), st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e30]), st.none())
rows_of_anything = st.lists(
    st.dictionaries(
        st.sampled_from(["loss", "grad_norm", "kl", "entropy", "reward", "frac_reward_zero_std", "eval_loss"]), values
    ),
    max_size=60,
)


def fed(rows: list[Row], cuts: int, trainer: str) -> list[Transition]:
    """All transitions where the rows come in batches of `cuts`."""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=trainer))
    return [
        change
        for start in range(0, len(rows), cuts)
        for row in rows[start : start + cuts]
        for change in engine.feed(row)
    ]


@settings(max_examples=40, deadline=None)
@given(
    logged=rows_of_anything, cuts=st.integers(1, 9), stop=st.integers(0, 60), trainer=st.sampled_from(["sft", "grpo"])
)
def test_replay_from_the_beginning_gives_the_same_transitions(
    logged: list[dict[str, float | None]], cuts: int, stop: int, trainer: str
) -> None:
    rows = [Row(time_s=float(step), step=step, values=each) for step, each in enumerate(logged)]
    whole = fed(rows, 1, trainer)
    assert repr(fed(rows, cuts, trainer)) == repr(whole)
    before_the_restart = fed(rows[:stop], cuts, trainer)
    assert repr(whole[: len(before_the_restart)]) == repr(before_the_restart)


def test_every_fault_replays_to_the_same_alerts() -> None:
    for fault in faulty_runs(seed=7):
        assert repr(fed(list(fault.rows), 1, fault.trainer)) == repr(fed(list(fault.rows), 13, fault.trainer))


@pytest.mark.parametrize("order", ["one after the other", "evaluation between"])
def test_rows_that_every_rank_logs_are_read_once(order: str) -> None:
    def engine_of(copies: int) -> Engine:
        engine = Engine(default_rules(), RunContext(run_id="run", trainer="dpo", max_steps=200))
        draw = random.Random(3)
        for step in range(1, 201):
            values = {"loss": 0.6 * math.exp(draw.gauss(-step / 100, 0.5)), "grad_norm": math.exp(draw.gauss(0, 0.4))}
            if step > 195:
                values = {"loss": float("nan"), "grad_norm": float("nan")}
            rows = [Row(time_s=float(step), step=step, values=values)]
            if step % 20 == 0:
                rows.append(Row(time_s=float(step), step=step, values={"eval_loss": 0.3 + draw.gauss(0, 0.01)}))
            copied = rows * copies if order == "evaluation between" else [row for row in rows for _ in range(copies)]
            for row in copied:
                engine.feed(
                    Row(time_s=row.time_s, step=row.step, values={k: float(str(v)) for k, v in row.values.items()})
                )
                if "eval_loss" in row.values:
                    engine.happen(Happening(time_s=row.time_s, step=row.step, kind="eval"))
        return engine

    once, thrice = engine_of(1), engine_of(3)
    assert thrice.states() == once.states()
    assert repr(thrice.alerts()) == repr(once.alerts())  # NaN is unlike itself, but looks like itself


def test_samples_without_a_step_that_repeat_are_all_read() -> None:
    rules = [rule for rule in default_rules() if rule.spec.name == "gpu_throttled"]
    engine = Engine(rules, RunContext(run_id="run"))
    fired = [
        transition
        for second in range(2000)
        for transition in engine.feed(
            Row(
                time_s=float(5 * second),
                step=None,
                values={"gpu/0/temperature_c": 99.0, "gpu/0/utilization": 99.0, "gpu/0/throttled": 1.0},
            )
        )
    ]
    assert fired
