"""The wheel holds every room under its namespace, once, with what the dashboard serves."""

from __future__ import annotations

import ast
import re
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


IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']+)["']""")
"""The module in `import … from "./x.js"`, `import "./x.js"` and `import("./x.js")`."""


def test_what_a_tracked_module_imports_is_tracked_too() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    tracked = {(ROOT / name).resolve() for name in listed}
    modules = [path for path in tracked if path.suffix == ".js" and path.is_file()]
    imports = [(path, name) for path in modules for name in IMPORT.findall(path.read_text())]
    assert len(imports) > 100
    assert [f"{path.name}: {name}" for path, name in imports if (path.parent / name).resolve() not in tracked] == []


def test_the_modules_of_a_python_file_are_tracked_too() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in listed if name.split("/")[0] in ("runvitals", *ROOMS) and name.endswith(".py")}
    modules = {module_name(name) for name in ours}
    missing = {
        f"{name}: {node.module}"
        for name in ours
        if (ROOT / name).is_file()
        for node in ast.walk(ast.parse((ROOT / name).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runvitals")
        if node.module not in modules
    }
    assert missing == set()


def module_name(path: str) -> str:
    """The name under which a file of ours is imported."""
    named = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return named if named.startswith("runvitals") else f"runvitals.{named}"
