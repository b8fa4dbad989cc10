"""Prints runs and alerts as tables in the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runvitals.dashboard.formatter import MISSING, age
from runvitals.found_runs import found_runs
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.types import AlertRow, RunInfo

MARKS = {
    "critical": ("◆", "red"),
    "warning": ("▲", "yellow"),
    "healthy": ("●", "green"),
    "unknown": ("◌", "dim"),
    "info": ("·", "dim"),
}


WIDTH = 160
"""Columns where the output is no terminal that has a width of its own."""


NAME_WIDTH = 40
"""Columns of a name; longer ones are cut."""


def make_console() -> Console:
    """A console as wide as the terminal, or wide enough for our tables in a log file."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def print_runs(settings: Settings, query: str = "") -> None:
    """Prints the runs that answer a query, newest first, and how many have a journal that no watcher has taken in yet."""
    store = open_store(settings.store)
    known = set(store.revisions())
    found = found_runs(store, query)
    console = make_console()
    waiting = waiting_runs(settings, known)
    if found:
        console.print(runs_table(found, now_s=time.time()))
    elif known:
        console.print("No run answers." if query.strip() else "All runs are archived: runvitals runs is:archived")
    elif not waiting:
        console.print(f"No run yet in {settings.home}. Add runvitals.Callback to a trainer, or try: runvitals demo")
    if waiting:
        console.print(
            f"{waiting} {'runs have' if waiting > 1 else 'run has'} a journal that was not taken in yet:"
            " runvitals watch --once, or runvitals up"
        )


def waiting_runs(settings: Settings, known: set[str]) -> int:
    """Runs with a journal in the home that the store does not know."""
    if not settings.journals.is_dir():
        return 0
    return sum(1 for folder in settings.journals.iterdir() if folder.is_dir() and folder.name not in known)


def print_alerts(settings: Settings, *, everything: bool) -> None:
    """Prints firing alerts; all of them with `everything`."""
    store = open_store(settings.store)
    found = [row for row in store.alerts() if everything or asks_for_somebody(row)]
    console = make_console()
    if not found:
        console.print("No alert fires.")
        return
    console.print(alerts_table(found, {run.id: run.name for run in store.runs()}, now_s=time.time()))


def asks_for_somebody(row: AlertRow) -> bool:
    """True for an alert that fires, is more than information, and is not explained by another. Muted ones are among them."""
    return row.state == "firing" and row.severity != "info" and not row.detail.get("inhibited_by")


def runs_table(found: Sequence[RunInfo], *, now_s: float) -> Table:
    """Runs with status, health, step, age of the last step and first finding."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("run", "trainer", "health", "status", "step", "last step", "first finding"):
        table.add_column(heading, no_wrap=heading != "first finding", max_width=NAME_WIDTH)
    tagged = any(run.tags for run in found)
    if tagged:
        table.add_column("tags", max_width=NAME_WIDTH)
    table.add_column("id", no_wrap=True, min_width=24)
    for run in found:
        mark, style = MARKS[run.health]
        total = f" / {run.max_steps}" if run.max_steps else ""
        last_step = age(now_s - run.last_step_s) if run.last_step_s else MISSING
        table.add_row(
            _cell(run.name),
            _cell(run.trainer or MISSING),
            Text(f"{mark} {run.health}", style=style),
            run.status,
            f"{run.last_step if run.last_step is not None else MISSING}{total}",
            last_step,
            _cell(run.finding or MISSING),
            *((_cell(", ".join(run.tags)),) if tagged else ()),
            Text(run.id, style="dim"),
        )
    return table


def alerts_table(found: Sequence[AlertRow], names: dict[str, str], *, now_s: float) -> Table:
    """Alerts with run, rule, steps of onset and firing, and the first remedy. A state says also whether somebody muted the alert."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("alert", "run", "state", "began", "fired", "what is seen", "try first"):
        is_word = heading in ("alert", "run", "state")
        table.add_column(
            heading,
            overflow="ellipsis" if is_word else "fold",
            no_wrap=is_word,
            max_width=NAME_WIDTH if is_word else None,
        )
    for row in found:
        mark, style = MARKS[row.severity]
        remedies = row.detail.get("remedies") or ()
        table.add_row(
            Text(f"{mark} {row.detail.get('title', row.rule)}", style=style),
            _cell(names.get(row.run_id, row.run_id)),
            row.state + (", muted" if row.muted_until_s is not None and row.muted_until_s > now_s else ""),
            MISSING if row.onset_step is None else str(row.onset_step),
            MISSING if row.fired_step is None else str(row.fired_step),
            Text(str(row.detail.get("sentence", ""))),
            Text(str(remedies[0].get("text", "")) if remedies else MISSING),
        )
    return table


def _cell(text: str) -> Text:
    """A name as plain text on one line: nothing of a run is markup, and a line break would tear the table."""
    return Text(" ".join(text.split()))
