"""Real labelled logs as rows: what others published and what was made on purpose. The folder comes from RUNVITALS_RUNS."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runvitals.diagnostics.types import Row

_KINDS = {"SFTTrainer": "sft", "DPOTrainer": "dpo", "GRPOTrainer": "grpo", "PPOTrainer": "ppo"}
_LLMC = re.compile(r"step\s+(\d+)/(\d+) \| loss\s+(\S+) .*?\| norm\s+(\S+) .*?\| lr (\S+)")
_MODDED = re.compile(r"s:(\d+) trl:(\S+) lr:(\S+) norm:(\S+)")
_DICT = re.compile(r"(\{'.*'epoch': [^}]*\})")
_SUMMARY = ("train_runtime", "train_loss", "total_flos")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRun:
    """One run. severity: none, broken, benign-anomaly, flat or unknown; what its rules must answer to."""

    name: str
    kind: str
    severity: str
    max_steps: int | None
    rows: tuple[Row, ...]
    events: tuple[tuple[str, float], ...] = field(default=())


def made_runs(folder: Path) -> list[RealRun]:
    """The tiny real runs, healthy and broken on purpose."""
    return [_made(path) for path in sorted((folder / "made").glob("*.json"))]


def public_runs(folder: Path) -> list[RealRun]:
    """The published runs that have rows, with their label."""
    with (folder / "public" / "manifest.csv").open() as manifest:
        lines = list(csv.DictReader(manifest))
    runs = [_public(folder / "public" / line["file"], line) for line in lines]
    return [run for run in runs if run.rows]


def _made(path: Path) -> RealRun:
    data = json.loads(path.read_text())
    kind = next(name for start, name in _KINDS.items() if data["meta"]["trainer"].startswith(start))
    rows = [Row(time_s=row["t"], step=row["step"], values=row["logs"]) for row in data["logs"]]
    if kind == "ppo":
        # PPO logs no gradient norm; the callback adds the one that it saw at the optimizer, as it was measured here.
        norms = {step["step"]: step["opt_grad_norm"] for step in data["steps"]}
        rows = [Row(time_s=r.time_s, step=r.step, values={**r.values, "grad_norm": norms.get(r.step)}) for r in rows]
    return RealRun(
        name=path.stem,
        kind=kind,
        severity="none" if path.stem.endswith("_healthy") else "broken",
        max_steps=max(row.step or 0 for row in rows),
        rows=tuple(rows),
        events=tuple((event[0], float(event[-1])) for event in data["events"]),
    )


def _public(path: Path, line: Mapping[str, str]) -> RealRun:
    if path.name.endswith(".json"):
        state = json.loads(path.read_text())
        records, max_steps = state["log_history"], state.get("max_steps")
    elif path.name.endswith(".jsonl"):
        records = [_factory(json.loads(text)) for text in path.read_text().splitlines() if text.strip()]
        max_steps = None
    else:
        records, max_steps = list(_lines(path.read_text(errors="replace"))), None
    return RealRun(
        name=path.name,
        kind=line["kind"],
        severity=line["severity"],
        max_steps=max_steps,
        rows=tuple(_rows(records)),
    )


def _factory(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": record.get("current_steps"), "loss": record.get("loss"), "learning_rate": record.get("lr")}


def _lines(text: str) -> Iterator[dict[str, Any]]:
    """Records of a console log: llm.c, modded-nanogpt, or dicts that the transformers Trainer printed."""
    printed = 0
    for line in text.splitlines():
        if found := _LLMC.search(line):
            step, _, loss, norm, rate = found.groups()
            yield {"step": int(step), "loss": float(loss), "grad_norm": float(norm), "learning_rate": float(rate)}
        elif found := _MODDED.search(line):
            step, loss, rate, norm = found.groups()
            yield {"step": int(step), "loss": float(loss), "grad_norm": float(norm), "learning_rate": float(rate)}
        elif found := _DICT.search(line):
            printed += 1
            yield {"step": printed, **ast.literal_eval(found[1].replace("nan", "None"))}


def _rows(records: list[dict[str, Any]]) -> Iterator[Row]:
    """Rows with numbers only; keys that a record holds as null in a file that never logs them are left out."""
    for place, record in enumerate(records):
        if any(key in record for key in _SUMMARY):
            continue
        values = {
            key: float(value)
            for key, value in record.items()
            if key != "step" and isinstance(value, int | float) and not isinstance(value, bool)
        }
        if values:
            yield Row(time_s=1000.0 + place, step=int(record.get("step") or place), values=values)
