"""Readings on the same held-out pairs: more of them do not shrink the error of having drawn just these pairs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.margin import MarginCourse, MarginSettings, MarginVerdict
from runvitals.diagnostics.margin_held_out import share_error
from runvitals.diagnostics.margin_numerals import share_range
from runvitals.diagnostics.rules.margin import RULES
from runvitals.diagnostics.types import Happening, Row, RunContext

PROBED: Mapping[str, Any] = {"probe": {"pairs": 32}, "per_device_train_batch_size": 16}
PPO = MarginSettings.of_run("ppo", PROBED, 150)
DPO = MarginSettings.of_run("dpo", {**PROBED, "beta": 0.1}, 150)

Value = Callable[[int], float]


def probe_row(margin: float, error: float, accuracy: float) -> dict[str, float | None]:
    return {"probe_margin": margin, "probe_margin_se": error, "probe_accuracy": accuracy}


def judged(rows: Sequence[Mapping[str, float | None]], settings: MarginSettings) -> MarginVerdict:
    course = MarginCourse(settings)
    for step, row in enumerate(rows, 1):
        course.add(step, row)
    return course.verdict()


def of_probe(margin: Value, *, error: float, accuracy: float, settings: MarginSettings = PPO) -> MarginVerdict:
    return judged([probe_row(margin(step), error, accuracy) for step in range(1, 121)], settings)


def number(found: MarginVerdict, label: str) -> float:
    return next((number.value for number in found.numbers if number.label == label), math.nan)


def test_steady_readings_within_the_error_of_their_pairs_have_not_levelled_off() -> None:
    found = of_probe(lambda step: 0.0188 + 0.001 * math.sin(step), error=0.06, accuracy=0.66)
    assert (found.state, found.severity) == ("start", None)
    assert found.sentence == "held-out margin +0.019 ± 0.118 on 32 pairs cannot be told from zero"
    assert found.sentence in found.finding


def test_steady_readings_beyond_the_error_of_their_pairs_have_levelled_off() -> None:
    found = of_probe(lambda step: 0.5 + 0.001 * math.sin(step), error=0.06, accuracy=0.95)
    assert found.state == "levelled_off"
    assert "over the last 60 readings of the same 32 pairs" in found.sentence


def test_interval_and_share_won_are_no_narrower_than_one_reading_tells() -> None:
    few, many = (
        judged([probe_row(0.5, 0.06, 0.75)] * count, MarginSettings.of_run("ppo", PROBED, None)) for count in (80, 2000)
    )
    for found in (few, many):
        assert number(found, "margin, 95 % high") - number(found, "margin, 95 % low") == pytest.approx(4 * 0.98 * 0.06)
        low, high = share_range(0.75, share_error(0.75, 32))
        assert number(found, "chosen wins, 95 % low") == pytest.approx(low)
        assert number(found, "chosen wins, 95 % high") == pytest.approx(high)
        assert number(found, "held-out pairs") == 32


def test_rise_that_stays_within_the_error_of_its_pairs_is_no_rise() -> None:
    assert of_probe(lambda step: 0.001 * step, error=0.2, accuracy=0.6).state == "start"
    assert of_probe(lambda step: 0.001 * step, error=0.02, accuracy=0.6).state == "rising"


def test_fall_that_stays_within_the_error_of_its_pairs_is_no_fall() -> None:
    assert of_probe(lambda step: 0.5 - 0.003 * step, error=0.3, accuracy=0.6).state == "start"
    assert of_probe(lambda step: 0.5 - 0.003 * step, error=0.03, accuracy=0.6).state == "falling"


def test_margin_without_its_error_or_number_of_pairs_is_not_called_good() -> None:
    unknown = MarginSettings(trainer="ppo", max_steps=150)
    found = of_probe(lambda step: 0.5, error=math.nan, accuracy=0.95, settings=unknown)
    assert found.state == "start"
    assert "sampling error is not logged" in found.sentence


def test_all_of_few_pairs_won_is_not_without_error() -> None:
    assert share_error(1.0, 4) > 0.1
    assert share_error(0.5, 10_000) == pytest.approx(0.005, rel=0.01)
    assert share_error(0.5, None) == math.inf


def test_share_error_covers_the_truth_as_often_as_it_says() -> None:
    noise = random.Random(5)
    inside = 0
    for _ in range(1000):
        won = sum(noise.random() < 0.8 for _ in range(32)) / 32
        inside += abs(won - 0.8) <= 1.96 * share_error(won, 32)
    assert inside / 1000 >= 0.93


@pytest.mark.parametrize("settings", [PPO, DPO], ids=["ppo", "dpo"])
def test_pairs_that_all_lose_are_inverted_however_their_margins_scatter(settings: MarginSettings) -> None:
    rows = [probe_row(-0.1 * step, 0.08 * step, 0.0) for step in range(1, 6)]
    found = judged(rows, settings)
    assert (found.state, found.severity) == ("inverted", "critical" if settings.optimises else "warning")


@pytest.mark.parametrize("settings", [PPO, DPO], ids=["ppo", "dpo"])
def test_negative_readings_within_the_error_of_their_pairs_are_not_inverted(settings: MarginSettings) -> None:
    rows = [probe_row(-0.1 * step, 0.08 * step, 0.34) for step in range(1, 6)]
    assert judged(rows, settings).state == "start"


def test_evaluation_without_an_error_is_held_against_the_scatter_of_training_points() -> None:
    def run(scatter: float, held_out: float = -0.2) -> MarginVerdict:
        noise = random.Random(11)
        rows: list[dict[str, float | None]] = []
        for step in range(1, 81):
            rows.append({"reward_margin": 0.5 + noise.gauss(0, scatter), "reward_accuracy": 0.9})
            if step % 20 == 0:
                rows.append({"eval_reward_margin": held_out, "eval_reward_accuracy": 0.5 + held_out})
        return judged(rows, DPO)

    assert run(0.3).state != "inverted"
    assert run(0.01).state == "inverted"
    assert "(error: the scatter of training points)" in run(0.1, held_out=0.4).sentence


def test_shuffled_labels_are_caught_beside_held_out_pairs_that_win_by_chance() -> None:
    noise = random.Random(13)
    rows: list[dict[str, float | None]] = []
    for step in range(1, 151):
        won = sum(noise.random() < 0.5 for _ in range(16)) / 16
        rows.append({"reward_margin": noise.gauss(0, 0.01), "reward_accuracy": won})
        if step % 10 == 0:
            rows.append(probe_row(0.02, 0.06, 0.62))
    assert judged(rows, DPO).state == "stagnant"


def test_rules_learn_the_number_of_pairs_from_the_event_that_tells_it_late() -> None:
    engine = Engine(RULES, RunContext(run_id="run", trainer="ppo", max_steps=150))

    def feed(steps: range) -> None:
        for step in steps:
            values = {"probe/margin": -0.1 * step, "probe/margin_se": 0.08 * step, "probe/accuracy": 0.0}
            engine.feed(Row(time_s=float(step), step=step, values=values))

    feed(range(1, 6))
    assert engine.alerts() == []
    engine.happen(Happening(time_s=5.5, step=5, kind="config", data={"probe": {"pairs": 32}}))
    feed(range(6, 9))
    assert [alert.rule for alert in engine.alerts()] == ["margin_inverted"]


def test_a_rise_that_is_large_and_not_sure_is_not_said_to_have_ended() -> None:
    found = of_probe(lambda step: 0.4 + 0.1 * math.sin(step / 6) + 0.15 * (step > 100), error=0.02, accuracy=0.95)
    assert found.state == "levelled_off"
    assert found.title == "Level, or rising"
    assert "in the last 30 % of the run it gained +" in found.sentence
    assert "may still rise" in found.finding
    flat = of_probe(lambda step: 0.5 + 0.01 * math.sin(step), error=0.02, accuracy=0.95)
    assert (flat.state, flat.title) == ("levelled_off", "Levelled off")
