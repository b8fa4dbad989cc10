"""A run that stands still, loses its heartbeat or its process, and one that only takes its time."""

from __future__ import annotations

import math

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rules.definition import lasting
from runvitals.diagnostics.types import Alert, Happening, Pulse, Row, RunContext

START = 1e9


def trained(rows: int, *, seconds: float = 1.0) -> Engine:
    """An engine after some rows at a steady pace."""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft", started_s=START))
    for step in range(1, rows + 1):
        engine.feed(Row(time_s=START + step * seconds, step=step, values={"loss": 2.0 - 0.001 * step}))
    return engine


def pulse(now_s: float, **changes: object) -> Pulse:
    """A pulse of a live process whose heartbeat is one second old."""
    values: dict[str, object] = {"beat_s": now_s - 1.0, "phase": "train", "alive": True, **changes}
    return Pulse(now_s=now_s, **values)  # type: ignore[arg-type]


def fired(engine: Engine) -> dict[str, Alert]:
    """The alerts that fire, by rule."""
    return {alert.rule: alert for alert in engine.alerts() if alert.state == "firing"}


@pytest.mark.parametrize(
    ("waited_s", "severity"), [(59.0, None), (61.0, "warning"), (119.0, "warning"), (121.0, "critical")]
)
def test_hang_is_a_warning_after_a_minute_and_critical_after_two(waited_s: float, severity: str | None) -> None:
    engine = trained(100, seconds=0.1)
    last_s = START + 10.0
    engine.pulse(pulse(last_s + 1.0))
    for second in range(2, int(waited_s) + 1):
        engine.pulse(pulse(last_s + second))
    engine.pulse(pulse(last_s + waited_s))
    alert = fired(engine).get("progress_stalled")
    assert (alert.severity if alert else None) == severity


def test_patience_is_five_times_the_usual_interval() -> None:
    engine = trained(100, seconds=30.0)
    last_s = START + 3000.0
    engine.pulse(pulse(last_s + 1.0))
    engine.pulse(pulse(last_s + 149.0))
    assert fired(engine) == {}
    engine.pulse(pulse(last_s + 151.0))
    assert fired(engine)["progress_stalled"].onset_step == 100


def test_new_step_ends_the_stall() -> None:
    engine = trained(100)
    engine.pulse(pulse(START + 101.0))
    engine.pulse(pulse(START + 200.0))
    engine.feed(Row(time_s=START + 201.0, step=101, values={"loss": 1.0}))
    assert fired(engine) == {}
    assert engine.alerts()[0].state == "resolved"


def test_first_steps_get_twenty_minutes() -> None:
    engine = trained(5)
    engine.pulse(pulse(START + 6.0))
    engine.pulse(pulse(START + 1190.0))
    assert fired(engine) == {}
    engine.pulse(pulse(START + 1240.0))
    assert "progress_stalled" in fired(engine)


def test_start_without_any_step_is_told_after_twenty_minutes() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run", started_s=START))
    engine.pulse(pulse(START + 1199.0, phase="init"))
    assert fired(engine) == {}
    engine.pulse(pulse(START + 1201.0, phase="init"))
    assert "No step yet" in fired(engine)["progress_stalled"].sentence


@pytest.mark.parametrize("phase", ["eval", "save", "generate"])
def test_other_phases_have_their_own_patience(phase: str) -> None:
    engine = trained(100)
    engine.happen(Happening(time_s=START + 101.0, step=100, kind="phase", data={"phase": phase}))
    engine.pulse(pulse(START + 700.0, phase=phase))
    assert fired(engine) == {}
    engine.pulse(pulse(START + 101.0 + 1801.0, phase=phase))
    assert "progress_stalled" in fired(engine)


def test_long_evaluation_is_learned() -> None:
    engine = trained(100)
    now_s = START + 101.0
    for _ in range(3):
        engine.happen(Happening(time_s=now_s, step=100, kind="phase", data={"phase": "eval"}))
        engine.happen(Happening(time_s=now_s + 40.0, step=100, kind="phase", data={"phase": "train"}))
        now_s += 41.0
    engine.happen(Happening(time_s=now_s, step=100, kind="phase", data={"phase": "eval"}))
    engine.pulse(pulse(now_s + 199.0, phase="eval"))
    assert fired(engine) == {}
    engine.pulse(pulse(now_s + 201.0, phase="eval"))
    assert "progress_stalled" in fired(engine)


