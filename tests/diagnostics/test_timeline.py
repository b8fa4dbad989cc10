"""Where a run stands: what its rows and events say to all rules."""

from __future__ import annotations

import math

from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Happening, RunContext, Sample


def sample(step: int | None, **signals: float | None) -> Sample:
    return Sample(time_s=1.0, step=step, signals=signals, raw={})


def test_rates_that_jump_and_epochs_that_end_are_marked() -> None:
    timeline = Timeline(100)
    for step in range(10):
        timeline.read(sample(step, loss=1.0, learning_rate=1e-3, epoch=step / 8))
    assert timeline.since("epoch") == 1
    assert timeline.since("rate") == math.inf
    timeline.read(sample(10, loss=1.0, learning_rate=2e-3))
    timeline.read(sample(11, loss=1.0, learning_rate=1.9e-3))
    assert timeline.since("rate") == 1
    assert timeline.progress == 0.11


def test_step_that_goes_back_is_a_resume_and_an_evaluation_is_no_training_row() -> None:
    timeline = Timeline(None)
    for step in (1, 2, 3, 2):
        timeline.read(sample(step, loss=1.0))
    assert timeline.since("resume") == 1
    timeline.read(sample(2, eval_loss=1.0))
    assert (timeline.rows, timeline.since("eval"), timeline.progress) == (4, 0, None)


def test_events_are_marked_and_a_trainer_event_tells_the_length() -> None:
    timeline = Timeline.of_run(RunContext(run_id="run"))
    timeline.happen(Happening(time_s=1.0, step=0, kind="trainer", data={"kind": "sft", "max_steps": 10}))
    timeline.happen(Happening(time_s=1.0, step=0, kind="checkpoint"))
    timeline.read(sample(5, loss=1.0))
    assert (timeline.progress, timeline.since("checkpoint")) == (0.5, 1)


def test_warm_up_ends_when_the_rate_no_longer_climbs() -> None:
    timeline = Timeline(None)
    seen = []
    for step in range(12):
        timeline.read(sample(step, loss=1.0, learning_rate=min(step + 1, 5) * 1e-4))
        seen.append(timeline.warming_up)
    assert seen[4] and not seen[-1]


def test_missing_numbers_say_nothing() -> None:
    timeline = Timeline(0)
    for value in (None, math.nan, math.inf):
        timeline.read(sample(1, loss=value, learning_rate=value, epoch=value))
    timeline.read(sample(None, gpu_utilization=3.0))
    assert timeline.max_steps is None and timeline.rows == 3 and math.isnan(timeline.rate)
