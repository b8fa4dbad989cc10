"""Real receivers on this machine: what arrives, what comes of failures, and that no address shows anywhere."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import logging
import math
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runvitals.errors import SettingsError
from runvitals.settings import Settings
from runvitals.store.types import AlertRow
from runvitals.watch.apprise_notifier import AppriseNotifier
from runvitals.watch.command import who_is_told
from runvitals.watch.message import About, Message, compose
from runvitals.watch.notify import Notifier
from runvitals.watch.receivers import make_receiver, make_receivers
from runvitals.watch.redaction import LEFT_OUT, guard_logs, keep_secret
from runvitals.watch.routes import Address, plain_addresses
from runvitals.watch.try_receivers import TEST, try_all
from runvitals.watch.webhook import SCHEMA, Webhook, payload, retry_after_s

ROOT = AlertRow(
    id="r:loss_divergence:loss:1",
    run_id="r",
    rule="loss_divergence",
    signal="loss",
    severity="warning",
    state="firing",
    incident="r:loss_divergence:loss:1",
    onset_step=10,
    onset_s=100.0,
    fired_step=12,
    fired_s=102.0,
    resolved_step=None,
    resolved_s=None,
    detail={"title": "Loss diverges", "sentence": "The loss rises.", "remedies": [{"text": "Lower the rate."}]},
)
SYMPTOM = dataclasses.replace(
    ROOT,
    id="r:grad_norm_spike:grad_norm:2",
    rule="grad_norm_spike",
    severity="critical",
    detail={"title": "Gradient spikes", "sentence": "It is 40.", "remedies": []},
)

SECRET = "PLANTEDc0ffee4242"
PASSWORD = "hunter2-PLANTED"


class Server:
    """A receiver on this machine: what it got, and how it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.status = 200
        self.answers: dict[str, str] = {}
        self.hangs = False
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.paths.append(self.path)
                if outer.hangs:
                    outer.release.wait(30.0)
                outer.headers.append(dict(self.headers))
                if outer.status == 200:
                    outer.got.append(json.loads(body) if body[:1] == b"{" else {"body": body})
                self.send_response(outer.status, SECRET)  # a careless receiver repeats what it was called by
                for name, value in outer.answers.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(f"no {self.path} here".encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, scheme: str = "http") -> str:
        return f"{scheme}://ada:{PASSWORD}@127.0.0.1:{self.port}/hooks/{SECRET}?token={SECRET}x"

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that any logger says, at the lowest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(1)
    monkeypatch.setattr(logging.getLogger("apprise"), "level", 1)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def webhook(url: str, timeout_s: float = 10.0) -> Webhook:
    return Webhook(url, receiver="hook", label="hook", timeout_s=timeout_s)


def made(url: str) -> Notifier:
    return make_receiver(plain_addresses([url])[0], journals=Path("journal"))


MESSAGE = compose(
    "firing",
    (ROOT, SYMPTOM),
    ((ROOT.id, "firing warning"), (SYMPTOM.id, "firing critical")),
    About(run_id="r", name="dpo-7b <b>", project="p", status="running"),
)


def test_webhook_gets_the_documented_fields_and_a_key_that_stays(server: Server) -> None:
    hook = webhook(server.url())
    assert hook.send(MESSAGE).taken
    assert hook.send(MESSAGE).taken
    first, second = server.got
    assert first["schema"] == SCHEMA
    assert first["key"] == second["key"] == server.headers[0]["Idempotency-Key"]
    assert (first["kind"], first["severity"], first["run"]["name"]) == ("firing", "critical", "dpo-7b <b>")
    assert [(row["rule"], row["root_cause"]) for row in first["alerts"]] == [
        ("loss_divergence", True),
        ("grad_norm_spike", False),
    ]
    assert first["news"][1] == {"alert": SYMPTOM.id, "transition": "firing critical"}
    assert server.headers[0]["Authorization"].startswith("Basic ")
    assert server.paths[0] == f"/hooks/{SECRET}?token={SECRET}x"


