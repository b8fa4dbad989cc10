"""What all tests share: a clean environment, the folder of labelled runs, a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# One thread a process: the tests run several at once, and tiny models lose by more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's home, store or receivers."""
    for name in ("RUNVITALS_STORE", "DATABASE_URL", "RUNVITALS_NOTIFY", "RUNVITALS_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNVITALS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store of this version: a copy of it opens in a tenth of the time that all migrations take."""
    from runvitals.store import open_store

    file = tmp_path_factory.mktemp("migrated") / "runvitals.db"
    open_store(f"sqlite:///{file}").close()
    return file


@pytest.fixture(scope="session")
def labelled_runs() -> Path:
    """The folder of labelled logs of real runs; skips where RUNVITALS_RUNS names none."""
    named = os.environ.get("RUNVITALS_RUNS")
    if not named:
        pytest.skip("RUNVITALS_RUNS names no folder of labelled runs")
    folder = Path(named)
    assert folder.is_dir(), f"RUNVITALS_RUNS: expected a folder, {named} is none"
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> Iterator[str]:
    """The path of a Chromium. Fails under CI where there is none, skips elsewhere."""
    found = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "find_browser.py")], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(found.stderr)
        pytest.skip(found.stderr.strip())
    yield found.stdout.strip()
