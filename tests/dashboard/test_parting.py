"""Where two runs part."""

from __future__ import annotations

import numpy as np
import pytest

from runvitals.dashboard.compare_read import Curve
from runvitals.dashboard.parting import parted_at

STEPS = np.arange(400.0)


def curve(values: np.ndarray, x: np.ndarray | None = None) -> Curve:
    places = np.arange(float(values.size)) if x is None else x
    ones = np.ones(values.size, dtype=np.int64)
    return Curve(
        x=places, mean=values, low=values, high=values, count=ones, kinds=np.zeros(values.size, np.uint8),
        steps=places.astype(np.int64), exact=True,
    )  # fmt: skip


def noisy(values: np.ndarray, seed: int, sigma: float = 0.1) -> np.ndarray:
    return values + np.random.default_rng(seed).normal(scale=sigma, size=values.size)


def falling() -> np.ndarray:
    return 0.4 + np.exp(-STEPS / 80)


def test_a_divergence_is_dated_within_a_few_cells() -> None:
    broken = falling() + np.where(STEPS < 200, 0.0, (STEPS - 200) * 0.01)
    place = parted_at(curve(noisy(falling(), 1)), curve(noisy(broken, 2)))
    assert place is not None and 200 <= place <= 230


def test_runs_of_one_setting_rarely_part() -> None:
    pairs = [(curve(noisy(falling(), 2 * n)), curve(noisy(falling(), 2 * n + 1))) for n in range(200)]
    assert sum(parted_at(one, two) is not None for one, two in pairs) <= 2


def test_a_difference_smaller_than_the_noise_is_none_and_one_larger_is_one_from_the_start() -> None:
    ours = curve(noisy(falling(), 1))
    assert parted_at(ours, curve(noisy(falling() + 0.02, 2))) is None
    place = parted_at(ours, curve(noisy(falling() + 0.5, 2)))
    assert place == 0.0


def test_a_blow_up_at_the_end_does_not_count_as_noise() -> None:
    blown = falling() + np.where(STEPS < 300, 0.0, np.exp((STEPS - 300) / 8))
    place = parted_at(curve(noisy(falling(), 1)), curve(noisy(blown, 2)))
    assert place is not None and 290 <= place <= 320


def test_runs_that_meet_again_have_not_parted() -> None:
    bump = falling() + np.where((STEPS > 100) & (STEPS < 200), 5.0, 0.0)
    assert parted_at(curve(noisy(falling(), 1)), curve(noisy(bump, 2))) is None


def test_curves_that_cross_part_after_the_crossing() -> None:
    crossing = np.where(STEPS < 200, -5.0, 5.0)
    place = parted_at(curve(noisy(np.zeros(400), 1)), curve(noisy(crossing, 2)))
    assert place is not None and 190 <= place <= 210


def test_a_run_that_is_no_longer_a_number_parts_there() -> None:
    gone = noisy(falling(), 2)
    gone[250:] = np.nan
    place = parted_at(curve(noisy(falling(), 1)), curve(gone))
    assert place is not None and 240 <= place <= 260


def test_a_gap_of_nan_that_ends_is_no_parting() -> None:
    gap = noisy(falling(), 2)
    gap[200:240] = np.nan
    assert parted_at(curve(noisy(falling(), 1)), curve(gap)) is None


def test_a_known_standard_error_counts_as_noise() -> None:
    few = np.arange(0.0, 300.0, 25.0)
    ours, theirs = curve(few / 300, few), curve(few / 300 + 0.2, few)
    assert parted_at(ours, theirs) is not None
    assert parted_at(ours, theirs, error=0.2) is None


def test_runs_of_different_lengths_are_compared_where_both_are() -> None:
    long = noisy(falling(), 1)
    short = noisy(falling(), 2)[:150]
    assert parted_at(curve(long), curve(short)) is None
    place = parted_at(curve(long), curve(short + 1.0))
    assert place == 0.0


@pytest.mark.parametrize(
    "theirs",
    [curve(np.ones(3)), curve(np.full(400, np.nan)[:4]), curve(np.ones(400), STEPS + 1000), curve(np.array([]))],
    ids=["three rows", "four rows of NaN", "no shared steps", "empty"],
)
def test_too_little_shared_says_nothing(theirs: Curve) -> None:
    assert parted_at(curve(np.zeros(400)), theirs) is None


def test_equal_runs_do_not_part() -> None:
    same = curve(noisy(falling(), 1))
    assert parted_at(same, same) is None
    flat = curve(np.zeros(400))
    assert parted_at(flat, flat) is None
