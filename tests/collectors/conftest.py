"""What the collectors' tests share: reading a run's journal back, and running a training script as a real process."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors import journal
from runvitals.collectors.records import Beat, Event, Rows, Start


@dataclass
class Told:
    """Everything that a run's journals say. rows: (seq, time_s, step, values)."""

    starts: list[Start] = field(default_factory=list)
    rows: list[tuple[int, float, int, dict[str, float]]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    damage: list[journal.Damage] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a kind."""
        return [dict(event.data) for event in self.events if event.kind == kind]

    @property
    def training(self) -> list[tuple[int, dict[str, float]]]:
        """(step, values) of all rows that have a step."""
        return [(step, values) for _, _, step, values in self.rows if step >= 0]


def told_by(folder: Path) -> Told:
    """All that the journals in a run's folder say."""
    told = Told()
    for path in journal.files(folder):
        position = None
        more = True
        while more:
            result = journal.read(path, position)
            position, more = result.position, result.more
            told.damage += result.damage
            for record in result.records:
                if isinstance(record, Rows):
                    told.rows += unpacked(record)
                elif isinstance(record, Start):
                    told.starts.append(record)
                elif isinstance(record, Event):
                    told.events.append(record)
                else:
                    told.beats.append(record)
    return told


def unpacked(rows: Rows) -> list[tuple[int, float, int, dict[str, float]]]:
    """The rows of a block one by one."""
    packed = struct.Struct(f"<dq{len(rows.keys)}d")
    return [
        (rows.first_seq + i, time_s, step, dict(zip(rows.keys, values, strict=True)))
        for i, (time_s, step, *values) in enumerate(packed.iter_unpack(rows.body))
    ]


@pytest.fixture
def told() -> Callable[[Path], Told]:
    return told_by


@dataclass
class Script:
    """A training script run as a process of its own, with its home."""

    home: Path

    def start(self, code: str, **options: Any) -> subprocess.Popen[str]:
        """The process; `code` finds `runvitals` and `home` in place."""
        text = f"import runvitals, sys, os, time\nhome = {str(self.home)!r}\n{code}"
        environ = {**os.environ, "RUNVITALS_HOME": str(self.home), "PYTHONWARNINGS": "error"}
        return subprocess.Popen(
            [sys.executable, "-c", text],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            **options,
        )

    def run(self, code: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of the script; of the latter not the line that says where a run is written."""
        process = self.start(code)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, "".join(line for line in err.splitlines(True) if "is written to" not in line)

    def told(self) -> Told:
        """What the only run of this home says."""
        [folder] = (self.home / "journal").iterdir()
        return told_by(folder)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path / "home")
