"""Better and worse on the Compare page: by an error in which a few rows far off do not decide, and said where they do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runvitals.dashboard.compare_judge import CERTAIN, Cell, Reading, leaders, reading, usual_scatter, verdict
from runvitals.diagnostics.signals import SIGNALS

LOSS, MARGIN, ACCURACY, GRAD_NORM = (
    SIGNALS[name] for name in ("loss", "reward_margin", "reward_accuracy", "grad_norm")
)
NOISE = np.random.default_rng(7).normal(0.0, 0.01, 40)


def cell(found: Reading) -> Cell:
    names = ("value", "error", "doubt", "freedom", "steady", "reach", "far", "rows")
    return Cell(**{name: getattr(found, name) for name in names})


def read(values: object, rows: int = 10, **how: object) -> Cell:
    return cell(reading(np.asarray(values, dtype=float), rows, None, **how))  # type: ignore[arg-type]


def test_a_run_that_blew_up_in_its_last_rows_is_worse_and_it_says_by_which() -> None:
    """A loss of 435 000 against 0.521: one row makes the mean and, in a plain standard error, the doubt too."""
    blown = 0.52 + NOISE
    blown[-1] = 4_350_000.0
    told = read(blown)
    assert told.value == pytest.approx(435_000, rel=0.01) and told.error > 400_000
    assert verdict(LOSS, told, read(0.521 + NOISE)) == "worse, by 1 of 10 rows"
    assert verdict(LOSS, read(0.521 + NOISE), told) == "better, by 1 of 10 rows of the baseline"


def test_a_run_that_is_bad_in_most_rows_is_simply_worse() -> None:
    wild = np.concatenate([0.5 + NOISE[:30], 10.0 ** np.array([2, 6, 3, 5, 2, 4, 6, 3, 5, 4])])
    assert verdict(LOSS, read(wild), read(0.521 + NOISE)) == "worse"
    # A spike on top of a difference that is there without it takes nothing away from the verdict.
    spiked = 0.9 + NOISE
    spiked[-4] = 7.0
    assert verdict(LOSS, read(spiked), read(0.521 + NOISE)) == "worse"


def test_for_plain_noise_the_error_is_that_of_welch() -> None:
    found = reading(0.5 + NOISE, 10, None)
    assert found.far == 0
    assert found.doubt == found.error == pytest.approx(float((0.5 + NOISE)[-10:].std(ddof=1)) / math.sqrt(10))


def test_runs_of_one_setting_are_seldom_called_different() -> None:
    rng = np.random.default_rng(3)
    named = 0
    for _ in range(400):
        ours, theirs = (0.1 + rng.standard_t(4, 40) * 0.01 for _ in range(2))
        named += verdict(LOSS, read(ours), read(theirs)) != ""
    assert named / 400 < 0.08


def test_of_single_rows_the_scatter_of_those_before_is_the_doubt() -> None:
    steady = reading(1.0 + NOISE[:12], 1, None)
    assert steady.doubt == pytest.approx(0.01, rel=0.6) and math.isnan(steady.error)
    assert verdict(LOSS, cell(steady), cell(reading(1.025 + NOISE[12:24], 1, None))) == ""
    assert verdict(LOSS, cell(steady), cell(reading(1.5 + NOISE[12:24], 1, None))) == "better"


def test_an_evaluation_of_a_run_that_blew_up_is_worse_though_its_curve_is_wild() -> None:
    calm, wild = [0.508, 0.440, 0.426, 0.410, 0.407, 0.406], [0.505, 0.441, 0.577, 4.40, 29_970.0, 4.32]
    assert verdict(LOSS, read(wild, rows=1), read(calm, rows=1)) == "worse"


def test_shares_have_no_rows_far_off() -> None:
    """Pairs won of a batch of two are 0, 50 or 100 %: those that differ from the others are no accident."""
    rows = np.ones(40)
    rows[[-2, -5]] = 0.5
    assert read(rows, share=True).far == 0
    assert verdict(ACCURACY, read(rows, share=True), read(np.ones(40), share=True)) == ""


def test_a_measured_error_is_the_least_doubt_and_a_scatter_beyond_it_is_told() -> None:
    margins = np.full(40, 1.0)
    calm = reading(margins, 4, np.full(40, 0.05))
    assert (calm.error, calm.doubt, calm.freedom) == (0.05, 0.05, CERTAIN)
    margins[-1] = -113_000.0
    blown = reading(margins, 4, np.full(40, 0.037))
    # Not −28 300 ± 0.037.
    assert blown.error > 20_000
    assert verdict(MARGIN, cell(blown), cell(calm)) == "worse, by 1 of 4 rows"


def test_only_signals_with_a_direction_and_more_than_slight_differences_are_judged() -> None:
    assert verdict(GRAD_NORM, read(5.0 + NOISE), read(1.0 + NOISE)) == ""
    assert verdict(LOSS, read(np.full(40, 1.01)), read(np.ones(40))) == ""
    assert verdict(LOSS, read(np.full(40, 1.03)), read(np.ones(40))) == "worse"


def test_rows_that_are_not_finite_are_left_out_and_counted() -> None:
    found = reading(np.array([1.0, math.nan, math.inf, 1.0]), 4, None)
    assert (found.value, found.unsound, found.rows) == (1.0, 2, 4)
    nothing = reading(np.array([math.nan, math.nan]), 2, None)
    assert math.isnan(nothing.value) and nothing.unsound == 2


def test_the_usual_scatter_needs_a_few_rows_and_is_blind_to_trends() -> None:
    assert math.isnan(usual_scatter(np.arange(4.0)))
    assert usual_scatter(np.linspace(0.0, 100.0, 40)) == pytest.approx(0.0, abs=1e-9)


def test_the_best_lead_and_those_that_are_not_worse_than_it() -> None:
    cells = [read(0.5 + NOISE), read(0.501 + NOISE[::-1]), read(0.9 + NOISE), Cell(missing="not logged")]
    assert leaders(LOSS, cells) == {0, 1}
    assert leaders(LOSS, cells[:2]) == leaders(LOSS, cells[2:]) == leaders(GRAD_NORM, cells) == frozenset()
