"""How a margin and a share of pairs are written with their errors."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from runvitals.diagnostics.margin_held_out import share_error
from runvitals.diagnostics.margin_numerals import measure_of, share_range, signed, won


@pytest.mark.parametrize("pairs", [4, 32, 400])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_interval_of_a_share_is_wilsons_and_stays_a_share(share: float, pairs: int) -> None:
    found = share_range(share, share_error(share, pairs))
    expected = binomtest(round(share * pairs), pairs).proportion_ci(method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=2e-3)
    assert 0.0 <= found[0] <= share <= found[1] <= 1.0


def test_no_share_is_said_to_be_above_all_pairs() -> None:
    assert won(0.992, share_error(0.992, 32)) == "99.2 % of pairs (88 to 100 %)"
    assert won(0.0, share_error(0.0, 20)) == "0 % of pairs (0 to 16 %)"
    assert won(0.516, share_error(0.516, 1120)) == "51.6 % ± 2.9 of pairs"
    assert won(0.75, math.inf) == won(0.75, 0.0) == "75 % of pairs"


def test_digits_that_the_error_swallows_are_not_shown() -> None:
    assert measure_of(-2462.3, 21188 / 1.96) == "−2\u2009000 ± 21\u2009000"
    assert measure_of(-400.0, 11_000.0) == "+0 ± 22\u2009000", "a zero has no minus"
    assert measure_of(0.019, 0.06) == "+0.019 ± 0.118"
    assert signed(-2462.3) == "−2\u2009460"
    assert signed(3.226, 0.04) == "+3.226"
