"""People are told once, of what matters, and resolutions only of what they heard of."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from runvitals.errors import StoreUnreachable
from runvitals.store.types import AlertRow
from runvitals.watch.notify import AppriseNotifier, Console, Desk, Message, due

FIRING = AlertRow(
    id="r:loss_divergence::1",
    run_id="r",
    rule="loss_divergence",
    signal="loss",
    severity="warning",
    state="firing",
    incident="r:loss_divergence::1",
    onset_step=10,
    onset_s=100.0,
    fired_step=12,
    fired_s=102.0,
    resolved_step=None,
    resolved_s=None,
    detail={"title": "Loss diverges", "sentence": "The loss rises.", "remedies": [{"text": "Lower the rate."}]},
)
RESOLVED = dataclasses.replace(FIRING, state="resolved", resolved_step=40, resolved_s=140.0)


class Ledger:
    """What the store keeps of messages sent."""

    def __init__(self) -> None:
        self.done: set[tuple[str, str, str]] = set()

    def sent(self, alert_id: str, transition: str, receiver: str) -> bool:
        return (alert_id, transition, receiver) in self.done

    def mark_sent(self, alert_id: str, transition: str, receiver: str) -> None:
        self.done.add((alert_id, transition, receiver))


class Deaf:
    """A receiver that takes no message until it hears."""

    receiver = "deaf"

    def __init__(self) -> None:
        self.asked = 0
        self.hears = False

    def send(self, message: Message) -> bool:
        self.asked += 1
        if not self.hears:
            raise ConnectionError("no answer")
        return True


def message_of(row: AlertRow) -> Message:
    message = due(row, run_name="dpo-7b", now_s=200.0)
    assert message is not None
    return message


def test_message_names_run_step_and_first_remedy() -> None:
    message = message_of(FIRING)
    assert message.title == "Loss diverges · dpo-7b"
    assert message.body == "step 12: The loss rises. Try first: Lower the rate."


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "info"},
        {"state": "pending", "fired_s": None},
        {"muted_until_s": 300.0},
        {"detail": {**FIRING.detail, "inhibited_by": "masked_nan"}},
        {"state": "resolved", "fired_s": None},
    ],
)
def test_what_nobody_needs_now_is_not_told(change: dict[str, Any]) -> None:
    assert due(dataclasses.replace(FIRING, **change), run_name="x", now_s=200.0) is None


def test_mute_that_is_over_mutes_no_more() -> None:
    assert due(dataclasses.replace(FIRING, muted_until_s=150.0), run_name="x", now_s=200.0) is not None


def test_each_transition_is_told_once_even_after_a_restart() -> None:
    ledger, lines = Ledger(), []
    for _ in range(2):
        desk = Desk(ledger, [Console(lines.append)])
        for row in (FIRING, FIRING, dataclasses.replace(FIRING, severity="critical"), RESOLVED):
            desk.tell(message_of(row))
            desk.drain(5.0)
        desk.close()
    assert [line.split(":")[0] for line in lines] == [
        "▲ Loss diverges · dpo-7b",
        "◆ Loss diverges · dpo-7b",
        "· Resolved",
    ]


def test_resolution_is_not_told_to_who_never_heard_of_the_alert() -> None:
    lines: list[str] = []
    desk = Desk(Ledger(), [Console(lines.append)])
    desk.tell(message_of(RESOLVED))
    desk.drain(5.0)
    desk.close()
    assert lines == []


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_receiver_that_is_away_for_minutes_gets_the_message_when_it_is_back() -> None:
    clock, ledger = Clock(), Ledger()
    deaf = Deaf()
    desk = Desk(ledger, [deaf], clock=clock)
    desk.tell(message_of(FIRING), run_id="r")
    for _ in range(600):
        desk.drain(5.0)
        clock.now_s += 1.0
    assert deaf.asked == 10  # after 1, 2, 4 … 256 s
    assert desk.waits_for("r")
    deaf.hears = True
    clock.now_s += 300.0
    desk.drain(5.0)
    desk.close()
    assert not desk.waits_for("r")
    assert ledger.done == {(FIRING.id, "firing warning", "deaf")}


def test_receiver_that_never_answers_is_given_up_after_an_hour_and_hides_nobody() -> None:
    clock, lines = Clock(), []
    desk = Desk(Ledger(), [Deaf(), Console(lines.append)], clock=clock)
    desk.tell(message_of(FIRING))
    for _ in range(30):
        desk.drain(5.0)
        clock.now_s += 300.0
    desk.close()
    assert (desk.failed, len(lines)) == (1, 1)


def test_store_that_stumbles_after_delivery_does_not_double_the_message() -> None:
    class Stumbling(Ledger):
        away = True

        def mark_sent(self, alert_id: str, transition: str, receiver: str) -> None:
            if self.away:
                raise StoreUnreachable("away")
            super().mark_sent(alert_id, transition, receiver)

    ledger, lines = Stumbling(), []
    desk = Desk(ledger, [Console(lines.append)])
    desk.tell(message_of(FIRING))
    with pytest.raises(StoreUnreachable):
        desk.drain(5.0)
    ledger.away = False
    desk.tell(message_of(FIRING))
    desk.drain(5.0)
    desk.close()
    assert len(lines) == 1
    assert len(ledger.done) == 1


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A real receiver on this machine: its address for Apprise, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"json://user:secret@127.0.0.1:{server.server_port}/token", got
        server.shutdown()


def test_webhook_gets_the_alert_and_its_address_stays_secret(webhook: tuple[str, list[dict[str, Any]]]) -> None:
    url, got = webhook
    notifier = AppriseNotifier(url)
    assert notifier.valid
    assert notifier.send(message_of(FIRING))
    assert got[0]["title"] == "Loss diverges · dpo-7b"
    assert "secret" not in notifier.receiver
    assert "token" not in notifier.receiver


def test_address_that_apprise_does_not_know_is_not_valid() -> None:
    assert not AppriseNotifier("carrierpigeon://coop").valid
