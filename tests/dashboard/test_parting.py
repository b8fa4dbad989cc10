"""Where two runs part."""

from __future__ import annotations

import numpy as np

from runvitals.dashboard.parting import parted_at
from runvitals.store.types import Envelope


def envelope(values: np.ndarray, *, width: float = 0.1) -> Envelope:
    steps = np.arange(values.size, dtype=np.int64)
    ones = np.ones(values.size, dtype=np.int64)
    return Envelope(
        x=steps.astype(float), steps=steps, times_s=steps.astype(float), low=values - width, high=values + width, mean=values,
        last=values, count=ones, nonfinite=0 * ones, kinds=np.zeros(values.size, np.uint8), exact=False,
    )  # fmt: skip


def test_runs_part_where_their_bands_never_touch_again() -> None:
    flat = np.zeros(200)
    rising = np.where(np.arange(200) < 100, 0.0, (np.arange(200) - 100) * 0.05)
    step = parted_at(envelope(flat), envelope(rising))
    assert step is not None and 100 < step <= 115


def test_bands_that_touch_again_have_not_parted() -> None:
    bump = np.where((np.arange(200) > 50) & (np.arange(200) < 100), 5.0, 0.0)
    assert parted_at(envelope(np.zeros(200)), envelope(bump)) is None


def test_curves_that_cross_between_buckets_part_after_the_crossing() -> None:
    crossing = np.where(np.arange(200) < 100, -5.0, 5.0)
    step = parted_at(envelope(np.zeros(200)), envelope(crossing))
    assert step is not None and step >= 95


def test_equal_short_or_disjoint_runs_do_not_part() -> None:
    flat = envelope(np.zeros(200))
    assert parted_at(flat, flat) is None
    assert parted_at(flat, envelope(np.ones(2))) is None
    assert parted_at(flat, envelope(np.full(200, np.nan))) is None
