"""Who reaches the served app, and what it tells them: this machine alone, by its own names, without telemetry or inner details."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from runvitals.store import Store
from runvitals.up import allowed_hosts, dashboard_command, free_port, wait_until_ready

APP = Path(__file__).parent.parent.parent / "dashboard" / "app.py"

pytestmark = pytest.mark.slow


@contextmanager
def served(app: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Port and process of an app served as plainly as can be: all that keeps it safe must lie beside it."""
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready("127.0.0.1", port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=20)


def answer(port: int, **headers: str) -> int:
    """The status of the answer to a browser that asks for the app's channel; 101 lets it in."""
    asked = {
        "Host": f"127.0.0.1:{port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1Ng==",
        "Sec-WebSocket-Protocol": "streamlit",
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.putrequest("GET", "/_stcore/stream", skip_host=True)
        for name, value in (asked | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status


def told(port: int) -> list[ForwardMsg]:
    """All that the app says to a first visitor of its first page."""
    messages: list[ForwardMsg] = []
    with connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        ask = BackMsg()
        ask.rerun_script.query_string = ""
        socket.send(ask.SerializeToString())
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            raw = socket.recv(timeout=60)
            assert isinstance(raw, bytes)
            messages.append(ForwardMsg.FromString(raw))
    return messages


def test_the_app_answers_this_machine_alone_and_by_its_own_names(store: Store, beating: None) -> None:
    with served(APP) as (port, process):
        bound = {one.laddr.ip for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN}
        assert bound == {"127.0.0.1"}
        assert answer(port) == 101
        assert answer(port, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 101
        assert answer(port, Host="rebound.example") == 403
        assert answer(port, Host=f"rebound.example:{port}", Origin=f"http://rebound.example:{port}") == 403
        assert answer(port, Origin="http://elsewhere.example") == 403
        (begun,) = [message.new_session for message in told(port) if message.WhichOneof("type") == "new_session"]
        assert begun.config.gather_usage_stats is False


def test_an_error_in_a_page_tells_nobody_of_its_inside(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise ValueError('inner detail')\n")
    shutil.copytree(APP.parent / ".streamlit", tmp_path / ".streamlit")
    with served(tmp_path / "app.py") as (port, _):
        said = b"".join(message.SerializeToString() for message in told(port))
    assert b"exception" in said.lower() or b"error" in said.lower()
    assert b"inner detail" not in said


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
    command = dashboard_command(host=host, port=1, names=names)
    given = [command[at + 1] for at, word in enumerate(command) if word == "--server.allowedHosts"]
    assert tuple(given) == allowed


def test_a_name_that_was_allowed_is_answered(store: Store, beating: None) -> None:
    port = free_port("127.0.0.1", 0)
    command = dashboard_command(host="127.0.0.1", port=port, names=["vitals.example"])
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready("127.0.0.1", port, process)
        assert answer(port, Host="vitals.example", Origin="https://vitals.example") == 101
        assert answer(port, Host=f"localhost:{port}") == 101
        assert answer(port, Host="rebound.example") == 403
    finally:
        process.terminate()
        process.wait(timeout=20)
