"""The ids of alerts: made from the onset, so that no two episodes share one and whoever reads the records gives it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.history import History
from runvitals.diagnostics.lifecycle import Moment, Track, advance
from runvitals.diagnostics.types import Happening, Reading, Row, RunContext
from tests.diagnostics.faults import faulty_runs
from tests.diagnostics.scripted import Scripted, spec


def ids(rows: list[Row], script: str) -> list[str]:
    """The ids that one rule's script gives over rows, each of which clears at once."""
    engine = Engine([Scripted(spec("rule", clear=1), script)], RunContext(run_id="run"))
    for row in rows:
        engine.feed(row)
    return [alert.id for alert in engine.alerts()]


def test_watcher_that_saw_only_the_resumed_part_repeats_no_id() -> None:
    part = [Row(time_s=1000.0 + place, step=place, values={"loss": 1.0}) for place in range(8)]
    later = [Row(time_s=9000.0 + row.time_s, step=row.step, values=row.values) for row in part]
    assert ids(part, "owo") == ["run:rule:loss:1@1001000"]
    assert ids(later, "owo") == ["run:rule:loss:1@10001000"]


def test_watcher_that_saw_only_the_end_gives_an_episode_the_same_id() -> None:
    rows = [Row(time_s=1000.0 + place, step=place, values={"loss": 1.0}) for place in range(8)]
    assert ids(rows, "owoooowo")[1:] == ids(rows[4:], "oowo")


@settings(max_examples=60, deadline=None)
@given(
    script=st.text("woic", max_size=40),
    moments=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=40, max_size=40),
)
def test_no_two_episodes_share_an_id_even_where_clock_and_step_stand_still(
    script: str, moments: list[tuple[int, int]]
) -> None:
    rows = [Row(time_s=1000.0 + seconds / 1e4, step=step, values={"loss": 1.0}) for seconds, step in moments]
    given_ids = ids(rows, script)
    assert len(set(given_ids)) == len(given_ids)
    assert ids(rows, script) == given_ids


def test_episode_does_not_begin_before_the_one_before_it_was_over() -> None:
    track = Track(spec=spec("rule", clear=1), run_id="run")
    history = History(["loss"])
    sheet = history.sheet(["loss"])
    onsets = []
    for step, state in enumerate(("ok", "bad", "ok", "bad")):
        history.add(1000.0 + step, step, {"loss": 1.0}, sheet)
        reading = Reading(state="bad", onset_step=1) if state == "bad" else Reading(state="ok")
        change = advance(track, reading, Moment(time_s=1000.0 + step, step=step, history=history))
        if change is not None and change.alert.state == "firing":
            onsets.append((change.alert.onset_step, change.alert.onset_s))
    assert onsets == [(1, 1001.0), (3, 1003.0)]


def test_every_fault_of_a_run_that_was_resumed_has_an_id_of_its_own() -> None:
    for fault in faulty_runs(seed=3):
        seen: set[str] = set()
        for hours in (0, 1):
            engine = Engine(default_rules(), RunContext(run_id="run", trainer=fault.trainer))
            for row in fault.rows:
                engine.feed(Row(time_s=row.time_s + 3600.0 * hours, step=row.step, values=row.values))
            found = {alert.id for alert in engine.alerts()}
            assert found
            assert not found & seen
            seen |= found


def test_crash_is_dated_by_its_record() -> None:
    engine = Engine(default_rules(), RunContext(run_id="run"))
    for seconds in (5.0, 7.0):
        engine.feed(Row(time_s=1000.0 + seconds, step=3, values={"loss": 1.0}))
        engine.happen(Happening(time_s=1000.5 + seconds, step=3, kind="exception", data={"type": "ValueError"}))
    assert [alert.id for alert in engine.alerts()] == [
        "run:run_crashed:loss:3@1005500",
        "run:run_crashed:loss:3@1007500",
    ]
