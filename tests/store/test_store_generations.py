"""Steps that go back: which points a later one has taken the place of, against the rule applied point by point."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runvitals.collectors.records import NO_STEP
from runvitals.store.generations import MOST_REWINDS, Front, unpack_rewinds
from runvitals.store.types import Ints

START = Front("", NO_STEP, None)

Batches = list[tuple[str, list[int]]]


def front_after(batches: Batches) -> Front:
    front, first = START, 0
    for writer, steps in batches:
        front = front.moved(writer, np.array(steps, np.int64), first=first)
        first += len(steps)
    return front


def superseded_by_rule(batches: Batches) -> list[bool]:
    """The rule in its own words, point by point."""
    points = [(writer, step) for writer, steps in batches for step in steps]
    gone = [False] * len(points)
    before: tuple[str, int] | None = None
    for index, (writer, step) in enumerate(points):
        if step == NO_STEP:
            continue
        if before is not None and (step < before[1] or (step == before[1] and writer != before[0])):
            gone[:index] = [was or other >= step for was, (_, other) in zip(gone[:index], points, strict=False)]
        before = (writer, step)
    return gone


def superseded(batches: Batches) -> list[bool]:
    steps = np.array([step for _, some in batches for step in some], np.int64)
    found: list[bool] = unpack_rewinds(front_after(batches).rewinds).kept(0, steps, "superseded").tolist()
    return found


any_steps = st.lists(st.integers(NO_STEP, 9), min_size=1, max_size=12)
rising_steps = any_steps.map(sorted)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.one_of(any_steps, rising_steps)), min_size=1, max_size=8))
def test_any_batches_agree_with_the_rule_point_by_point(batches: Batches) -> None:
    assert superseded(batches) == superseded_by_rule(batches)


def test_a_lower_step_supersedes_what_stood_at_it_and_above() -> None:
    assert superseded([("a", [0, 1, 2, 3]), ("a", [2, 3])]) == [False, False, True, True, False, False]


def test_equal_steps_of_one_writer_are_duplicates_and_both_stay() -> None:
    assert superseded([("a", [0, 1, 1]), ("a", [1])]) == [False] * 4


def test_an_equal_step_of_another_writer_begins_a_generation() -> None:
    assert superseded([("a", [0, 1]), ("b", [1, 2])]) == [False, True, False, False]


def test_rows_without_a_step_are_never_superseded_and_never_begin_a_generation() -> None:
    assert superseded([("a", [5, NO_STEP]), ("b", [NO_STEP, 0])]) == [True, False, False, False]


def test_points_in_order_leave_no_rewinds() -> None:
    assert front_after([("a", [0, 1, 1, 7]), ("b", [8])]) == Front("b", 8, None)


def test_a_store_that_did_not_note_its_writer_takes_an_equal_step_for_a_duplicate() -> None:
    assert Front("", 4, None).moved("b", np.array([4]), first=5).rewinds is None


def test_a_rewind_that_went_back_less_far_than_a_later_one_is_forgotten() -> None:
    rewinds = unpack_rewinds(front_after([("a", [9, 8, 7, 6, 2, 5, 4])]).rewinds)
    assert (rewinds.firsts.tolist(), rewinds.steps.tolist(), rewinds.last) == ([4, 6], [2, 4], 6)


def test_beyond_the_most_rewinds_the_oldest_are_dropped_and_their_points_count_as_current() -> None:
    number = MOST_REWINDS + 1
    steps: Ints = np.stack((np.arange(number) * 10 + 9, np.arange(number) * 10), axis=1).ravel()
    rewinds = unpack_rewinds(START.moved("a", steps, first=0).rewinds)
    gone = rewinds.kept(0, steps, "superseded")
    assert len(rewinds) == MOST_REWINDS
    assert np.flatnonzero(gone).tolist() == list(range(2, 2 * number, 2))
