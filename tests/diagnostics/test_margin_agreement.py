"""The margin's verdict and its rules never contradict each other, whatever the course."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.margin import MarginSettings, MarginVerdict, verdict
from runvitals.diagnostics.rules.margin import RULES
from runvitals.diagnostics.scoring.types import LabelledRun
from runvitals.diagnostics.signals import translate
from runvitals.diagnostics.types import Alert, Happening, Row, RunContext
from runvitals.labelled_runs import read_labelled_runs

GOOD = {"rising", "levelled_off"}
DPO = {"beta": 0.1, "per_device_train_batch_size": 16, "logging_steps": 1}

Level = Callable[[float], float]


def _up(height: float, speed: float = 5.0) -> Level:
    return lambda share: height * (1 - math.exp(-speed * share))


def _bend(before: float, after: float) -> Level:
    return lambda share: before if share < 0.5 else after


def _wave(share: float) -> float:
    return 0.3 + (0.02 if share < 0.6 else 0.8) * math.sin(share * 160)


COURSES: dict[str, tuple[Level, Level]] = {
    "nothing": (_up(0.0), _up(0.0)),
    "next to nothing": (_up(0.014), _up(0.035)),
    "barely": (_up(0.03), _up(0.08)),
    "weak": (_up(0.06), _up(0.1)),
    "healthy": (_up(1.0), _up(0.4)),
    "rises": (lambda share: 2 * share, _up(0.4)),
    "slow": (_up(0.3, 0.7), _up(0.2, 0.7)),
    "late learner": (_bend(0.0, 0.6), _bend(0.0, 0.35)),
    "forgets": (_bend(0.6, 0.0), _bend(0.35, 0.0)),
    "becomes barely": (_bend(0.0, 0.02), _bend(0.0, 0.05)),
    "inverted": (_up(-0.4), _up(-0.3)),
    "inverted, then barely": (_bend(-0.3, 0.015), _bend(-0.3, 0.03)),
    "inverted, then well": (_bend(-0.3, 0.5), _bend(-0.3, 0.3)),
    "swings": (_wave, _up(0.25)),
    "memorised": (_up(8.0), _up(0.499, 50.0)),
    "creeps": (lambda share: 0.008 * share, _up(0.01)),
}
"""By name: the margin, and by how much chosen wins more than a coin, over the share of the run."""

SCATTER = {"creeps": 0.0005}
USUAL_SCATTER = 0.03


def scripted(name: str, seed: int, count: int = 320) -> list[Row]:
    """A preference run with held-out pairs every 40 rows; margins and wins scatter as batches of 16 do."""
    level, wins = COURSES[name]
    scatter = SCATTER.get(name, USUAL_SCATTER)
    draw = random.Random(f"{name} {seed}")
    made = []
    for step in range(1, count + 1):
        margin, share = level(step / count), 0.5 + wins(step / count)
        accuracy = sum(draw.random() < share for _ in range(16)) / 16
        values = {"rewards/margins": draw.gauss(margin, scatter + abs(margin) / 10), "rewards/accuracies": accuracy}
        made.append(Row(time_s=float(step), step=step, values=values))
        if step % 40 == 0 and seed % 2:
            held_out = {"eval_rewards/margins": draw.gauss(margin, 0.01), "eval_rewards/accuracies": share}
            made.append(Row(time_s=float(step), step=step, values=held_out))
    return made


def series_of(rows: Iterable[Row]) -> dict[str, tuple[list[int], list[float]]]:
    """Rows as the store keeps them: one series a signal."""
    series: dict[str, tuple[list[int], list[float]]] = {}
    for row in rows:
        for signal, value in translate(row.values).items():
            if row.step is not None:
                steps, values = series.setdefault(signal, ([], []))
                steps.append(row.step)
                values.append(math.nan if value is None else value)
    return series


def looks(
    rows: list[Row], *, trainer: str, config: Mapping[str, Any], max_steps: int | None, every: int
) -> Iterator[tuple[MarginVerdict, Engine, int]]:
    """The verdict and the rules side by side after every so many rows, and after the last."""
    engine = Engine(RULES, RunContext(run_id="run", trainer=trainer, config=config, max_steps=max_steps))
    settings = MarginSettings.of_run(trainer, config, max_steps)
    for count, row in enumerate(rows, 1):
        engine.feed(row)
        if count % every == 0 or count == len(rows):
            assert [state.error for state in engine.states()] == [""] * len(RULES)
            yield verdict(series_of(rows[:count]), settings=settings), engine, count


def contradictions(
    rows: list[Row],
    *,
    trainer: str = "dpo",
    config: Mapping[str, Any] = DPO,
    max_steps: int | None = None,
    every: int = 40,
) -> list[str]:
    """Where a good verdict stands beside a rule that is firing or about to, in words."""
    found = []
    for said, engine, count in looks(rows, trainer=trainer, config=config, max_steps=max_steps, every=every):
        bad = [state.rule for state in engine.states() if state.state in ("pending", "firing")]
        if said.state in GOOD and bad:
            found.append(f"after {count} rows: {said.state} beside {bad}")
    return found


@pytest.mark.parametrize("name", COURSES)
@pytest.mark.parametrize("known", [True, False], ids=["length known", "length unknown"])
def test_no_verdict_is_good_while_a_margin_rule_fires(name: str, known: bool) -> None:
    for seed in range(3):
        rows = scripted(name, seed)
        assert contradictions(rows, max_steps=320 if known else None) == [], f"seed {seed}"


def test_each_kind_of_verdict_and_every_rule_came_up_in_those_courses() -> None:
    states: set[str] = set()
    fired: set[str] = set()
    for name in COURSES:
        for said, engine, _ in looks(scripted(name, 1), trainer="dpo", config=DPO, max_steps=320, every=80):
            states.add(said.state)
            fired |= {alert.rule for alert in engine.alerts()}
    assert states >= {*GOOD, "start", "stagnant", "too_small", "inverted", "fluctuating"}
    assert fired == {rule.spec.name for rule in RULES}


def test_healthy_courses_end_well_and_shuffled_ones_stagnant() -> None:
    for seed in range(5):
        (*_, (healthy, _, _)) = looks(scripted("healthy", seed), trainer="dpo", config=DPO, max_steps=320, every=320)
        (*_, (nothing, _, _)) = looks(scripted("nothing", seed), trainer="dpo", config=DPO, max_steps=320, every=320)
        assert healthy.state in GOOD
        assert nothing.state == "stagnant"


@pytest.mark.slow
def test_no_verdict_on_a_real_log_is_good_while_a_margin_rule_fires(labelled_runs: Path) -> None:
    runs = [run for run in read_labelled_runs(labelled_runs)[0] if _has_margins(run)]
    assert len(runs) >= 5
    for run in runs:
        every = max(len(run.rows) // 10, 10)
        assert (
            contradictions(list(run.rows), trainer=run.kind, config={}, max_steps=run.max_steps, every=every) == []
        ), run.name


def _has_margins(run: LabelledRun) -> bool:
    return any("reward_margin" in translate(row.values) for row in run.rows)


def alerts_of(engine: Engine, rows: list[Row]) -> list[Alert]:
    for row in rows:
        engine.feed(row)
    return engine.alerts()


@pytest.mark.parametrize("name", ["nothing", "inverted, then barely", "swings"])
def test_rules_started_one_by_one_say_what_they_say_together(name: str) -> None:
    context = RunContext(run_id="run", trainer="dpo", config=DPO, max_steps=320)
    rows = scripted(name, 1)
    together = {alert.id: (alert.fired_step, alert.sentence) for alert in alerts_of(Engine(RULES, context), rows)}
    alone = {
        alert.id: (alert.fired_step, alert.sentence)
        for rule in RULES
        for alert in alerts_of(Engine([rule], context), rows)
    }
    assert together
    assert alone == together


def test_engines_of_one_context_do_not_share_a_course() -> None:
    context = RunContext(run_id="run", trainer="dpo", config=DPO, max_steps=320)
    first, second = Engine(RULES, context), Engine(RULES, context)
    for row in scripted("nothing", 1):
        assert first.feed(row) == second.feed(row)
    first.happen(Happening(time_s=400.0, step=None, kind="resume", data={"from_step": 10}))
    assert second.alerts() == alerts_of(Engine(RULES, context), scripted("nothing", 1))
