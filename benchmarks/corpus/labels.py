"""Where a run of the corpus lies and what its label is. Needs no torch, and asks no rule."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

from plan import Planned

WORSE = 1.5
"""Where the outcome decides, a run is broken whose last loss is this many times its healthy twin's, or whose reward is as far below."""


def place(out: Path, run: Planned) -> Path:
    """Where a run's recording lies."""
    return out / run.half / f"{run.name}.json"


def label(run: Planned) -> dict[str, Any]:
    """What the recording says of the run; where the outcome decides it is unknown until `settle_labels`."""
    cause = run.cause
    told: dict[str, Any] = {
        "name": run.name,
        "kind": run.recipe,
        "source": run.setting,
        "max_steps": run.steps,
        "arguments": list(run.arguments),
        "cause": cause.name if cause else "",
        "severity": "none",
    }
    if cause is not None:
        severity = "none" if cause.is_harmless else "broken" if cause.is_sure else "unknown"
        told |= {"severity": severity, "fault": cause.fault, "control": run.control}
        told |= {"onset_step": max(1, round(0.4 * run.steps)) if cause.late else 0}
    return told


def settle_labels(out: Path, runs: list[Planned]) -> None:
    """Gives every recording the label of the plan as it is now; where the outcome decides, by the healthy twin.

    Broken is what ends much worse than the twin; the rest stays unknown. Nothing that a rule says enters here.
    """
    for run in runs:
        path, twin = place(out, run), out / run.half / f"{run.control}.json"
        if not path.exists():
            continue
        recording = json.loads(path.read_text())
        told = {**recording["meta"], **label(run)}
        if run.cause is not None and not run.cause.is_sure and twin.exists():
            told["severity"] = "broken" if is_worse(recording, json.loads(twin.read_text())) else "unknown"
        if told != recording["meta"]:
            path.write_text(json.dumps({**recording, "meta": told}))


def is_worse(recording: dict[str, Any], twin: dict[str, Any]) -> bool:
    """Whether a run ends with a much higher held-out loss (training loss where it has none), or in RL a much lower reward."""
    for key, sign in (("objective/scores", -1), ("reward", -1), ("eval_loss", 1), ("loss", 1)):
        mine, other = ending(recording, key), ending(twin, key)
        if other is None or not math.isfinite(other):
            continue
        if mine is None or not math.isfinite(mine):
            return True
        if sign * (mine - other) > (WORSE - 1) * abs(other):
            return True
        if key in ("objective/scores", "reward", "eval_loss"):
            return False
    return False


def ending(recording: dict[str, Any], key: str) -> float | None:
    """The median of a key's last tenth, at least three values; None where it was never logged."""
    values = [log["logs"][key] for log in recording["logs"] if log["logs"].get(key) is not None]
    return statistics.median(values[-max(3, len(values) // 10) :]) if values else None
