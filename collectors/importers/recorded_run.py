"""Reads a recorded run: one JSON file with `meta`, `events`, `logs` and, optionally, `steps`. `benchmarks/corpus` writes them.

    {"meta": {"name": "sft-lr-x30", "kind": "sft", "severity": "broken", "fault": "divergence", "onset_step": 80, "max_steps": 200},
     "events": [["on_train_begin", 0.0], ["exception", "exception RuntimeError: …", 0.6]],
     "logs": [{"t": 1795462594.1, "step": 2, "logs": {"loss": 4.1, "grad_norm": 2.0}}]}

Times of logs are seconds since 1970, those of such events count from the begin. Events may also be objects as the store keeps them,
{"kind": "eval", "time_s": 1795462594.1, "step": 50, "data": {}}; the kind `silence` says how long a run that hung was waited for
(data: {"seconds": 150}). A log whose step is null is a sample of the machine. `steps` holds what was measured at each step (`opt_grad_norm`:
the norm seen at the optimizer) for trainers that log none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runvitals.errors import LogFileError

Ending = Literal["finished", "exception", "killed"]
_KINDS = {"PPO": "ppo", "GRPO": "grpo", "RLOO": "rloo", "DPO": "dpo", "KTO": "kto", "Reward": "reward", "SFT": "sft"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRow:
    """What was logged at once, and when, in seconds since 1970."""

    time_s: float
    step: int | None
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event that rules need to know; see `runvitals.collectors.records.Event` for the kinds."""

    time_s: float
    step: int | None
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run as it was recorded. meta: what its maker says of it. complaint: the words of the exception that ended it, if one did.

    silent_s: how long nothing had come when it was ended for that; 0 where it was not.
    """

    path: Path
    meta: Mapping[str, Any]
    kind: str
    rows: tuple[TimedRow, ...]
    ending: Ending
    complaint: str = ""
    events: tuple[RecordedEvent, ...] = ()
    silent_s: float = 0.0


def read_recorded_run(path: Path) -> RecordedRun:
    """The run. One that has neither an end of training nor an exception among its events was killed. Raises LogFileError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        meta, events, logs = data["meta"], data.get("events", []), data["logs"]
        norms = {step["step"]: step.get("opt_grad_norm") for step in data.get("steps", ())}
        kind = str(meta["kind"]) if "kind" in meta else _kind(str(meta["trainer"]))
        rows = tuple(_row(log, norms if kind == "ppo" else {}) for log in logs)
        names = {event[0]: event for event in events if isinstance(event, list)}
        told = [_event(event) for event in events if isinstance(event, dict)]
    except OSError as error:
        raise LogFileError(f"{path}: expected a file that can be read, got: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise LogFileError(
            f"{path}: expected a recorded run (an object with meta, events and logs), got something else: {error!r}"
        ) from error
    kinds = {event.kind: event for event in told}
    ending: Ending = "finished" if "on_train_end" in names or "finish" in kinds else "killed"
    return RecordedRun(
        path=path,
        meta=meta,
        kind=kind,
        rows=rows,
        ending="exception" if "exception" in names or "exception" in kinds else ending,
        complaint=str(names["exception"][1]) if "exception" in names else "",
        events=tuple(event for event in told if event.kind != "silence"),
        silent_s=float(kinds["silence"].data.get("seconds", 0.0)) if "silence" in kinds else 0.0,
    )


def _event(event: Mapping[str, Any]) -> RecordedEvent:
    step = event.get("step")
    return RecordedEvent(
        time_s=float(event["time_s"]),
        step=None if step is None else int(step),
        kind=str(event["kind"]),
        data=dict(event.get("data") or {}),
    )


def _row(log: Mapping[str, Any], norms: Mapping[int, float | None]) -> TimedRow:
    values = {
        key: value
        for key, value in log["logs"].items()
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    }
    step = log["step"]
    if norms.get(step) is not None:
        values.setdefault("grad_norm", norms[step])
    return TimedRow(time_s=float(log["t"]), step=None if step is None else int(step), values=values)


def _kind(trainer: str) -> str:
    """The kind by the trainer's class name, its module and version cut off."""
    return next((kind for start, kind in _KINDS.items() if trainer.startswith(start)), "custom")
