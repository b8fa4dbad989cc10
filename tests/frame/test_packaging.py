"""The wheel holds every room under its namespace, once, with what the dashboard serves."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("collectors", "store", "diagnostics", "trainers", "watch", "dashboard")


@pytest.mark.slow
def test_wheel_holds_every_module_and_every_served_file(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a copy, because a build leaves folders behind
    subprocess.run(["git", "checkout-index", "--all", f"--prefix={source}/"], cwd=ROOT, check=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", str(tmp_path), str(source)),
        ],
        check=True,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("runvitals-*.whl")
    packed = sorted(name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("runvitals-"))
    tracked = subprocess.run(
        ["git", "ls-files", "--", "runvitals", *ROOMS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    links = {f"runvitals/{room}" for room in ROOMS}
    expected = sorted(
        name if name.startswith("runvitals/") else f"runvitals/{name}" for name in tracked if name not in links
    )
    assert packed == expected
