"""The margin rules in the engine: what they catch, what they leave alone, and what they say."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules.margin import RULES
from runvitals.diagnostics.signals import SIGNALS
from runvitals.diagnostics.types import Happening, Row, RunContext, Sample, Transition

DPO = {"beta": 0.1, "per_device_train_batch_size": 8, "logging_steps": 2}
Values = Mapping[str, float | None]


def fired(rows: Iterable[tuple[int, Values]], *, trainer: str = "dpo", max_steps: int | None = 200) -> list[Transition]:
    """Every firing of a margin rule over some rows."""
    config: Mapping[str, Any] = DPO if trainer == "dpo" else {}
    engine = Engine(RULES, RunContext(run_id="r", trainer=trainer, config=config, max_steps=max_steps))
    found = []
    for step, values in rows:
        found += engine.feed(Row(time_s=float(step), step=step, values=values))
    assert [state.error for state in engine.states()] == [""] * len(RULES)
    return [change for change in found if change.alert.state == "firing"]


def names(changes: list[Transition]) -> set[str]:
    return {change.alert.rule for change in changes}


def shuffled(count: int = 100, seed: int = 3) -> list[tuple[int, Values]]:
    """A DPO run whose labels are shuffled: margins of ±0.01 and a coin's accuracy, 16 pairs a row."""
    noise = random.Random(seed)
    return [
        (
            2 * index,
            {
                "loss": 0.693 + noise.gauss(0, 0.003),
                "rewards/margins": noise.gauss(0, 0.008),
                "rewards/accuracies": sum(noise.random() < 0.5 for _ in range(16)) / 16,
                "grad_norm": 0.4,
                "learning_rate": 5e-5,
            },
        )
        for index in range(1, count + 1)
    ]


def healthy(count: int = 100, seed: int = 3, pairs: int = 16) -> list[tuple[int, Values]]:
    """A DPO run that learns: the margin rises to 1 and levels off, single pairs scatter as widely as their mean."""
    noise = random.Random(seed)
    rows: list[tuple[int, Values]] = []
    for index in range(1, count + 1):
        level = 1 - math.exp(-4 * index / count)
        margins = [noise.gauss(level, level) for _ in range(pairs)]
        wins = sum(margin > 0 for margin in margins) / pairs
        rows.append((2 * index, {"rewards/margins": sum(margins) / pairs, "rewards/accuracies": wins, "loss": 0.5}))
    return rows


def with_evals(rows: list[tuple[int, Values]], *, margin: float, accuracy: float) -> list[tuple[int, Values]]:
    evals: list[tuple[int, Values]] = []
    for step, values in rows:
        evals.append((step, values))
        if step % 20 == 0:
            evals.append((step, {"eval_rewards/margins": margin * step, "eval_rewards/accuracies": accuracy}))
    return evals


def test_shuffled_labels_fire_stagnant_before_three_fifths_of_a_short_run() -> None:
    for seed in range(10):
        changes = fired(shuffled(seed=seed))
        assert "margin_stagnant" in names(changes), f"seed {seed}"
        assert changes[0].step is not None
        assert changes[0].step <= 120, f"seed {seed}"


def test_shuffled_labels_name_the_labels_first_and_clear_the_optimiser() -> None:
    alert = fired(shuffled())[0].alert
    assert "shuffled" in alert.causes[0].text
    assert alert.causes[0].likelihood == "likely"
    assert (alert.causes[-1].likelihood, "0.4" in alert.causes[-1].because) == ("unlikely", True)


def test_dead_optimiser_is_named_instead_of_the_data() -> None:
    dead = [
        (step, {**values, "rewards/margins": 0.0, "rewards/accuracies": 0.0, "grad_norm": 0.0})
        for step, values in shuffled()
    ]
    alert = fired(dead)[0].alert
    assert alert.rule == "margin_stagnant"
    assert alert.causes[0].text.startswith("The optimiser does not move the model")
    assert alert.causes[0].likelihood == "likely"
    zero_rate = [(step, {**values, "learning_rate": 0.0}) for step, values in dead]
    assert "learning rate is 0.0e+00" in fired(zero_rate)[0].alert.causes[0].because


