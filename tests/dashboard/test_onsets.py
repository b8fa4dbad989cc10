"""When a series left its course, and what moved first in an incident."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runvitals.dashboard.first_moves import by_onset
from runvitals.dashboard.incidents import group
from runvitals.dashboard.onsets import NEEDED, first_move
from runvitals.store import Store
from runvitals.store.types import AlertRow, Batch, SeriesPoints

N = 200
STEPS = np.arange(N, dtype=np.float64)


def noise(scale: float, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0.0, scale, N)


def test_a_step_up_is_found_where_it_begins() -> None:
    values = 1.0 + noise(0.02)
    values[130:] += 0.5
    found = first_move(STEPS, values, since_s=140.0)
    assert found is not None
    assert found.at == 130
    assert found.before == pytest.approx(1.0, abs=0.02)
    assert found.after == pytest.approx(1.5, abs=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_has_not_moved(seed: int) -> None:
    assert first_move(STEPS, 1.0 + noise(0.05, seed), since_s=120.0) is None


def test_a_loss_that_falls_ever_more_slowly_has_not_risen() -> None:
    assert first_move(STEPS, 0.5 + 2.0 * np.exp(-STEPS / 40) + noise(0.01), since_s=100.0, worse="up") is None


def test_good_news_is_no_departure() -> None:
    values = 1.0 + noise(0.01)
    values[130:] -= 0.5
    assert first_move(STEPS, values, since_s=140.0, worse="up") is None
    assert first_move(STEPS, values, since_s=140.0, worse="down") is not None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_counts_as_a_departure(wrong: float) -> None:
    values = 1.0 + noise(0.01)
    values[150] = wrong
    found = first_move(STEPS, values, since_s=150.0, worse="up")
    assert found is not None
    assert found.at == 150


def test_a_single_outlier_is_no_departure() -> None:
    values = 1.0 + noise(0.01)
    values[150] = 9.0
    assert first_move(STEPS, values, since_s=160.0) is None


def test_a_learning_rate_on_its_schedule_has_not_moved_and_a_ramp_has() -> None:
    cosine = 1e-4 * (0.5 + 0.5 * np.cos(math.pi * STEPS / N))
    assert first_move(STEPS, cosine, since_s=120.0, worse="rate") is None
    linear = 1e-4 * (1 - STEPS / N)
    assert first_move(STEPS, linear, since_s=190.0, worse="rate") is None
    ramp = np.where(STEPS < 110, 1e-4, 1e-4 * 1.08 ** (STEPS - 110))
    found = first_move(STEPS, ramp, since_s=140.0, worse="rate")
    assert found is not None
    assert 110 < found.at < 118


def test_too_few_points_before_are_no_judgement() -> None:
    with pytest.raises(ValueError, match=f"needs {NEEDED} points"):
        first_move(STEPS, noise(1.0), since_s=5.0)


def test_a_change_smaller_than_asked_for_is_none() -> None:
    values = 0.001 + noise(0.00001)
    values[130:] *= 3
    assert first_move(STEPS, values, since_s=140.0, worse="up", least=0.1) is None
    assert first_move(STEPS, values, since_s=140.0, worse="up") is not None


def incident_of(
    store: Store, series: dict[str, np.ndarray[Any, Any]], *, onset: int = 150, followed: int = 0
) -> dict[str, Any]:
    """The incident by onset of a run with these series and one alert on its loss, and a number of others a step apart."""
    points = {
        key: SeriesPoints(steps=STEPS.astype(np.int64), times_s=1000.0 + 2 * STEPS, values=values)
        for key, values in series.items()
    }
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": 1000.0, "resumed": False}
    store.append(
        Batch(run_id="r", writer_id="w", first_seq=1, last_seq=9, position={}, series=points, start=start, rows=N)
    )
    alert = AlertRow(
        id="r:loss_divergence:loss:1", run_id="r", rule="loss_divergence", signal="loss", severity="critical", state="firing",
        incident="r:loss_divergence:loss:1", onset_step=onset, onset_s=1000.0 + 2 * onset, fired_step=onset + 6,
        fired_s=1012.0 + 2 * onset, resolved_step=None, resolved_s=None, detail={"title": "Loss diverges"},
    )  # fmt: skip
    others = [
        replace(alert, id=f"own{n}", rule=f"own{n}", signal=f"own{n}", onset_step=onset + n, onset_s=1000.0 + 2 * (onset + n), detail={"title": f"Rule {n}"})
        for n in range(1, followed + 1)
    ]  # fmt: skip
    (incident,) = group([alert, *others], now_s=2000.0)
    found = by_onset(store, incident, store.run("r"))
    assert found is not None
    return found


def test_the_learning_rate_came_first_and_the_rest_follows_with_its_lag(store: Store) -> None:
    rate = np.full(N, 1e-4)
    rate[120:] = 1e-3
    gradient = 1.0 + noise(0.05)
    gradient[160:] = 8.0
    found = incident_of(
        store, {"learning_rate": rate, "grad_norm": gradient, "loss": 2.0 + noise(0.02), "perf/data_wait_s": 0.01 + noise(0.001)}
    )  # fmt: skip
    assert [(row["title"], row["lag_steps"], row["lag_s"]) for row in found["rows"]] == [
        ("Learning rate", 0, 0.0),
        ("Loss diverges", 30, 60.0),
        ("Gradient norm", 40, 80.0),
    ]
    assert found["sentence"] == (
        "Learning rate moved first, at step 120; “Loss diverges” 30 steps later; gradient norm 40 steps later."
    )
    assert found["still"] == ["Data wait", "Loss"]
    assert found["missing"] == ["GPU"]


def test_an_alert_that_nothing_preceded_came_first_itself(store: Store) -> None:
    found = incident_of(store, {"learning_rate": np.full(N, 1e-4), "loss": 2.0 + noise(0.02)})
    assert found["sentence"] == "“Loss diverges” came first, at step 150."
    assert [row["alert"] for row in found["rows"]] == ["r:loss_divergence:loss:1"]


def test_an_incident_at_the_very_start_says_what_it_cannot_tell(store: Store) -> None:
    found = incident_of(store, {"loss": 2.0 + noise(0.02)}, onset=4)
    assert found["unsure"] == ["Loss"]
    assert found["still"] == []


def test_an_incident_of_many_alerts_is_still_one_sentence_to_read(store: Store) -> None:
    found = incident_of(store, {"loss": 2.0 + noise(0.02)}, followed=39)
    assert len([row for row in found["rows"] if row["alert"]]) == 40
    assert found["sentence"].startswith("“Loss diverges” came first, at step 150; “Rule 1” 1 step later; ")
    assert found["sentence"].endswith("; “Rule 4” 4 steps later; and 35 more, listed below.")
