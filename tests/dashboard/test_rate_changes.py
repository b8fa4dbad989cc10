"""Marks where the learning rate was changed, and none where its schedule moves it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from runvitals.dashboard.rate_changes import rate_changes
from runvitals.store.types import Envelope

STEPS = 300


def envelope_of(rates: list[float] | np.ndarray) -> Envelope:
    values = np.asarray(rates, dtype=float)
    steps = np.arange(1, values.size + 1, dtype=np.int64)
    zeros = np.zeros(values.size, dtype=np.int64)
    return Envelope(
        x=steps.astype(float),
        steps=steps,
        times_s=steps.astype(float),
        low=values,
        high=values,
        mean=values,
        last=values,
        count=zeros + 1,
        nonfinite=zeros,
        kinds=zeros.astype(np.uint8),
        exact=True,
    )


SCHEDULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": lambda t: 1e-4 + 0 * t,
    "linear": lambda t: 1e-4 * (1 - t),
    "cosine": lambda t: 5e-5 * (1 + np.cos(np.pi * t)),
    "inverse root": lambda t: 1e-4 / np.sqrt(1 + 300 * t),
    "warm-up and cosine": lambda t: 1e-4 * np.minimum(1.0, t * 30) * (1 + np.cos(np.pi * t)) / 2,
    "warm-up, stable, decay": lambda t: 1e-4 * np.minimum(np.minimum(1.0, t * 10), (1 - t) * 5),
    "polynomial": lambda t: 1e-4 * (1 - t) ** 3,
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_has_no_marks(name: str) -> None:
    assert rate_changes(envelope_of(SCHEDULES[name](np.arange(STEPS) / STEPS))) == []


def test_stages_have_a_mark_each() -> None:
    rates = [1e-3] * 100 + [1e-4] * 100 + [1e-5] * 100
    assert rate_changes(envelope_of(rates)) == [101, 201]


def test_a_restarted_cosine_is_marked_where_it_jumps_back_up() -> None:
    half = SCHEDULES["cosine"](np.arange(150) / 150)
    assert rate_changes(envelope_of(np.concatenate((half, half)))) == [151]


def test_a_change_by_hand_within_a_decay_is_marked() -> None:
    rates = SCHEDULES["linear"](np.arange(STEPS) / STEPS)
    rates[120:] /= 3
    assert rate_changes(envelope_of(rates)) == [121]


def test_a_change_inside_a_bucket_is_one_mark() -> None:
    rates = [1e-3] * 50 + [4e-4] + [1e-4] * 50
    assert rate_changes(envelope_of(rates)) == [51]


@pytest.mark.parametrize("rates", [[], [1e-4], [float("nan")] * 5, [0.0] * 10, [0.0, 1e-4, 1e-4]])
def test_little_or_nothing_has_no_marks(rates: list[float]) -> None:
    assert rate_changes(envelope_of(rates)) == []