def test_lost_heartbeat_hides_the_stall_that_it_explains() -> None:
    engine = trained(100)
    engine.pulse(pulse(START + 101.0))
    engine.pulse(pulse(START + 300.0, beat_s=START + 100.0, alive=None))
    alerts = fired(engine)
    assert alerts["heartbeat_lost"].severity == "critical"
    assert alerts["progress_stalled"].inhibited_by == alerts["heartbeat_lost"].id
    assert "cannot be seen from here" in alerts["heartbeat_lost"].sentence


def test_killed_process_is_a_crash_at_once() -> None:
    engine = trained(50)
    engine.pulse(pulse(START + 51.0, alive=False))
    assert set(fired(engine)) == {"run_crashed"}
    assert fired(engine)["run_crashed"].severity == "critical"
    assert engine.health() == "critical"


def hung(still_s: float, *, alive: bool = True) -> Engine:
    """A run that stood still for so long under a watcher's eyes."""
    engine = trained(100)
    for second in range(1, int(still_s) + 1):
        engine.pulse(pulse(START + 100.0 + second, alive=alive))
    return engine


def test_run_that_was_killed_in_a_long_evaluation_is_not_said_to_have_hung() -> None:
    engine = trained(100)
    for second in range(1, 151):
        engine.pulse(pulse(START + 100.0 + second, phase="eval"))
    engine.pulse(pulse(START + 252.0, alive=False, phase="eval"))
    assert fired(engine)["run_crashed"].sentence.endswith("it was killed.")
    assert not any(cause.text.startswith("It hung") for cause in fired(engine)["run_crashed"].causes)


def test_run_that_hung_and_was_killed_says_so_and_its_stall_is_not_resolved() -> None:
    engine = hung(150.0)
    engine.pulse(pulse(START + 252.0, alive=False))
    alerts = fired(engine)
    assert set(alerts) == {"run_crashed", "progress_stalled"}
    assert alerts["run_crashed"].sentence.endswith("it was killed, after 3 min without a step.")
    assert alerts["run_crashed"].causes[0].text.startswith("It hung")
    assert alerts["progress_stalled"].inhibited_by == alerts["run_crashed"].id


def test_run_that_was_killed_in_full_swing_is_said_to_have_been_killed_only() -> None:
    engine = hung(40.0)
    engine.pulse(pulse(START + 142.0, alive=False))
    assert set(fired(engine)) == {"run_crashed"}
    assert fired(engine)["run_crashed"].sentence.endswith("it was killed.")
    assert "memory" in fired(engine)["run_crashed"].causes[0].text


def test_hung_run_that_ends_by_itself_stalls_no_more() -> None:
    engine = hung(150.0)
    engine.pulse(pulse(START + 252.0, ended=True))
    assert fired(engine) == {}


def test_exception_is_a_crash_without_any_watcher() -> None:
    engine = trained(50)
    data = {"type": "OutOfMemoryError", "message": "CUDA out of memory. Tried to allocate 2 GiB\nmore", "traceback": ""}
    engine.happen(Happening(time_s=START + 51.0, step=50, kind="exception", data=data))
    alert = fired(engine)["run_crashed"]
    assert alert.sentence == "OutOfMemoryError at step 50: CUDA out of memory. Tried to allocate 2 GiB."
    assert alert.causes[0].likelihood == "likely"
    engine.pulse(pulse(START + 52.0, alive=False, ended=True))
    assert "run_crashed" in fired(engine)


@pytest.mark.parametrize("status", ["finished", "stopped"])
def test_run_that_ended_is_neither_stalled_nor_crashed(status: str) -> None:
    engine = trained(100)
    engine.happen(Happening(time_s=START + 100.5, step=100, kind="finish", data={"status": status}))
    engine.pulse(pulse(START + 9000.0, alive=False, ended=True, beat_s=START + 100.0))
    assert fired(engine) == {}


def test_interrupt_by_the_user_is_no_crash() -> None:
    engine = trained(30)
    engine.happen(Happening(time_s=START + 31.0, step=30, kind="exception", data={"type": "KeyboardInterrupt"}))
    assert fired(engine) == {}


def test_run_taken_up_again_is_no_longer_crashed() -> None:
    engine = trained(50)
    engine.pulse(pulse(START + 51.0, alive=False))
    engine.feed(Row(time_s=START + 60.0, step=51, values={"loss": 1.0}))
    engine.pulse(pulse(START + 61.0))
    assert fired(engine) == {}