def test_time_that_no_clock_told_is_null_and_the_message_is_json(server: Server) -> None:
    odd = dataclasses.replace(ROOT, onset_s=math.nan, resolved_s=math.inf)
    message = compose("firing", (odd,), ((odd.id, "firing warning"),), About(run_id="r"))
    assert webhook(server.url()).send(message).taken
    (row,) = server.got[0]["alerts"]
    assert (row["onset_s"], row["resolved_s"], row["fired_s"]) == (None, None, odd.fired_s)


def test_example_in_the_docs_has_the_fields_that_are_sent() -> None:
    text = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    sent = payload(MESSAGE, sent_s=1.0)
    assert example.keys() == sent.keys()
    for part in ("run",):
        assert example[part].keys() == sent[part].keys()
    for part in ("news", "alerts"):
        assert example[part][0].keys() == sent[part][0].keys()
    for name in sent:
        assert f"`{name}`" in text
    for name in sent["alerts"][0]:
        assert f"`{name}`" in text


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_refusal_is_told_by_its_status_alone(server: Server, status: int) -> None:
    server.status = status
    server.answers = {"Location": f"http://127.0.0.1:{server.port}/elsewhere/{SECRET}"}
    answer = webhook(server.url()).send(MESSAGE)
    assert answer.problem == f"answered HTTP {status}"
    assert len(server.paths) == 1  # no redirect is followed
    server.status = 200
    assert webhook(server.url()).send(MESSAGE).taken


def test_receiver_says_when_to_come_back(server: Server) -> None:
    server.status, server.answers = 429, {"Retry-After": "17"}
    assert webhook(server.url()).send(MESSAGE).retry_after_s == 17.0


