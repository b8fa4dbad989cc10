"""Which run a training is logged to: one that is there already, one that it continues, or a new one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakSet

from runvitals.collectors.face import current, init, say_where
from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.settings import Settings

_begun: WeakSet[Run] = WeakSet()
"""Runs that a callback began; any other current run is the user's own."""


def users_run() -> Run | None:
    """The run that the user began with `runvitals.init` and has not finished."""
    run = current()
    return None if run is None or run in _begun else run


def begin_run(
    project: str,
    name: str | None,
    config: Mapping[str, Any],
    *,
    labels: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> Run:
    """A new run, or a continuation of the run with `run_id`; it becomes the current one. One line on stderr says where it is.

    labels: tags, group and description, as `runvitals.init` takes them.
    Where another training of this process is still under way, the run is begun beside that training's and leaves it the current one.
    """
    options, labels = Options(run_id=run_id), dict(labels or {})
    if current() is None:
        run = init(project, name, dict(config), **labels, options=options)
    else:
        home = {key: value for key, value in os.environ.items() if key == "RUNVITALS_HOME"}
        journals = Settings.from_environment(home).journals
        run = Run(journals, project, name=name, config=dict(config), **labels, options=options)
        say_where(run)
    _begun.add(run)
    return run


def run_name(name: str | None, arguments: Any) -> str | None:
    """The name as given, else the arguments' run_name, else the last part of their output_dir; None where all are empty."""
    folder = Path(str(getattr(arguments, "output_dir", None) or "")).name
    return name or getattr(arguments, "run_name", None) or folder or None


def run_to_continue(kept: Mapping[str, Any], project: str, name: str | None) -> str | None:
    """The id of the run that a checkpoint comes from, if it has the same project and name; a copy under another name is a new run."""
    same = kept.get("project") == project and kept.get("name") == name
    return kept.get("run_id") if same else None
