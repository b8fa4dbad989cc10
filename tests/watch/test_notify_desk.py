"""The desk: nothing is told twice, nothing is lost, and no receiver holds up another, whatever fails or starts again."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runvitals.errors import StoreUnreachable
from runvitals.store.types import AlertRow, Batch, Mute
from runvitals.watch.channel import Channel
from runvitals.watch.desk import RECENT_S, Desk
from runvitals.watch.incident_news import REPEAT_EVERY_S
from runvitals.watch.leases import LEASE_S, Leases
from runvitals.watch.message import Message
from runvitals.watch.notify import TAKEN, Answer
from runvitals.watch.routes import EVERYTHING, Route


class Receiver:
    """A receiver that keeps what it hears, and says what the test tells it to say."""

    def __init__(self, name: str = "ear", *routes: Route) -> None:
        self.receiver = self.label = name
        self.routes = routes or EVERYTHING
        self.heard: list[Message] = []
        self.asked = 0
        self.answer = TAKEN
        self.cannot_take = ""

    def send(self, message: Message) -> Answer:
        self.asked += 1
        if self.cannot_take and self.cannot_take in message.title:
            return Answer(problem="answered HTTP 413")
        if self.answer.taken:
            self.heard.append(message)
        return self.answer

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(message.kind, message.title) for message in self.heard]


class Hanging(Receiver):
    """A receiver that answers when the test ends."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__("hanging")
        self._release = release

    def send(self, message: Message) -> Answer:
        self._release.wait()
        return super().send(message)


class Office:
    """A store with a run that is watched, and desks over it."""

    def __init__(self, scene: Any) -> None:
        self.scene, self.store, self.clock = scene, scene.store, scene.clock
        self.add_run("r")

    def add_run(self, run_id: str, *, watched: bool = True, project: str = "p") -> None:
        now_s = self.clock.now_s
        start = {"project": project, "name": run_id, "config": {}, "info": {}, "time_s": now_s}
        batch = Batch(run_id=run_id, writer_id="w", first_seq=1, last_seq=1, position={}, start=start, beat_s=now_s)
        self.store.append(batch)
        if watched:
            self.store.lease(run_id, "somebody", now_s - 1.0, now_s - 2.0)

    def desk(self, *receivers: Receiver, store: Any = None, hold: Any = None) -> Desk:
        return Desk(store or self.store, receivers, hold=hold or (lambda run_id: True), clock=self.clock)

    def fire(self, title: str = "Loss diverges", run_id: str = "r", **changes: Any) -> AlertRow:
        row = AlertRow(
            id=f"{run_id}:{title}",
            run_id=run_id,
            rule="loss_divergence",
            signal="loss",
            severity="warning",
            state="firing",
            incident=f"{run_id}:{title}",
            onset_step=1,
            onset_s=self.clock.now_s,
            fired_step=2,
            fired_s=self.clock.now_s,
            resolved_step=None,
            resolved_s=None,
            detail={"title": title, "sentence": "It rises.", "remedies": []},
        )
        row = dataclasses.replace(row, **changes)
        self.store.put_alerts([row])
        return row

    def resolve(self, row: AlertRow) -> None:
        over = dataclasses.replace(row, state="resolved", resolved_step=9, resolved_s=self.clock.now_s)
        self.store.put_alerts([over])

    def pass_time(self, seconds: float, *desks: Desk, every_s: float = 1.0) -> None:
        """Steps as a watcher does; answers of receivers that do not hang come between."""
        until_s = self.clock.now_s + seconds
        while self.clock.now_s < until_s:
            self.clock.now_s = min(self.clock.now_s + every_s, until_s)
            # The run gives signs of life, as a live one does.
            self.store.append(
                Batch(run_id="r", writer_id="b", first_seq=0, last_seq=0, position={}, beat_s=self.clock.now_s)
            )
            for desk in desks:
                desk.changed("r")
                desk.step()
                for channel in desk._channels:
                    if not isinstance(channel.notifier, Hanging):
                        channel.wait(10.0)
                desk.step()


@pytest.fixture
def office(scene: Any) -> Office:
    return Office(scene)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_alerts_of_thirty_seconds_are_one_message_and_each_is_told_once_across_restarts(office: Office) -> None:
    ear = Receiver()
    desk = office.desk(ear)
    root = office.fire()
    office.pass_time(20.0, desk)
    office.fire("Gradient spikes", incident=root.id)
    office.pass_time(9.0, desk)
    assert ear.told == []
    desk = office.desk(ear)  # a restart within the wait
    office.pass_time(40.0, desk)
    assert ear.told == [("firing", "Loss diverges · r")]
    assert len(ear.heard[0].alerts) == 2
    office.pass_time(100.0, office.desk(ear))  # a restart after it
    assert len(ear.heard) == 1
    office.resolve(root)
    office.pass_time(60.0, office.desk(ear))
    assert ear.told[1:] == [("update", "Update: Loss diverges · r")]