@pytest.mark.parametrize(
    ("asked", "waits_s"),
    [
        ("120", 120.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("9" * 400, 999_999_999.0),
        ("Sun, 06 Nov 99999 08:50:37 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(asked: str, waits_s: float | None) -> None:
    assert retry_after_s({"Retry-After": asked}, now_s=784_111_777.0) == waits_s


def test_receiver_that_hangs_or_is_not_there_is_given_up_in_time(server: Server) -> None:
    server.hangs = True
    assert webhook(server.url(), timeout_s=0.2).send(MESSAGE).problem.startswith("no answer within")
    gone = webhook("http://127.0.0.1:1/x", timeout_s=5.0).send(MESSAGE)
    assert gone.problem == "refuses connections"


@pytest.mark.parametrize("url", ["https://", "http:///path", "http://host:port/x", "http://ho st/x", "https://höst/x"])
def test_web_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        webhook(url)
    assert "hook: expected a web address" in str(raised.value)
    assert url.partition("://")[2] == "" or url not in str(raised.value)


def test_apprise_delivers_and_text_of_a_run_calls_nobody(server: Server) -> None:
    receiver = made(server.url("json"))
    assert isinstance(receiver, AppriseNotifier)
    calling = compose("firing", (ROOT,), (), About(run_id="r", name="@everyone <!channel> @here"))
    assert receiver.send(calling).taken
    assert "Loss diverges" in server.got[0]["title"]
    assert not any(call in server.got[0]["title"] for call in ("@everyone", "<!channel", "@here"))
    server.status = 503
    assert receiver.send(calling).problem == "answered HTTP 503"


def test_address_of_a_service_goes_through_apprise_and_any_other_to_the_webhook() -> None:
    slack = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert isinstance(made(slack), AppriseNotifier)
    assert isinstance(made("https://example.org/hook"), Webhook)
    with pytest.raises(SettingsError, match="scheme 'carrierpigeon'"):
        made("carrierpigeon://coop")


def test_one_address_in_two_tables_is_one_receiver() -> None:
    made, problems = make_receivers(
        [Address(url="json://host/a", place="x"), Address(url="json://host/a", place="y")], journals=Path()
    )
    assert (len(made), len(made[0].routes), problems) == (1, 2, [])


def all_told(server: Server, heard: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Everything that is said anywhere while receivers are set up, spoken to, and fail in every way."""
    said = []
    for scheme in ("http", "json", "form", "xml"):
        for server.status in (200, 500):
            receiver = made(server.url(scheme))
            said += [repr(receiver.send(TEST)), receiver.label, receiver.receiver]
    urls = [
        server.url("carrierpigeon"),
        f"{SECRET}{PASSWORD}",
        f"mailto://ada:{PASSWORD}@127.0.0.1:1/?smtp=127.0.0.1&from={SECRET}@x.org",
        f"slack://{SECRET}/bad",
        f"https://ada:{PASSWORD}@[bad/{SECRET}",
        f"http://ada:{PASSWORD}@127.0.0.1:1/{SECRET}",
    ]
    settings = Settings.from_environment({"RUNVITALS_HOME": str(tmp_path), "RUNVITALS_NOTIFY": " ".join(urls)})
    (tmp_path / "runvitals.toml").write_text(
        f'[[notify]]\nurl = "{SECRET}"\n[[notify]]\nurl_env = "{server.url()}"\n[[notify]]\nurl = ["{server.url()}"]\n'
        f'[[notify]]\nname = "{server.url()}"\n[[notify]]\nurl = "json://h/{SECRET}"\nseverity = "{server.url()}"\n'
        f'[[notify]]\nurl = "json://h/{SECRET}"\nrules = ["{server.url()}"]\n'
    )
    assert try_all(settings, settings.notify) == 1
    told = who_is_told(settings, settings.notify, {})
    said += [repr(settings), repr(told.problems), "\n".join(map(str, told.rules.faults)), repr(plain_addresses(urls))]
    captured = capsys.readouterr()
    return "\n".join([*said, heard.getvalue(), captured.out, captured.err])


def test_no_address_shows_in_any_log_error_or_output(
    server: Server, heard: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = all_told(server, heard, tmp_path, capsys)
    assert len(server.paths) >= 8  # it was really spoken to, and its libraries really logged
    assert LEFT_OUT in told
    for secret in (SECRET, PASSWORD):
        assert [line for line in told.splitlines() if secret in line] == []


def test_secret_in_another_thread_s_log_or_traceback_is_left_out(heard: io.StringIO) -> None:
    guard_logs()
    keep_secret(f"slack://{SECRET}/other")
    log = logging.getLogger("urllib3.connectionpool")
    log.debug('"POST /services/%s HTTP/1.1" 200', SECRET)
    log.debug("nothing of the kind")
    try:
        raise OSError(f"cannot reach /{SECRET}")
    except OSError:
        logging.getLogger("runvitals.watch").exception("a run could not be watched")
        assert SECRET in traceback.format_exc()
    assert SECRET not in heard.getvalue()
    assert "nothing of the kind" in heard.getvalue()


def test_planted_secret_reaches_no_row_of_the_store(scene: Any, server: Server) -> None:
    receiver, down = (made(server.url(scheme)) for scheme in ("http", "json"))
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 100})
    scene.train(run, range(1, 31))
    scene.train(run, range(31, 70), loss=math.nan)
    watcher = scene.watcher(notifiers=[receiver, down])
    server.status = 500
    watcher.run_once()
    server.status = 200
    scene.clock.now_s += 10.0
    watcher.run_once()
    assert len(server.got) >= 2
    states = {one["label"]: one["state"] for one in scene.store.watchers()[0].receivers}
    assert states == {receiver.label: "ok", down.label: "ok"}
    scene.store.close()
    files = [path.read_bytes() for path in scene.journals.parent.rglob("*") if path.is_file()]
    assert files
    assert not any(secret.encode() in data for data in files for secret in (SECRET, PASSWORD))
    run.finish()


def test_test_message_is_one_that_says_so() -> None:
    assert (
        payload(Message(kind="test", severity="info", title="t", body="b", about=About(run_id="")), sent_s=1.0)["kind"]
        == "test"
    )


def test_words_of_an_address_that_are_no_secret_stay_in_logs(heard: io.StringIO) -> None:
    guard_logs()
    keep_secret(f"https://hooks.example.org/services/{SECRET}")
    logging.getLogger("other").warning("two services of hooks.example.org")
    assert "two services of hooks.example.org" in heard.getvalue()
