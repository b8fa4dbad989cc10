"""What statistics wait out: resumes, rollbacks, jumps of the learning rate, the edge of an epoch."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules.masks import RateJump, Resumes
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Happening, Row, RunContext, Sample
from tests.diagnostics.faults import reinforced, row, supervised, to_rows


def fed(rows: Iterable[Row], trainer: str, *, resume_before: int | None = None) -> Engine:
    """The engine after the rows, with a resume event before the row of this number."""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=trainer, max_steps=400))
    for place, each in enumerate(rows):
        if place == resume_before:
            engine.happen(Happening(time_s=each.time_s, step=None, kind="resume"))
        engine.feed(each)
    return engine


def worst(engine: Engine) -> dict[str, str]:
    """The severity of each rule's newest alert."""
    return {alert.rule: alert.severity for alert in engine.alerts()}


def lifted(values: list[dict[str, float | None]], begin: int, factor: float) -> list[dict[str, float | None]]:
    """The loss times a factor from a row on."""
    return [
        {**each, "loss": (each["loss"] or 0.0) * (factor if place >= begin else 1.0)}
        for place, each in enumerate(values)
    ]


@pytest.mark.parametrize("by_event", [True, False])
def test_level_after_a_resume_is_no_divergence_however_the_resume_is_told(by_event: bool) -> None:
    values = lifted(supervised(160, 3, noise=0.01), 100, 1.6)
    rows = list(to_rows(values))
    if not by_event:  # the run went back by 40 steps
        rows[100:] = [row((each.step or 0) - 40, **each.values) for each in rows[100:]]
    told = worst(fed(rows, "sft", resume_before=100 if by_event else None))
    assert not {"loss_divergence", "loss_spike"} & set(told)
    assert worst(fed(to_rows(values), "sft"))["loss_divergence"] == "critical"


def warmed_again(factor: float, rate: float) -> Engine:
    """A run whose rate falls to a tenth and jumps to `rate` at row 100, with a loss that is `factor` times as high for 15 rows."""
    values = supervised(200, 5, noise=0.01)
    for place, each in enumerate(values):
        each["learning_rate"] = 1e-3 if place < 50 else 1e-4 if place < 100 else rate
        if 100 <= place < 115:
            each["loss"] = (each["loss"] or 0.0) * factor
    return fed(to_rows(values), "sft")


def test_moderate_rise_after_the_rate_warms_up_again_is_no_warning() -> None:
    assert "loss_divergence" not in worst(warmed_again(1.2, 1e-3))


def test_grave_rise_after_the_rate_warms_up_again_is_told() -> None:
    assert worst(warmed_again(2.0, 1e-3))["loss_divergence"] == "critical"


def test_rate_at_a_new_height_hides_nothing() -> None:
    assert worst(warmed_again(1.2, 5e-3))["loss_divergence"] == "warning"


def test_spikes_at_the_edges_of_epochs_are_rests_and_elsewhere_are_spikes() -> None:
    def with_spikes(offset: int) -> Engine:
        values = supervised(200, 2, noise=0.01)
        for place, each in enumerate(values, 1):
            each["epoch"] = place / 40
            if place % 40 == offset and place > 40:
                each["loss"] = 2.0 * (each["loss"] or 0.0)
        return fed(to_rows(values), "sft")

    assert "loss_spike" not in worst(with_spikes(0))
    assert worst(with_spikes(20))["loss_spike"] == "warning"


def test_rollback_takes_back_what_was_collapsed_and_keeps_the_start() -> None:
    values = reinforced(160, 4)
    for place, each in enumerate(values):
        if 60 <= place < 110:
            each |= {"entropy": 0.05, "reward": 0.5, "kl": 4.0}
    rows = list(to_rows(values))
    back = [row((each.step or 0) - 55, **each.values) for each in rows[110:]]
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="grpo", max_steps=400))
    for each in rows[:110]:
        engine.feed(each)
    assert {"entropy_collapse", "kl_blowup"} <= set(worst(engine))
    before = len(engine.alerts())
    for each in back:
        engine.feed(each)
    assert len(engine.alerts()) == before
    assert {alert.state for alert in engine.alerts() if alert.rule in ("entropy_collapse", "kl_blowup")} == {"resolved"}


def sample(step: int, rate: float) -> Sample:
    return Sample(time_s=1.0, step=step, signals={"learning_rate": rate}, raw={})


def test_rate_that_never_rests_hides_nothing_for_long() -> None:
    timeline = Timeline(None)
    jump = RateJump(timeline, 5)
    hidden = []
    for step in range(60):
        rate = 1e-3 if step < 10 else 1e-4 if step % 2 else 5e-4
        timeline.read(sample(step, rate))
        hidden.append(jump.read())
    assert hidden[10:15] == [True] * 5
    assert not any(hidden[15:])


def test_rows_of_other_ranks_are_no_resume() -> None:
    timeline = Timeline(None)
    timeline.read(sample(10, 1e-3))
    resumes = Resumes(timeline)
    timeline.read(Sample(time_s=1.0, step=4, signals={}, raw={"rank/1/loss": 1.0}))
    assert not resumes.is_new() and timeline.step == 10
    timeline.read(sample(9, 1e-3))
    assert resumes.is_new() and not resumes.is_new()
