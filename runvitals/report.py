"""What `runvitals report` writes and prints."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from runvitals.errors import SettingsError
from runvitals.housekeeping import size
from runvitals.lookup import found_run
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.tables import make_console
from runvitals.watch.user_rules import load


def write_report(settings: Settings, name: str, *, incident: str | None, out: Path | None, markdown: bool) -> int:
    """Writes the report of the run, says where it lies, and gives 0. Raises UnknownRun, and SettingsError for --incident and --out."""
    store = open_store(settings.store, create=False)
    run = found_run(name, store.runs())
    with _bar(f"report {run.name}") as progress:
        from runvitals.dashboard.report.make import html_report, markdown_report  # slow to import: under the bar

        now_s, rules = time.time(), load(settings.rules)
        if not markdown:
            made = html_report(store, run.id, incident_id=incident, rules=rules, now_s=now_s, progress=progress)
            path = _place(out, made.name)
            pictures = {}
        else:
            charts = None if out is None or out.is_dir() else f"{_link(out.stem)}-charts"
            made = markdown_report(
                store, run.id, incident_id=incident, rules=rules, now_s=now_s, charts=charts, progress=progress
            )
            path = _place(out, made.name)
            pictures = {path.parent / made.charts / file: svg for file, svg in made.pictures.items()}
    for picture, svg in pictures.items():
        _write(picture, svg)
    _write(path, made.text)
    charts = "1 chart" if len(pictures) == 1 else f"{len(pictures)} charts"
    beside = f", {charts} in {path.parent / made.charts}" if pictures else ""
    make_console().print(Text(f"{path}  {size(path.stat().st_size)}{beside}"), soft_wrap=True)
    return 0


def _link(stem: str) -> str:
    """The stem as a part of a link in Markdown."""
    return "".join(character if character.isalnum() or character in "._-" else "-" for character in stem)


def _place(out: Path | None, name: str) -> Path:
    if out is None:
        return Path.cwd() / name
    out = out.expanduser().absolute()
    return out / name if out.is_dir() else out


def _write(path: Path, text: str) -> None:
    """Writes the whole file or leaves the old one; makes its folder."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise SettingsError(f"--out: expected a file that can be written, got {path}: {error.strerror}") from error


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, in a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
