"""Options that several commands take, and what they are turned to."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from runvitals.settings import Settings

Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder of journals and the embedded store.", envvar="RUNVITALS_HOME", show_envvar=True
    ),
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the dashboard; 0 picks a free one.")]
Host = Annotated[str, typer.Option("--host", help="Address to bind to; 127.0.0.1 is this machine only.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        help="A name by which browsers may reach the dashboard besides localhost and --host, as behind a proxy; may be given several times.",
    ),
]
Runs = Annotated[list[str], typer.Argument(help="Ids or names, as `runvitals runs` lists them.", show_default=False)]
Notify = Annotated[
    list[str] | None,
    typer.Option("--notify", help="Apprise URL that gets alerts; may be given several times. Or set RUNVITALS_NOTIFY."),
]


def settings_of(home: Path | None) -> Settings:
    """The settings of the environment, of this home where one is given, which is made."""
    settings = Settings.from_environment(home=home)
    settings.make_home()
    return settings


def stop_event() -> threading.Event:
    """An event that SIGINT, SIGTERM and SIGHUP (a closed terminal) set, so that every command ends in order."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop
