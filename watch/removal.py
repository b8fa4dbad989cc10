"""Removes the journals of a run all together, whenever the watcher may be killed meanwhile.

A run of which only some journal files were left would be judged anew by half of its rows. So the names of the files are written down
first; files so listed are no longer read, and the next watcher removes what is left of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

LIST = "removed.json"
"""Name of the list within the run's folder."""


def listed_files(run_folder: Path) -> frozenset[str]:
    """Names of the files that are on their way out."""
    try:
        return frozenset(json.loads((run_folder / LIST).read_text()))
    except FileNotFoundError:
        return frozenset()


def remove(run_folder: Path, files: Iterable[Path]) -> None:
    """Removes the files, and the folder where nothing else is in it. Raises OSError where even the list cannot be written."""
    names = sorted({path.name for path in files} | listed_files(run_folder))
    draft = run_folder / f"{LIST}.tmp"
    draft.write_text(json.dumps(names))
    draft.replace(run_folder / LIST)
    finish(run_folder)


def finish(run_folder: Path) -> None:
    """Removes what is listed; what cannot be deleted now stays listed."""
    names = listed_files(run_folder)
    if not names:
        return
    try:
        for name in names:
            (run_folder / name).unlink(missing_ok=True)
        (run_folder / LIST).unlink(missing_ok=True)
        run_folder.rmdir()
    except OSError:  # another process's file, a new writer's journal, a folder that is read-only
        return
