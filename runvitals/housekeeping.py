"""What `runvitals delete`, `gc`, `archive`, `restore` and `doctor` print and ask."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from runvitals.errors import RunvitalsError, SettingsError, UnknownRun
from runvitals.lookup import found_run
from runvitals.settings import Settings
from runvitals.store.archive import Archive, archive, restore
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import RunInfo
from runvitals.tables import make_console
from runvitals.watch.delete import delete_run
from runvitals.watch.doctor import Examination, Finding, examine
from runvitals.watch.gc import Line, Sweep, sweep

_T = TypeVar("_T")
_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_MARKS = {"ok": ("●", "green"), "note": ("·", "dim"), "wrong": ("◆", "red")}


def delete(settings: Settings, words: Sequence[str], *, force: bool, yes: bool) -> int:
    """Deletes runs, named by their whole id or name, after asking; 1 where one could not be deleted."""
    store = open_store(settings.store, create=False)
    chosen = _chosen(store, words, whole=True)
    console = make_console()
    for run in chosen:
        console.print(Text(f"{run.name}  {run.id}  {run.status}"))
    if not yes and not typer.confirm(f"Delete {_number(len(chosen), 'run')} with curves, alerts and notes, for good?"):
        return 1
    return _each(chosen, lambda run: _deleted(settings, store, run, force=force), console)


def _deleted(settings: Settings, store: Store, run: RunInfo, *, force: bool) -> str:
    delete_run(store, settings.journals, run, force=force)
    return f"deleted {run.name} ({run.id})"


def collect(settings: Settings, *, older_than: str | None, dry_run: bool) -> int:
    """Removes what nobody needs, and prints what it was; 1 where something that was asked for had to stay."""
    store = open_store(settings.store, create=False)
    age_s = None if older_than is None else seconds(older_than)
    asked = Sweep(store=store, home=settings.home, now_s=time.time(), older_than_s=age_s, dry_run=dry_run)
    lines = list(sweep(asked))
    console = make_console()
    if lines:
        console.print(_lines_table(lines, dry_run=dry_run))
    freed = sum(line.bytes for line in lines if not line.kept)
    verb = "would be freed" if dry_run else "freed"
    console.print(f"{size(freed)} {verb}" if lines else "Nothing to remove.")
    return 0


def put_away(settings: Settings, words: Sequence[str], *, to: Path | None, remove: bool) -> int:
    """Writes runs to files, with `remove` deletes them after that; 1 where one could not be written."""
    store = open_store(settings.store, create=False)
    folder = (to or settings.home / "archive").expanduser().absolute()

    def one(run: RunInfo) -> str:
        with _bar(f"archive {run.name}") as progress:
            path = archive(store, run.id, folder, progress=progress)
        if remove:
            if store.run(run.id).revision != run.revision:
                raise RunvitalsError(f"run {run.id}: changed while it was written to {path}; it was not removed")
            delete_run(store, settings.journals, run)
        return f"{path}  {size(path.stat().st_size)}{', run removed' if remove else ''}"

    return _each(_chosen(store, words), one, make_console())


def bring_back(settings: Settings, paths: Sequence[Path]) -> int:
    """Writes runs from files to the store; 1 where one could not be."""
    store = open_store(settings.store)

    def one(path: Path) -> str:
        with _bar(f"restore {path.name}") as progress:
            run = store.run(restore(store, path, progress=progress))
        return f"restored {run.name} ({run.id}), {Archive(path).points:,} points"

    return _each(paths, one, make_console())


def diagnose_home(settings: Settings, *, as_json: bool) -> int:
    """Examines everything and prints what is wrong and what to do; 1 where something is wrong."""
    with _bar("examine the store", hidden=as_json) as progress:
        found = list(examine(Examination(settings=settings, now_s=time.time(), progress=progress)))
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))  # noqa: T201 - the command's own output
    else:
        make_console().print(_findings_table(found))
    return int(any(finding.level == "wrong" for finding in found))


def seconds(age: str) -> float:
    """The seconds of an age such as 90d, 12h or 6w. Raises SettingsError for anything else."""
    match = re.fullmatch(r"(\d{1,5})([hdw])", age)
    if match is None:
        raise SettingsError(
            f"--older-than: expected a number of hours, days or weeks such as 12h, 90d or 6w, got {age!r}"
        )
    return int(match[1]) * _SECONDS[match[2]]


def size(number: int) -> str:
    """Bytes in words."""
    for unit, bytes_ in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= bytes_:
            return f"{number / bytes_:.1f} {unit}"
    return f"{number} bytes"


def _chosen(store: Store, words: Sequence[str], *, whole: bool = False) -> list[RunInfo]:
    """The runs that the words name, each once. whole: the beginning of an id or name is not enough. Raises UnknownRun."""
    known = store.runs()
    found: dict[str, RunInfo] = {}
    for word in words:
        run = found_run(word, known)
        if whole and word not in (run.id, run.name):
            raise UnknownRun(f"run {word!r}: to delete a run give its whole id or name; did you mean {run.id}?")
        found[run.id] = run
    return list(found.values())


def _each(items: Sequence[_T], work: Callable[[_T], str], console: Console) -> int:
    """Does the work for each item and prints what it says; one that fails leaves the others alone. 1 where one failed."""
    failed = 0
    for item in items:
        try:
            console.print(Text(work(item)), soft_wrap=True)
        except RunvitalsError as error:
            failed = 1
            typer.echo(f"runvitals: {error}", err=True)
    return failed


@contextmanager
def _bar(what: str, *, hidden: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, in a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines_table(lines: Sequence[Line], *, dry_run: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("what", "where", "bytes", "would be" if dry_run else "was"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "bytes" else "left")
    for line in lines:
        done = Text(f"kept: {line.kept}", style="yellow") if line.kept else Text("removed")
        table.add_row(line.what, Text(line.where), size(line.bytes), done)
    return table


def _findings_table(found: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("part", "what is seen", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in found:
        mark, style = _MARKS[finding.level]
        table.add_row(Text(f"{mark} {finding.part}", style=style), Text(finding.text), Text(finding.do))
    return table


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
