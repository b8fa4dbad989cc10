"""The whole catalogue on random runs: however the rows are cut, the same alerts at the same steps; and nothing grows without bound."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Happening, Row, RunContext
from tests.diagnostics.faults import reinforced, supervised

KINDS = ("sft", "pretrain", "dpo", "reward", "ppo", "grpo")
EXTRA = (
    "eval_loss", "rewards/margins", "rewards/accuracies", "logps/chosen", "val/ratio", "policy/clipfrac_avg", "policy/approxkl_avg",
    "loss/value_avg", "completions/mean_length", "completions/clipped_ratio", "perf/step_time_s", "perf/data_wait_s", "epoch",
)  # fmt: skip


def rows_of(seed: int, kind: str, count: int = 150) -> list[Row | Happening]:
    """A run in which any signal may leap, stand still, vanish or go mad, with events between."""
    draw = random.Random(f"{seed} {kind}")
    base = (reinforced if kind in ("ppo", "grpo") else supervised)(count, seed)
    level = {key: draw.uniform(0.1, 2.0) for key in EXTRA}
    made: list[Row | Happening] = []
    for place, values in enumerate(base):
        row: dict[str, float | None] = dict(values)
        for key in EXTRA:
            level[key] *= math.exp(draw.gauss(0, 0.02)) * (draw.choice((0.2, 5.0)) if draw.random() < 0.01 else 1.0)
            row[key] = level[key]
        for key in list(row):
            if draw.random() < 0.03:
                row[key] = draw.choice((None, math.nan, math.inf, 0.0, 1e9))
            elif draw.random() < 0.03:
                del row[key]
        made.append(Row(time_s=1e9 + place * level["epoch"], step=place, values=row))
        if draw.random() < 0.02:
            made.append(Happening(time_s=1e9 + place, step=place, kind=draw.choice(("eval", "checkpoint", "resume"))))
        if draw.random() < 0.2:
            made.append(Row(time_s=1e9 + place, step=None, values={"host/process_memory_gib": 2.0 + place / 10, "gpu/0/utilization": 40.0}))  # fmt: skip
    return made


def fed(engine: Engine, records: list[Row | Happening]) -> list[tuple[str, str, str, int | None]]:
    """Every change: alert, state, severity, step."""
    changes = []
    for record in records:
        found = engine.feed(record) if isinstance(record, Row) else engine.happen(record)
        changes += [(c.alert.id, c.alert.state, c.alert.severity, c.step) for c in found]
    return changes


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_rule_breaks_and_a_replay_says_the_same(kind: str, seed: int) -> None:
    records = rows_of(seed, kind)
    context = RunContext(run_id="run", trainer=kind, max_steps=150, config={"beta": 0.1, "max_grad_norm": 1.0})
    live, replay = Engine(default_rules(), context), Engine(default_rules(), context)
    first = fed(live, records)
    assert [state for state in live.states() if state.error] == []
    assert fed(replay, records) == first
    assert live.states() == replay.states()


@pytest.mark.parametrize("kind", KINDS)
def test_values_at_the_edge_of_what_floats_hold_break_no_rule(kind: str) -> None:
    draw = random.Random(kind)
    for seed in range(4):
        engine = Engine(default_rules(), RunContext(run_id="run", trainer=kind, max_steps=150))
        for record in rows_of(seed, kind):
            if isinstance(record, Row):
                edges = {key: draw.choice((1e308, -1e308, 5e-324)) for key in record.values if draw.random() < 0.05}
                record = replace(record, values={**record.values, **edges})
            fed(engine, [record])
        assert [state for state in engine.states() if state.error] == []


def test_shared_courses_do_not_depend_on_which_rules_run() -> None:
    """A rule alone says what it says among all others, but for who inhibits it."""
    for kind in ("sft", "grpo"):
        records = rows_of(3, kind)
        context = RunContext(run_id="run", trainer=kind, max_steps=150)
        together = Engine(default_rules(), context)
        fed(together, records)
        for rule in default_rules():
            alone = Engine([rule], context)
            fed(alone, records)
            ours = [(a.id, a.severity, a.state, a.fired_step) for a in alone.alerts()]
            theirs = [(a.id, a.severity, a.state, a.fired_step) for a in together.alerts() if a.rule == rule.spec.name]
            assert ours == theirs, rule.spec.name