def test_it_repeats_after_four_hours_until_somebody_acknowledges(office: Office) -> None:
    ear = Receiver()
    row = office.fire()
    office.pass_time(31.0, office.desk(ear))
    office.pass_time(REPEAT_EVERY_S - 10.0, office.desk(ear), every_s=300.0)
    assert len(ear.heard) == 1
    office.pass_time(20.0, office.desk(ear))
    assert ear.told[1:] == [("repeat", "Still firing: Loss diverges · r")]
    office.store.acknowledge(row.id, "seen", office.clock.now_s)
    office.pass_time(3 * REPEAT_EVERY_S, office.desk(ear), every_s=600.0)
    assert len(ear.heard) == 2
    office.resolve(row)
    office.pass_time(40.0, office.desk(ear))
    assert ear.told[2:] == [("resolved", "Resolved: Loss diverges · r")]


def test_acknowledged_within_the_wait_is_not_told(office: Office) -> None:
    ear = Receiver()
    row = office.fire()
    desk = office.desk(ear)
    office.pass_time(20.0, desk)
    office.store.acknowledge(row.id, "", office.clock.now_s)
    office.pass_time(60.0, desk)
    assert ear.told == []


def test_muted_rule_is_silent_until_the_mute_ends(office: Office) -> None:
    ear = Receiver()
    office.fire()
    now_s = office.clock.now_s
    office.store.add_mute(Mute(rule="loss_divergence", since_s=now_s, until_s=now_s + 3600.0))
    desk = office.desk(ear)
    office.pass_time(3590.0, desk, every_s=30.0)
    assert ear.told == []
    office.pass_time(60.0, desk)
    assert ear.told == [("firing", "Loss diverges · r")]


def test_receiver_that_hangs_delays_no_other_and_is_shown(office: Office, release: threading.Event) -> None:
    ear, hangs, hangs_too = Receiver(), Hanging(release), Hanging(release)
    hangs_too.receiver = "hanging too"
    desk = office.desk(hangs, hangs_too, ear)
    office.fire()
    office.pass_time(31.0, desk)
    assert len(ear.heard) == 1
    office.fire("Another")
    office.pass_time(40.0, desk)
    assert len(ear.heard) == 2
    states = {one.label: (one.state, one.problem) for one in desk.health()}
    assert states == {"hanging": ("failing", "gives no answer"), "ear": ("ok", "")}
    release.set()
    for channel in desk._channels:
        channel.wait(10.0)
    office.pass_time(2.0, desk)
    for channel in desk._channels:  # the second message is on its way, in a thread of its own
        channel.wait(10.0)
    assert [message.title for message in hangs.heard] == ["Loss diverges · r", "Another · r"]


def test_failing_receiver_is_asked_ever_more_rarely_and_hears_how_things_stand_when_it_is_back(office: Office) -> None:
    deaf = Receiver()
    deaf.answer = Answer(problem="answered HTTP 500")
    desk = office.desk(deaf)
    office.fire()
    over = office.fire("Over by then", incident="r:Over by then")
    office.pass_time(660.0, desk, every_s=5.0)
    assert 6 <= deaf.asked <= 11  # 30 s after the firing, then after 1, 2, 4 … 256 s, at steps of 5 s
    (health,) = desk.health()
    assert (health.state, health.problem, health.told_s) == ("failing", "answered HTTP 500", None)
    assert health.failing_since_s == pytest.approx(office.clock.now_s - 630.0, abs=6.0)
    assert health.next_s is not None and office.clock.now_s < health.next_s <= office.clock.now_s + 300.0
    office.resolve(over)
    deaf.answer = TAKEN
    office.pass_time(400.0, desk, every_s=20.0)
    assert sorted(kind for kind, _ in deaf.told) == ["firing", "missed"]
    (health,) = desk.health()
    assert (health.state, health.problem, health.failing_since_s, health.next_s) == ("ok", "", None, None)


def test_receiver_that_asks_for_time_gets_it(office: Office) -> None:
    busy = Receiver()
    busy.answer = Answer(problem="answered HTTP 429", retry_after_s=120.0)
    desk = office.desk(busy)
    office.fire()
    office.pass_time(31.0, desk)
    assert busy.asked == 1
    busy.answer = TAKEN
    office.pass_time(110.0, desk)
    assert busy.asked == 1
    office.pass_time(15.0, desk)
    assert len(busy.heard) == 1