def test_stall_keeps_its_id_when_its_history_is_read_again() -> None:
    ids = []
    for _ in range(2):
        engine = trained(100)
        engine.pulse(pulse(START + 101.0))
        engine.pulse(pulse(START + 300.0))
        ids.append(fired(engine)["progress_stalled"].id)
    assert ids == ["run:progress_stalled:loss:100@1000000100000"] * 2


def test_second_loss_of_the_heartbeat_at_the_same_step_is_another_alert() -> None:
    engine = trained(100)
    for now_s, beat_s in ((101.0, 100.5), (200.0, 100.5), (201.0, 200.5), (300.0, 200.5)):
        engine.pulse(pulse(START + now_s, beat_s=START + beat_s, alive=None))
    losses = [alert for alert in engine.alerts() if alert.rule == "heartbeat_lost"]
    assert [(alert.state, alert.onset_step, alert.onset_s) for alert in losses] == [
        ("resolved", 100, START + 100.5),
        ("firing", 100, START + 200.5),
    ]
    assert len({alert.id for alert in losses}) == 2


def test_stalls_before_the_first_step_are_alerts_of_their_own() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run", started_s=START))
    engine.pulse(pulse(START + 1201.0, phase="init"))
    engine.happen(Happening(time_s=START + 1300.0, step=None, kind="phase", data={"phase": "eval"}))
    engine.pulse(pulse(START + 1301.0, phase="eval"))
    engine.pulse(pulse(START + 9000.0, phase="eval"))
    stalls = [alert for alert in engine.alerts() if alert.rule == "progress_stalled"]
    assert [alert.onset_s for alert in stalls] == [START, START + 1300.0]
    assert len({alert.id for alert in stalls}) == 2


@pytest.mark.parametrize("rule", ["heartbeat_lost", "progress_stalled"])
@pytest.mark.parametrize("first_pulse_s", [161.0, 200.0])
def test_id_of_a_timed_rule_does_not_depend_on_when_it_was_asked(rule: str, first_pulse_s: float) -> None:
    engine = trained(100)
    stale = {"beat_s": START + 100.5} if rule == "heartbeat_lost" else {}
    engine.pulse(pulse(START + first_pulse_s, alive=None, **stale))
    when_ms = {"heartbeat_lost": 1000000100500, "progress_stalled": 1000000100000}
    assert fired(engine)[rule].id == f"run:{rule}:loss:100@{when_ms[rule]}"


def test_phase_that_only_beats_tell_of_is_dated_by_them() -> None:
    ids = set()
    for delay_s in (0.2, 1.7):
        engine = trained(100)
        engine.pulse(pulse(START + 105.0 + delay_s, beat_s=START + 105.0, phase="save"))
        engine.pulse(pulse(START + 2000.0, phase="save"))
        ids.add(fired(engine)["progress_stalled"].id)
    assert len(ids) == 1


def resumed(engine: Engine, at_s: float) -> None:
    """A new process takes the run up."""
    engine.happen(Happening(time_s=at_s, step=None, kind="resume"))


def test_gap_before_a_resume_raises_nothing() -> None:
    engine = trained(100)
    engine.pulse(pulse(START + 101.0))
    resumed(engine, START + 30000.0)
    engine.pulse(pulse(START + 30001.0, beat_s=START + 100.0, alive=None))
    engine.pulse(pulse(START + 30002.0, alive=None))
    assert engine.alerts() == []


def test_resume_ends_what_was_said_of_the_process_before() -> None:
    for changes in ({"beat_s": START + 100.0, "alive": None}, {}, {"alive": False}):
        engine = trained(100)
        engine.pulse(pulse(START + 300.0, **changes))
        assert fired(engine)
        resumed(engine, START + 30000.0)
        assert fired(engine) == {}
        engine.pulse(pulse(START + 30001.0, alive=None))
        assert fired(engine) == {}


def test_resumed_process_has_the_patience_of_a_start_and_is_watched_again() -> None:
    engine = trained(100)
    resumed(engine, START + 30000.0)
    engine.pulse(pulse(START + 31100.0, phase="init"))
    assert fired(engine) == {}
    engine.pulse(pulse(START + 31300.0, phase="init", beat_s=START + 31150.0))
    assert fired(engine)["progress_stalled"].onset_s == START + 30000.0
    assert fired(engine)["heartbeat_lost"].onset_s == START + 31150.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (1201.0, "20 min"),
        (7170.0, "2 h"),
        (11_100.0, "3 h 5 min"),
        (187_200.0, "2 days 4 h"),
        (math.nan, "NaN s"),
        (math.inf, "inf s"),
    ],
)
def test_a_span_of_time_is_said_in_units_that_people_use(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
