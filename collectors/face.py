"""The functions behind `runvitals.init`, `log`, `finish` and `alert`: one current run in a process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runvitals.collectors.faults import Faults, say
from runvitals.collectors.run import Options, Run, Status
from runvitals.settings import Settings

_faults = Faults()
_current: Run | None = None


def init(
    project: str = "default",
    name: str | None = None,
    config: Any = None,
    *,
    home: str | Path | None = None,
    options: Options | None = None,
) -> Run:
    """A new run, recorded from now on; it becomes the current one, and the one before it is finished.

    config: a dict, namespace or dataclass of settings. home: overrules RUNVITALS_HOME.
    """
    global _current
    # Only the home matters here: a database address that we cannot use must not stop a training that never talks to a database.
    environ = {key: value for key, value in os.environ.items() if key == "RUNVITALS_HOME"}
    settings = Settings.from_environment(environ, home=None if home is None else Path(home))
    if _current is not None:
        _current.finish()
    _current = Run(settings.journals, project, name=name, config=config, options=options)
    return _current


def current() -> Run | None:
    """The run that `log`, `alert` and `finish` go to; None where there is none or it has ended."""
    return None if _current is None or _current.ended else _current


def log(values: Mapping[str, Any], step: int | None = None) -> None:
    """Appends one row to the current run."""
    run = _run("log")
    if run is not None:
        run.log(values, step)


def alert(title: str, text: str = "", severity: str = "warning") -> None:
    """Raises an alert of your own on the current run; severity is info, warning or critical."""
    run = _run("alert")
    if run is not None:
        run.alert(title, text, severity)


def finish(status: Status = "finished") -> None:
    """Ends the current run."""
    run = _run("finish")
    if run is not None:
        run.finish(status)


def _run(what: str) -> Run | None:
    if _current is None and _faults.note(what, "no run"):
        say(f"{what}: there is no run; call runvitals.init(…) first (not printed again)")
    return _current
