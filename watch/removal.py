"""Removes the journals of a run all together, whenever the watcher may be killed meanwhile.

A run of which only some journal files were left would be judged anew by half of its rows. So the names of the files are written down
first, beside the run's folder; files so listed are no longer read, and any watcher removes what is left of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SUFFIX = ".removed"
"""Of the list's name, after the run's."""


def listed_files(run_folder: Path) -> frozenset[str]:
    """Names of the run's files that are on their way out. A list that a power cut spoiled names none."""
    try:
        return frozenset(map(str, json.loads(_list_of(run_folder).read_bytes())))
    except (FileNotFoundError, ValueError, TypeError):
        return frozenset()


def remove(run_folder: Path, files: Iterable[Path]) -> None:
    """Removes the files, and the folder where nothing else is in it. Raises OSError where the list cannot be written."""
    names = sorted({path.name for path in files} | listed_files(run_folder))
    draft = run_folder.with_name(f"{run_folder.name}{SUFFIX}.tmp")
    with draft.open("w") as stream:
        stream.write(json.dumps(names))
        stream.flush()
        os.fsync(stream.fileno())  # else a power cut may leave the list's name without its words, and some of the files
    draft.replace(_list_of(run_folder))
    finish(run_folder)


def finish(run_folder: Path) -> None:
    """Removes what is listed; what cannot be deleted now stays listed."""
    try:
        for name in listed_files(run_folder):
            (run_folder / name).unlink(missing_ok=True)
    except OSError:  # a folder that is read-only now
        return
    with suppress(OSError):  # gone already, or a new writer of the run is at work in it
        run_folder.rmdir()
    with suppress(OSError):
        _list_of(run_folder).unlink(missing_ok=True)


def unfinished(journals: Path) -> list[Path]:
    """The folders of runs whose removal was begun and not finished."""
    return [path.with_name(path.name.removesuffix(SUFFIX)) for path in journals.glob(f"*{SUFFIX}")]


def _list_of(run_folder: Path) -> Path:
    return run_folder.with_name(f"{run_folder.name}{SUFFIX}")
