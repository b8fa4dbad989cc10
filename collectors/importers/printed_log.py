"""Rows out of what a training program printed: llm.c, modded-nanogpt, transformers' dicts, and LLaMA-Factory's JSON lines."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

from runvitals.collectors.importers.trainer_state import LoggedRow
from runvitals.errors import LogFileError

_LLMC = re.compile(r"step\s+(\d+)/\d+ \| loss\s+(\S+) .*?\| norm\s+(\S+) .*?\| lr (\S+)")
_MODDED = re.compile(r"s:(\d+) trl:(\S+) lr:(\S+) norm:(\S+)")
_LLMC_VALIDATION = re.compile(r"val loss (\S+)\s*$")
_MODDED_VALIDATION = re.compile(r"s:(\d+) tel:(\S+)")
_DICT = re.compile(r"\{'[^{}]*'epoch': [^{}]*\}")
_FACTORY = {"loss": "loss", "eval_loss": "eval_loss", "lr": "learning_rate", "reward": "reward", "epoch": "epoch"}


def read_printed_log(path: Path) -> tuple[LoggedRow, ...]:
    """The rows of a console log (.log, .txt) or of JSON lines (.jsonl); lines of any other kind say nothing.

    Where the program printed no step, rows are numbered from 1. Raises LogFileError where the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise LogFileError(f"{path}: expected a file that can be read, got: {error.strerror or error}") from error
    lines = text.splitlines()
    return tuple(_factory_rows(lines) if path.suffix == ".jsonl" else _console_rows(lines))


def _console_rows(lines: list[str]) -> Iterator[LoggedRow]:
    printed = newest = 0
    for line in lines:
        if found := _LLMC.search(line):
            step, loss, norm, rate = found.groups()
            told = {"loss": loss, "grad_norm": norm, "learning_rate": rate}
        elif found := _MODDED.search(line):
            step, loss, rate, norm = found.groups()
            told = {"loss": loss, "grad_norm": norm, "learning_rate": rate}
        elif found := _MODDED_VALIDATION.search(line):
            step, told = found[1], {"eval_loss": found[2]}
        elif found := _LLMC_VALIDATION.match(line):
            step, told = str(newest), {"eval_loss": found[1]}
        elif found := _DICT.search(line):
            values = _printed_dict(found[0])
            if values:
                printed += 1
                yield LoggedRow(step=printed, values=values)
            continue
        else:
            continue
        newest = int(step)
        kept: dict[str, float | None] = {
            key: number for key, word in told.items() if (number := _number(word)) is not None
        }
        if kept:
            yield LoggedRow(step=newest, values=kept)


def _printed_dict(text: str) -> dict[str, float | None]:
    """The numbers of a dict that transformers printed; empty for its summary and for what is no dict. `nan` is a number here."""
    try:
        found = ast.literal_eval(re.sub(r"(?<=: )(-?)(nan|inf)\b", r"'\1\2'", text))
    except (ValueError, SyntaxError, RecursionError):
        return {}
    if not isinstance(found, dict) or {"train_loss", "train_runtime"} <= found.keys():
        return {}
    return {str(key): number for key, value in found.items() if (number := _number(value)) is not None}


def _factory_rows(lines: list[str]) -> Iterator[LoggedRow]:
    for line in lines:
        try:
            record = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue  # a line that was cut off
        if not isinstance(record, dict) or not isinstance(record.get("current_steps"), int):
            continue
        values: dict[str, float | None] = {
            ours: number for theirs, ours in _FACTORY.items() if (number := _number(record.get(theirs))) is not None
        }
        if values:
            yield LoggedRow(step=record["current_steps"], values=values)


def _number(value: object) -> float | None:
    """The float, NaN and infinities included; None for anything that is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.inf if isinstance(value, int) and value > 0 else None
