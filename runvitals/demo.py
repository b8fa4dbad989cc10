"""`make demo`: real tiny runs, healthy and sick side by side, live in the dashboard."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from runvitals import tethered
from runvitals.errors import SettingsError
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import LIVE, AlertRow, RunInfo
from runvitals.tables import alerts_table, make_console, runs_table
from runvitals.trainers.recipes.demo import DEMO
from runvitals.trainers.recipes.fleet import Entry
from runvitals.up import Together, end

MARK = "runvitals-demo"
"""A file that says: this folder is a demo's and may be emptied."""

SETTLE_S = 30.0
REFRESH_S = 2.0
QUIET_EVERY_S = 20.0
"""Where the output is no terminal, the table is printed this often instead of being drawn over."""


def run_demo(home: Path, *, host: str, port: int, once: bool, stop: threading.Event) -> int:
    """Runs the fleet under a dashboard; 0, or with `once` 1 where a run was not judged as it should have been.

    Raises SettingsError where `home` is a folder that is not a demo's.
    """
    prepare(home)
    settings = Settings.from_environment({}, home=home)
    console = make_console()
    with Together(settings, host=host, port=port) as together:
        console.print(f"\n  runvitals demo   [bold]{together.address}[/bold]\n")
        console.print(
            f"  {len(DEMO)} real runs of tiny models start now; the first import takes half a minute. Ctrl-C ends it all.\n"
        )
        store = open_store(settings.store)
        fleet = start_fleet(home)
        try:
            follow(store, fleet, console, stop)
            if stop.is_set():
                return 130 if once else 0
            settle(store, stop)
            found = store.runs()
            rows = [row for row in store.alerts() if row.severity != "info"]
            console.print(alerts_table(rows, {run.id: run.name for run in found}, now_s=time.time()))
            wrong = verdict(DEMO, found, rows)
            for line in wrong:
                console.print(f"✕ {line}", style="red", markup=False)
            if not wrong:
                console.print("✓ every sick run raised its alert; no healthy run raised a warning", style="green")
            if once:
                return 1 if wrong or fleet.returncode != 0 else 0
            console.print(
                f"\n  The runs have ended; the dashboard stays at [bold]{together.address}[/bold] until Ctrl-C."
            )
            return together.wait(stop)
        finally:
            end([fleet])


def prepare(home: Path) -> None:
    """Makes the folder, empty but for its mark. Raises SettingsError rather than empty a folder that is not a demo's."""
    if home.exists() and any(home.iterdir()) and not (home / MARK).exists():
        raise SettingsError(
            f"--home {home}: expected a new or empty folder, or one of an earlier demo; this one holds other things"
        )
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / MARK).write_text("Made by `runvitals demo`, which empties this folder when it starts.\n")


def start_fleet(home: Path) -> subprocess.Popen[bytes]:
    """The process that trains; its words go to `home/fleet.log`."""
    environ = {**os.environ, "RUNVITALS_HOME": str(home)}
    with (home / "fleet.log").open("wb") as log:
        return tethered.start(["runvitals.trainers.recipes.fleet", "--demo"], environ, out=log, both=True)


def follow(store: Store, fleet: subprocess.Popen[bytes], console: Console, stop: threading.Event) -> None:
    """Shows the runs as they move, until the fleet has ended or `stop` is set."""
    if not console.is_terminal:
        printed_s = 0.0
        while fleet.poll() is None and not stop.wait(REFRESH_S):
            if time.monotonic() - printed_s > QUIET_EVERY_S and store.revisions():  # a table of no run tells nothing
                printed_s = time.monotonic()
                console.print(picture(store))
        return
    with Live(picture(store), console=console, refresh_per_second=2, transient=True) as live:
        while fleet.poll() is None and not stop.wait(REFRESH_S):
            live.update(picture(store))


def picture(store: Store) -> Table:
    """The runs as a table, in order of their start."""
    return runs_table(store.runs()[::-1], now_s=time.time())


def settle(store: Store, stop: threading.Event) -> None:
    """Waits until the watcher has seen every run's end, half a minute at most."""
    deadline_s = time.monotonic() + SETTLE_S
    while any(run.status in LIVE for run in store.runs()) and time.monotonic() < deadline_s:
        if stop.wait(0.5):
            return


def verdict(entries: Sequence[Entry], found: Sequence[RunInfo], rows: Sequence[AlertRow]) -> list[str]:
    """A line for each run that was not judged as it should have been; none where all were.

    rows: alerts of warning or worse that fired at any time, resolved ones included.
    """
    ids = {run.name: run.id for run in found}
    wrong: list[str] = []
    for entry in entries:
        if entry.name not in ids:
            wrong.append(f"{entry.name}: expected a run of this name, none was recorded")
            continue
        fired = {row.rule for row in rows if row.run_id == ids[entry.name] and row.fired_s is not None}
        if entry.expect == "healthy":
            if fired:
                wrong.append(f"{entry.name}: a healthy run, yet it raised {', '.join(sorted(fired))}")
        elif not fired & entry.expect:
            raised = f", only {', '.join(sorted(fired))}" if fired else ", nothing fired"
            wrong.append(f"{entry.name}: expected one of {', '.join(sorted(entry.expect))}{raised}")
    return wrong
