"""Devices that wait, swing, work, or were never used."""

from __future__ import annotations

from collections.abc import Callable

from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules import gpu_underused
from runvitals.diagnostics.types import Alert, Happening, Row, RunContext


def sampled(load: Callable[[int], dict[str, float]], *, minutes: float = 30, phase: str = "train") -> list[Alert]:
    """The alerts after some minutes of samples, one each 5 s, beside rows of training."""
    engine = Engine([gpu_underused.RULE], RunContext(run_id="run", trainer="sft"))
    engine.happen(Happening(time_s=0.0, step=0, kind="phase", data={"phase": phase}))
    for place in range(int(minutes * 12)):
        time_s = 5.0 * place
        waits = {"loss": 1.0, "perf/step_time_s": 5.0, "perf/data_wait_s": 3.0}
        engine.feed(Row(time_s=time_s, step=place, values=waits))
        engine.feed(Row(time_s=time_s + 1.0, step=None, values=load(place)))
    assert engine.states()[0].error == ""
    return engine.alerts()


def test_device_that_waits_is_a_warning_with_the_loader_as_cause() -> None:
    alerts = sampled(lambda place: {"gpu/0/utilization": 30.0 + place % 10})
    assert [alert.severity for alert in alerts] == ["warning"]
    assert alerts[0].causes[0].text == "The data loader is too slow"
    assert alerts[0].causes[0].because == "60% of a step waits for its batch"


def test_busy_device_raises_nothing() -> None:
    assert sampled(lambda place: {"gpu/0/utilization": 95.0 + place % 5}) == []


def test_swinging_device_is_information() -> None:
    alerts = sampled(lambda place: {"gpu/0/utilization": 98.0 if place % 3 == 0 else 2.0})
    assert [alert.severity for alert in alerts] == ["info"]


def test_one_slow_device_of_two_is_named() -> None:
    alerts = sampled(lambda place: {"gpu/0/utilization": 97.0, "gpu/1/utilization": 20.0})
    assert "GPU 1 is at most 20 %" in alerts[0].sentence


def test_device_that_never_did_anything_is_not_this_runs() -> None:
    assert sampled(lambda place: {"gpu/0/utilization": 97.0, "gpu/1/utilization": 0.0}) == []


def test_ten_minutes_are_needed() -> None:
    assert sampled(lambda place: {"gpu/0/utilization": 20.0}, minutes=9) == []


def test_only_training_counts() -> None:
    assert sampled(lambda place: {"gpu/0/utilization": 20.0}, phase="eval") == []


def test_slow_device_of_another_node_is_named_with_its_host() -> None:
    alerts = sampled(lambda place: {"gpu/0/utilization": 97.0, "node/worker-1/gpu/0/utilization": 20.0})
    assert "GPU worker-1/0 is at most 20 %" in alerts[0].sentence
