"""Alerts that a watcher hands back to the process that trains, as lines of JSON in a file beside the journals.

Only for processes that ask for them, to pass them on; nothing in training depends on them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

LONGEST_FILE = 1 << 20
"""Bytes; a file that long has had thousands of alerts, and takes no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedBack:
    """One alert as it is told. severity: info, warning or critical."""

    severity: str
    title: str
    text: str


def file_for(journals: Path, run_id: str) -> Path:
    """The file of a run. journals: the folder under which every run has its journals."""
    return journals.parent / "handed-back" / f"{run_id}.jsonl"


def hand_back(path: Path, alert: HandedBack) -> None:
    """Adds a line, in one write. Raises OSError where that cannot be done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(alert)).encode() + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.fstat(file).st_size + len(line) <= LONGEST_FILE:
            os.write(file, line)
    finally:
        os.close(file)


class Reader:
    """Reads what is handed back from now on: what is there already was meant for an earlier process of the run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def take(self, use: Callable[[HandedBack], None]) -> None:
        """Gives every new alert to `use`; one at which it raises, and those after it, come again next time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._position)
            while (line := stream.readline()).endswith(b"\n"):
                found = json.loads(line)
                use(HandedBack(severity=found["severity"], title=found["title"], text=found["text"]))
                self._position += len(line)
