"""Who reaches the served app, and what it tells them: this machine alone, by its own names, without telemetry or inner details."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from runvitals.store import Store
from runvitals.up import allowed_hosts, dashboard_words

APP = Path(__file__).parent.parent.parent / "dashboard" / "app.py"

Serve = Callable[..., tuple[str, subprocess.Popen[bytes]]]

pytestmark = pytest.mark.slow


def answer(address: str, **headers: str) -> int:
    """The status of the answer to a browser that asks for the app's channel; 101 lets it in."""
    host = urlsplit(address).netloc
    asked = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1Ng==",
        "Sec-WebSocket-Protocol": "streamlit",
    }
    with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        connection.putrequest("GET", "/_stcore/stream", skip_host=True)
        for name, value in (asked | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status


def told(address: str) -> list[ForwardMsg]:
    """All that the app says to a first visitor of its first page."""
    messages: list[ForwardMsg] = []
    with connect(
        f"{address.replace('http', 'ws')}/_stcore/stream", subprotocols=["streamlit"], max_size=None
    ) as socket:  # type: ignore[list-item]
        ask = BackMsg()
        ask.rerun_script.query_string = ""
        socket.send(ask.SerializeToString())
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            raw = socket.recv(timeout=60)
            assert isinstance(raw, bytes)
            messages.append(ForwardMsg.FromString(raw))
    return messages


def test_the_app_answers_this_machine_alone_and_by_its_own_names(store: Store, beating: None, serve: Serve) -> None:
    address, process = serve()
    sockets = psutil.Process(process.pid).net_connections(kind="inet")
    assert {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    port = urlsplit(address).port
    assert answer(address) == 101
    assert answer(address, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 101
    assert answer(address, Host="rebound.example") == 403
    assert answer(address, Host=f"rebound.example:{port}", Origin=f"http://rebound.example:{port}") == 403
    assert answer(address, Origin="http://elsewhere.example") == 403
    (begun,) = [message.new_session for message in told(address) if message.WhichOneof("type") == "new_session"]
    assert begun.config.gather_usage_stats is False


def test_an_error_in_a_page_tells_the_log_of_its_inside_and_nobody_else(
    tmp_path: Path, serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text("raise ValueError('inner detail')\n")
    shutil.copytree(APP.parent / ".streamlit", tmp_path / ".streamlit")
    address, _ = serve(tmp_path / "app.py")
    said = b"".join(message.SerializeToString() for message in told(address))
    assert b"error" in said.lower()
    assert b"inner detail" not in said
    assert "ValueError: inner detail" in capfd.readouterr().err, "the page says that the log has the details"


@pytest.mark.parametrize(
    ("host", "names", "allowed"),
    [
        ("127.0.0.1", (), ("localhost", "127.0.0.1", "::1")),
        ("192.0.2.7", (), ("localhost", "127.0.0.1", "::1", "192.0.2.7")),
        ("127.0.0.1", ("vitals.example",), ("localhost", "127.0.0.1", "::1", "vitals.example")),
        ("0.0.0.0", (), ("*",)),
        ("0.0.0.0", ("vitals.example",), ("localhost", "127.0.0.1", "::1", "vitals.example")),
    ],
)
def test_which_names_the_dashboard_answers_to(host: str, names: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    assert allowed_hosts(host, names) == allowed
    command = dashboard_words(host=host, port=1, names=names)
    given = [command[at + 1] for at, word in enumerate(command) if word == "--server.allowedHosts"]
    assert tuple(given) == allowed


def test_a_name_that_was_allowed_is_answered(store: Store, beating: None, serve: Serve) -> None:
    allowed = dashboard_words(host="127.0.0.1", port=1, names=["vitals.example"])
    address, _ = serve(APP, *allowed[allowed.index("--server.allowedHosts") :])
    assert answer(address, Host="vitals.example", Origin="https://vitals.example") == 101
    assert answer(address, Host=f"localhost:{urlsplit(address).port}") == 101
    assert answer(address, Host="rebound.example") == 403