def test_idle_gpu_is_named_among_the_causes() -> None:
    rows: list[tuple[int, Values]] = [(step, {**values, "gpu/0/utilization": 3.0}) for step, values in shuffled()]
    assert any("3 %" in cause.because for cause in fired(rows)[0].alert.causes)


@pytest.mark.parametrize("pairs", [1, 4, 16])
def test_healthy_runs_raise_nothing(pairs: int) -> None:
    for seed in range(10):
        assert fired(healthy(seed=seed, pairs=pairs)) == [], f"seed {seed}"


def test_flipped_labels_are_inverted_and_critical_although_training_looks_perfect() -> None:
    changes = fired(with_evals(healthy(), margin=-0.01, accuracy=0.0))
    assert names(changes) == {"margin_inverted"}
    alert = changes[0].alert
    assert alert.severity == "critical"
    assert alert.signal == "eval_reward_margin"
    assert "training pairs" in alert.causes[0].text
    assert changes[0].step is not None
    assert changes[0].step <= 60


def test_held_out_pairs_that_agree_raise_nothing() -> None:
    assert fired(with_evals(healthy(), margin=0.005, accuracy=0.8)) == []


def test_reward_trainer_is_read_under_its_own_keys() -> None:
    rows = [
        (step, {"margin": values["rewards/margins"], "accuracy": values["rewards/accuracies"]})
        for step, values in shuffled()
    ]
    assert "margin_stagnant" in names(fired(rows, trainer="reward"))


def test_flat_probe_of_ppo_is_no_fault_and_one_that_gets_worse_is_a_warning() -> None:
    flat: list[tuple[int, Values]] = [
        (step, {"probe/margin": 0.0, "probe/accuracy": 0.5, "probe/margin_se": 0.01}) for step in range(1, 100)
    ]
    assert fired(flat, trainer="ppo") == []
    worse: list[tuple[int, Values]] = [
        (step, {"probe/margin": -0.01 * step, "probe/accuracy": 0.2, "probe/margin_se": 0.01}) for step in range(1, 40)
    ]
    changes = fired(worse, trainer="ppo")
    assert [(change.alert.rule, change.alert.severity) for change in changes] == [("margin_inverted", "warning")]
    assert changes[0].alert.signal == "probe_margin"


def test_alert_stays_while_the_margin_is_near_nothing_and_clears_when_pairs_are_told_apart() -> None:
    engine = Engine(RULES, RunContext(run_id="r", trainer="dpo", config=DPO, max_steps=600))
    rows = shuffled(100) + [(step + 200, values) for step, values in healthy(200)]
    for step, values in rows:
        engine.feed(Row(time_s=float(step), step=step, values=values))
    (alert,) = engine.alerts()
    assert (alert.rule, alert.state) == ("margin_stagnant", "resolved")


def test_resume_forgets_what_came_after_it() -> None:
    rule = RULES[3]
    detector = rule.start(RunContext(run_id="r", trainer="dpo", config=DPO, max_steps=200))
    for step, values in shuffled(30):
        detector.update(Sample(time_s=0.0, step=step, signals={"reward_margin": values["rewards/margins"]}, raw=values))
    detector.happen(Happening(time_s=1.0, step=None, kind="resume", data={"from_step": 2}))
    reading = detector.update(Sample(time_s=2.0, step=2, signals={"reward_margin": 0.0}, raw={}))
    assert reading is None or (reading.state, reading.reason) == ("unknown", "needs 20 logged margins, has 1")


def test_length_of_the_run_may_be_learnt_later() -> None:
    engine = Engine(RULES, RunContext(run_id="r", trainer="dpo", config=DPO))
    engine.happen(Happening(time_s=0.0, step=None, kind="trainer", data={"kind": "dpo", "max_steps": 200}))
    changes = [t for step, values in shuffled(50) for t in engine.feed(Row(time_s=0.0, step=step, values=values))]
    assert "margin_stagnant" in names(changes)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.spec.name)
def test_rule_is_described_in_full(rule: Any) -> None:
    spec = rule.spec
    assert set(spec.signals) <= set(SIGNALS)
    assert spec.main_signal in spec.signals
    assert spec.summary and spec.needs and spec.source and spec.false_alarms and spec.causes
    assert len(spec.remedies) >= 3
    assert all(remedy.source and remedy.url for remedy in spec.remedies)