def test_message_that_a_receiver_cannot_take_holds_up_no_other(office: Office) -> None:
    picky = Receiver()
    picky.cannot_take = "Too long"
    desk = office.desk(picky)
    office.fire("Too long")
    office.pass_time(60.0, desk)
    office.fire("Short")
    office.pass_time(120.0, desk)
    assert picky.told == [("firing", "Short · r")]


def test_routes_part_severities_and_projects(office: Office) -> None:
    office.add_run("other", project="q")
    everybody, night, of_q = (
        Receiver("everybody"),
        Receiver("night", Route(severity="critical")),
        Receiver("of q", Route(projects=("q",))),
    )
    desk = office.desk(everybody, night, of_q)
    office.fire("Mild")
    office.fire("Bad", severity="critical")
    office.fire("Elsewhere", run_id="other")
    desk.changed("other")
    office.pass_time(40.0, desk)
    assert {title for _, title in everybody.told} == {"Mild · r", "Bad · r", "Elsewhere · other"}
    assert {title for _, title in night.told} == {"Bad · r"}
    assert {title for _, title in of_q.told} == {"Elsewhere · other"}


def test_two_watchers_with_one_receiver_send_once(office: Office) -> None:
    ear = Receiver()
    leases = [Leases(office.store, owner, clock=office.clock, timer=lambda: office.clock.now_s) for owner in ("a", "b")]
    desks = [office.desk(ear, hold=lease.holds) for lease in leases]
    row = office.fire()
    office.pass_time(100.0, *desks)
    assert ear.told == [("firing", "Loss diverges · r")]
    office.pass_time(LEASE_S + 1.0)  # the first one is gone
    office.resolve(row)
    office.pass_time(60.0, desks[1])
    assert [kind for kind, _ in ear.told] == ["firing", "resolved"]


def test_store_that_stumbles_after_delivery_does_not_double_the_message(office: Office) -> None:
    class Stumbling:
        away = True

        def __getattr__(self, name: str) -> Any:
            if name == "mark_told" and self.away:
                raise StoreUnreachable("away")
            return getattr(office.store, name)

    store, ear = Stumbling(), Receiver()
    desk = office.desk(ear, store=store)
    office.fire()
    with pytest.raises(StoreUnreachable):
        office.pass_time(40.0, desk)
    store.away = False
    office.pass_time(40.0, desk)
    office.pass_time(40.0, office.desk(ear))
    assert len(ear.heard) == 1


def test_what_another_watcher_left_untold_is_found(office: Office) -> None:
    ear = Receiver()
    office.fire()
    office.clock.now_s += 40.0
    desk = office.desk(ear)
    desk.drain(10.0)
    assert ear.told == [("firing", "Loss diverges · r")]


def test_runs_that_nobody_watched_or_that_ended_long_ago_are_history(office: Office) -> None:
    ear = Receiver()
    office.add_run("imported", watched=False)
    office.fire("Imported", run_id="imported")
    office.fire()
    desk = office.desk(ear)
    office.clock.now_s += 40.0
    desk.drain(10.0)
    assert ear.told == [("firing", "Loss diverges · r")]
    office.fire("Late news")
    office.clock.now_s += RECENT_S + 10.0
    desk.drain(10.0)
    assert len(ear.heard) == 1


def test_odd_alert_keeps_nobody_from_hearing_of_another_run(office: Office) -> None:
    ear = Receiver()
    office.add_run("odd")
    office.fire("Odd", run_id="odd", detail={"remedies": 7})
    office.fire()
    desk = office.desk(ear)
    office.clock.now_s += 40.0
    desk.drain(10.0)
    assert ear.told == [("firing", "Loss diverges · r")]


def test_failing_receiver_is_asked_again_though_the_clock_went_back() -> None:
    channel = Channel(Receiver())
    channel.settle(Answer(problem="answered HTTP 500"), 100_000.0)
    assert not channel.is_ready(100_000.5)
    assert channel.is_ready(10_000.0)


def test_drain_tells_others_everything_while_one_hangs(office: Office, release: threading.Event) -> None:
    ear = Receiver()
    desk = office.desk(Hanging(release), ear)
    for number in range(4):
        office.fire(f"Incident {number}")
    desk.changed("r")
    desk.drain(timeout_s=2.0, wait_s=0.0)
    assert len(ear.heard) == 4
