"""The import directions of docs/architecture.md hold, in the source and in running processes."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("collectors", "store", "diagnostics", "trainers", "watch", "dashboard")
MAY_IMPORT = {
    "collectors": set(),
    "store": {"collectors.records", "collectors.labels"},
    "diagnostics": set(),
    "trainers": {"collectors", "diagnostics"},
    "watch": {"collectors", "store", "diagnostics"},
    "dashboard": {"store", "diagnostics"},
}
FOR_ALL = {"errors", "settings"}


def imported_by(path: Path) -> set[str]:
    """Names of ours that a file imports anywhere in it, without the leading `runvitals.`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name.removeprefix("runvitals.") for name in names if name.startswith("runvitals.")} | (
        {"runvitals"} if "runvitals" in names else set()
    )


def is_allowed(name: str, room: str) -> bool:
    allowed = MAY_IMPORT[room] | FOR_ALL | {room}
    return any(name == one or name.startswith(f"{one}.") for one in allowed) or name == "__version__"


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_what_the_table_allows(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in imported_by(path)
        if not is_allowed(name, room)
    }
    assert not wrong


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    offender = tmp_path / "offender.py"
    offender.write_text("def f():\n    from runvitals.trainers.callback import Callback\n    return Callback\n")
    assert [name for name in imported_by(offender) if not is_allowed(name, "dashboard")] == [
        "trainers.callback.Callback"
    ]


def modules_after(code: str) -> set[str]:
    """Top-level names in sys.modules of a fresh process after the code ran."""
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.parent,
    )
    return set(printed.stdout.split())


def test_bare_client_pulls_no_heavy_library(tmp_path: Path) -> None:
    code = f"import runvitals\nrun = runvitals.init(home={str(tmp_path)!r})\nrun.log({{'loss': 1.0}}, step=1)\nrun.finish()"
    heavy = {"numpy", "pandas", "torch", "transformers", "streamlit", "sqlalchemy", "scipy"}
    assert not modules_after(code) & heavy


def test_web_process_never_imports_torch() -> None:
    code = "import runvitals.dashboard.views.run, runvitals.dashboard.views.compare, runvitals.dashboard.views.runs, runvitals.dashboard.views.alerts"
    assert not modules_after(code) & {"torch", "transformers", "trl"}


def test_training_process_never_imports_streamlit() -> None:
    assert not modules_after("import runvitals.trainers.callback") & {"streamlit", "plotly", "sqlalchemy"}


def test_watcher_imports_neither_torch_nor_streamlit() -> None:
    assert not modules_after("import runvitals.watch.command") & {"torch", "transformers", "streamlit"}


def test_every_package_is_mapped_and_linked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    expected = {"runvitals"} | {
        "runvitals." + ".".join(path.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    own = {path.parent for path in (ROOT / "runvitals").glob("*/__init__.py") if not path.parent.is_symlink()}
    expected |= {f"runvitals.{path.name}" for path in own}
    assert set(settings["packages"]) == expected
    assert set(settings["package-dir"]) == expected
    for room in ROOMS:
        link = ROOT / "runvitals" / room
        assert link.is_symlink()
        assert link.readlink() == Path("..") / room