AWKWARD: dict[str, list[float | None]] = {
    "empty": [],
    "short": [0.1, 0.2],
    "constant": [0.3] * 150,
    "zero": [0.0] * 150,
    "nan": [math.nan] * 150,
    "none": [None] * 150,
    "infinite": [math.inf, -math.inf] * 75,
    "huge": [1e30, -1e30] * 75,
    "mixed": [0.1, math.nan, None, math.inf, 1e30] * 30,
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.spec.name)
@pytest.mark.parametrize("kind", AWKWARD)
def test_detector_bears_awkward_series_and_says_the_same_again(rule: Any, kind: str) -> None:
    def replay() -> list[Any]:
        detector = rule.start(RunContext(run_id="r", trainer="dpo", config={}, max_steps=150))
        samples = [
            Sample(time_s=0.0, step=i, signals={"reward_margin": v}, raw={}) for i, v in enumerate(AWKWARD[kind])
        ]
        return [detector.update(sample) for sample in samples]

    readings = replay()
    assert repr(readings) == repr(replay())
    told = [reading for reading in readings if reading is not None]
    if kind in ("short", "nan", "none", "infinite"):
        assert {reading.state for reading in told} == {"unknown"}
        assert all(reading.reason for reading in told)
    if kind == "constant":
        assert "bad" not in {reading.state for reading in told}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.spec.name)
def test_rows_without_a_step_or_a_margin_say_nothing(rule: Any) -> None:
    detector = rule.start(RunContext(run_id="r", trainer="dpo"))
    assert detector.update(Sample(time_s=0.0, step=None, signals={"gpu_utilization": 90.0}, raw={})) is None
    assert detector.update(Sample(time_s=0.0, step=3, signals={"grad_norm": math.nan}, raw={})) is None


def logged(name: str) -> Iterator[tuple[int, Values]]:
    """The rows of a real run, from the folder that RUNVITALS_RUNS names."""
    folder = os.environ.get("RUNVITALS_RUNS")
    if not folder:
        pytest.skip("RUNVITALS_RUNS is not set: no real logs to read")
    document = json.loads((Path(folder) / name).read_text(encoding="utf-8"))
    for entry in document.get("logs") or document["log_history"]:
        yield entry["step"], entry.get("logs", entry)


def test_real_shuffled_labels_are_caught_early_and_stay_caught() -> None:
    changes = fired(logged("made/dpo_shuffled_labels.json"))
    assert "margin_stagnant" in names(changes)
    assert changes[0].step is not None
    assert changes[0].step <= 120


def test_real_run_with_a_dead_learning_rate_is_caught_and_blamed_on_the_optimiser() -> None:
    alert = fired(logged("made/dpo_stagnation.json"))[0].alert
    assert alert.rule in ("margin_too_small", "margin_stagnant")
    assert "1.0e-09" in alert.causes[0].because


def test_real_flipped_labels_are_caught_by_held_out_pairs() -> None:
    def flipped() -> Iterator[tuple[int, Values]]:
        for step, values in logged("made/dpo_healthy.json"):
            if "eval_rewards/margins" in values:
                margin, wins = values["eval_rewards/margins"], values["eval_rewards/accuracies"]
                yield step, {"eval_rewards/margins": -(margin or 0.0), "eval_rewards/accuracies": 1 - (wins or 0.0)}
            else:
                yield step, values

    changes = fired(flipped(), max_steps=240)
    assert {(change.alert.rule, change.alert.severity) for change in changes} == {("margin_inverted", "critical")}
    assert changes[0].step is not None
    assert changes[0].step <= 80


@pytest.mark.parametrize(
    ("name", "max_steps"),
    [
        ("made/dpo_healthy.json", 240),
        ("public/iiicellled__Clean-Code-Qwen__output_models_qwen-coder-simplifier-dpo-lora_trainer_state.json", 160),
        ("public/ccccai239__llama2-7b-miniguanaco-dpo__dpo_model_trainer_state.json", 1000),
    ],
)
def test_real_runs_with_a_healthy_margin_raise_nothing(name: str, max_steps: int) -> None:
    for known in (max_steps, None):
        assert fired(logged(name), max_steps=known) == []
