"""The user's rules file as it is read from the home folder, once, when a watcher or a command starts."""

from __future__ import annotations

from pathlib import Path

from runvitals.diagnostics.user_rules.user_rules import Fault, UserRules, read_user_rules

LONGEST_FILE = 256 * 1024
"""Bytes; a longer file is none that a person wrote."""


def load(path: Path) -> UserRules:
    """The rules of a file; none where it is not there. What cannot be read or used is among the faults and raises nothing."""
    text = read_text(path)
    if text is None:
        return UserRules()
    return UserRules(faults=(text,)) if isinstance(text, Fault) else read_user_rules(text, file=path.name)


def read_text(path: Path) -> str | Fault | None:
    """The text of a file, what is wrong where it is none, or None where it is not there."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unusable(path, f"expected a file that can be read, got: {error.strerror}; the built-in rules go on")
    if len(raw) > LONGEST_FILE:
        return _unusable(
            path, f"expected at most {LONGEST_FILE // 1024} KiB, got {len(raw) // 1024} KiB; is it the right file?"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return _unusable(path, "expected text in UTF-8, got other bytes; save the file as UTF-8", line=line)


def _unusable(path: Path, problem: str, *, line: int = 0) -> Fault:
    return Fault(file=path.name, line=line, key="", problem=problem)


def fault_line(rules: UserRules) -> str:
    """One line for the screen on what is wrong with the file, "" where nothing is."""
    if not rules.faults:
        return ""
    more = f" (and {len(rules.faults) - 1} more: runvitals rules --check)" if len(rules.faults) > 1 else ""
    return f"rules file: {rules.faults[0]}{more}"
