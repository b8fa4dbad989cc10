"""The line on which a key of a TOML document stands.

`tomllib` says where a document is malformed, but not where the values of a well-formed one came from, nor does tomlkit. The parser itself
can be asked all the same: the line of a key is the first after which a document cut there has it.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$|\s*\(at end of document\)$")


def line_of(text: str, path: Sequence[str]) -> int:
    """The first line, from 1, of the statement that makes the key or table at this path. text: a well-formed document that has it."""
    lines = text.split("\n")
    return bisect_left(range(1, len(lines)), True, key=lambda count: _has(_parsed(lines, count), path)) + 1


def malformed(error: tomllib.TOMLDecodeError, text: str) -> tuple[int, str]:
    """The line of a document that is no TOML, and what is wrong there."""
    found = _AT_LINE.search(str(error))
    line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
    return line, _AT_LINE.sub("", str(error))


def _parsed(lines: Sequence[str], count: int) -> dict[str, Any]:
    """The document of the first lines; one that is cut inside a value goes on to the value's end."""
    while count < len(lines):
        try:
            return tomllib.loads("\n".join(lines[:count]) + "\n")
        except tomllib.TOMLDecodeError:
            count += 1
    return tomllib.loads("\n".join(lines))


def _has(document: Any, path: Sequence[str]) -> bool:
    for key in path:
        if isinstance(document, list):  # of tables, in which "[2]" is the second
            place = int(key.strip("[]")) - 1
            if place >= len(document):
                return False
            document = document[place]
            continue
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True
