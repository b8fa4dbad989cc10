"""The functions behind `runvitals.init`, `log`, `finish` and `alert`: one current run in a process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runvitals.collectors.faults import Faults, say
from runvitals.collectors.last_exception import Status
from runvitals.collectors.options import Options
from runvitals.collectors.process_facts import whole
from runvitals.collectors.run import Run
from runvitals.collectors.run_ids import checked_run_id, nth_run_id
from runvitals.errors import SettingsError
from runvitals.settings import Settings

_faults = Faults()
_current: Run | None = None
_launched = 0
"""Runs of this process that took their id from its launcher."""


def init(
    project: str = "default",
    name: str | None = None,
    config: Any = None,
    *,
    tags: str | Iterable[str] = (),
    group: str = "",
    description: str = "",
    resume: str | None = None,
    home: str | Path | None = None,
    options: Options | None = None,
) -> Run:
    """A new run, recorded from now on; it becomes the current one, and the one before it is finished. One line on stderr says where it is.

    config: a dict, namespace or dataclass of settings.
    tags, group, description: what the run is found by on the Runs page, from its beginning on: at most 50 tags of at most 60 characters
        without a comma, a group of at most 60 characters, a description of at most 4,000; a part that is none is left out and told of.
        People may change them in the app, and what they say holds: a run that is resumed keeps what it has.
    home: overrules RUNVITALS_HOME.
    resume: the id of a run to go on with (`run.id`), whose project and name stay what they were; one that nobody knows yet begins under it.
        Without it, RUNVITALS_RUN_ID says which run all processes of one launch write.
    Raises SettingsError where an id cannot be one.
    """
    global _current
    # Only the home matters here: a database address that we cannot use must not stop a training that never talks to a database.
    environ = {key: value for key, value in os.environ.items() if key in ("RUNVITALS_HOME", "RUNVITALS_RUN_ID")}
    settings = Settings.from_environment(environ, home=None if home is None else Path(home))
    options = _joined(options or Options(), resume, settings.run_id)
    if _current is not None:
        _current.finish()
    _current = Run(
        settings.journals,
        project,
        name=name,
        config=config,
        tags=tags,
        group=group,
        description=description,
        options=options,
    )
    if whole(os.environ, "RANK", 0) == 0:  # one line for a launch, not one for each of its processes
        say_where(_current, home=home)
    return _current


def say_where(run: Run, *, home: str | Path | None = None) -> None:
    """Says on stderr where a run is written and how to watch it. home: the one that was named in place of the environment's."""
    named = "" if home is None else f" --home {shlex.quote(str(home))}"
    say(f"run {run.name!r} is written to {run.path}; to watch it: runvitals up{named}")


def _joined(options: Options, resume: str | None, launched: str | None) -> Options:
    """The options with the run that this process goes on with, if there is one."""
    global _launched
    if resume is not None:
        if options.run_id not in (None, resume):
            raise SettingsError(
                f"resume: expected the run of options.run_id, {options.run_id!r}, or none, got {resume!r}"
            )
        return replace(options, run_id=checked_run_id(resume, "resume"))
    if options.run_id is None and launched is not None:
        checked_run_id(launched, "RUNVITALS_RUN_ID")
        _launched += 1
        return replace(options, run_id=nth_run_id(launched, _launched))
    return options


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
