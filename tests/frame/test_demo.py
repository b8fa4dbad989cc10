"""What the demo prints while it trains."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runvitals.demo import follow, prepare
from runvitals.errors import SettingsError
from runvitals.store import open_store
from runvitals.store.types import Batch


class Fleet:
    """A fleet that ends after so many looks at it, and an event that nobody sets or waits for."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def poll(self) -> int | None:
        self._looks -= 1
        return None if self._looks >= 0 else 0

    def wait(self, timeout: float) -> bool:
        return False


def test_a_file_gets_no_table_before_there_is_a_run(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'runvitals.db'}")
    console = Console(file=io.StringIO(), width=160)
    fleet: Any = Fleet(3)
    follow(store, fleet, console, fleet)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    start = {"project": "p", "name": "sft-healthy", "config": {}, "info": {}, "time_s": 100.0}
    store.append(Batch(run_id="one", writer_id="w", first_seq=1, last_seq=1, position={}, start=start))
    fleet = Fleet(3)
    follow(store, fleet, console, fleet)
    assert console.file.getvalue().count("sft-healthy") == 1  # type: ignore[attr-defined]


def test_a_folder_that_is_no_demos_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(SettingsError, match="expected a new or empty folder"):
        prepare(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    prepare(tmp_path / "new")
    (tmp_path / "new" / "runvitals.db").write_text("old")
    prepare(tmp_path / "new")
    assert not (tmp_path / "new" / "runvitals.db").exists()
