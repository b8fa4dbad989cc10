from __future__ import annotations

import pytest

from runvitals.trainers.timing import Rate, StepTime, StepTimer


def test_a_step_is_its_wait_and_its_work() -> None:
    timer = StepTimer()
    timer.start(10.0)
    timer.begin(10.5)
    step = timer.end(12.0)

    assert step is not None
    assert (step.step_time_s, step.data_wait_s) == (2.0, 0.5)


def test_what_lies_between_steps_and_is_no_training_does_not_count() -> None:
    timer = StepTimer()
    timer.start(0.0)
    timer.begin(0.0)
    timer.end(1.0)
    timer.pause(9.0)  # an evaluation
    timer.begin(9.25)
    step = timer.end(10.0)

    assert step is not None
    assert (step.step_time_s, step.data_wait_s) == (1.0, 0.25)
    assert timer.training_s == 2.0


def test_without_a_begin_only_the_whole_step_is_known() -> None:
    timer = StepTimer()
    timer.start(0.0)
    timer.end(3.0)
    step = timer.end(7.0)

    assert step is not None
    assert (step.step_time_s, step.data_wait_s) == (4.0, None)


def test_a_pause_inside_a_step_changes_nothing() -> None:
    timer = StepTimer()
    timer.start(0.0)
    timer.begin(1.0)
    timer.pause(2.0)
    step = timer.end(3.0)

    assert step is not None
    assert (step.step_time_s, step.data_wait_s) == (3.0, 1.0)


def test_the_optimisers_share_is_told_and_ends_with_the_step() -> None:
    timer = StepTimer()
    timer.start(0.0)
    timer.begin(0.5)
    timer.optimizer_begin(2.0)
    timer.optimizer_end(2.25)
    first, second = timer.end(3.0), timer.end(4.0)

    assert first is not None and second is not None
    assert first.optimizer_time_s == 0.25
    assert second.optimizer_time_s is None


def test_generation_lasts_until_the_first_optimiser_step_of_an_update() -> None:
    timer = StepTimer()
    timer.start(10.0)
    timer.generated(16.0)
    timer.generated(18.0)  # the update's second minibatch
    update = timer.end(20.0)

    assert update is not None
    assert (update.step_time_s, update.generation_time_s) == (10.0, 6.0)


def test_a_pause_tells_how_long_it_was() -> None:
    timer = StepTimer()
    assert timer.pause(3.0) == 0.0
    timer.start(4.0)
    timer.begin(4.0)
    assert timer.pause(4.5) == 0.0, "a step is no pause"
    timer.end(5.0)
    assert timer.pause(9.0) == 4.0


def test_a_step_logs_only_the_parts_that_are_known() -> None:
    known = StepTime(step_time_s=2.0, data_wait_s=0.5, optimizer_time_s=0.25)
    assert known.row(8) == {
        "perf/step_time_s": 2.0,
        "perf/data_wait_s": 0.5,
        "perf/optimizer_time_s": 0.25,
        "perf/samples_per_s": 4.0,
    }
    assert StepTime(step_time_s=0.0, data_wait_s=None).row(8) == {"perf/step_time_s": 0.0}


def test_no_step_is_told_before_training_began() -> None:
    assert StepTimer().end(1.0) is None


def test_a_rate_is_the_rise_since_the_last_asking() -> None:
    rate = Rate()
    assert rate.per_s(0.0, 0.0) is None
    assert rate.per_s(100.0, 2.0) == pytest.approx(50.0)
    assert rate.per_s(400.0, 3.0) == pytest.approx(300.0)


@pytest.mark.parametrize(("count", "training_s"), [(None, 5.0), (50.0, 5.0), (200.0, 2.0)])
def test_there_is_no_rate_without_count_after_a_fall_or_without_time(count: float | None, training_s: float) -> None:
    rate = Rate()
    rate.per_s(100.0, 2.0)
    assert rate.per_s(count, training_s) is None
