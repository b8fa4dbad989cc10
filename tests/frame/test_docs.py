"""The docs name only what exists, and name every command and setting."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from runvitals import __version__
from runvitals.cli import app

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ROOMS = (
    "runvitals",
    "collectors",
    "store",
    "diagnostics",
    "trainers",
    "watch",
    "dashboard",
    "scripts",
    "benchmarks",
    "tests",
)


def commands_of(group: Any) -> list[str]:
    """Every command of a group as it is typed, those of groups in it too: `up`, `notify test`."""
    return [
        f"{name} {inner}".strip()
        for name, command in group.commands.items()
        for inner in (commands_of(command) if hasattr(command, "commands") else [""])
    ]


COMMANDS = commands_of(get_command(app))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    paths = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w/.]+\.(?:py|js|toml|css))`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def test_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(COMMANDS) >= 6
    assert [name for name in COMMANDS if f"runvitals {name}" not in readme] == []


def test_every_environment_variable_is_documented() -> None:
    used = {
        name
        for room in ROOMS[:7]
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"[\"'](RUNVITALS_\w+)[\"']", path.read_text())
    }
    documented = "".join(page.read_text() for page in PAGES)
    assert "RUNVITALS_HOME" in used
    assert sorted(name for name in used if name not in documented) == []


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_of_every_command_says_what_it_does(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert not command or "Example" in result.output


def test_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == f"runvitals {__version__}"
