"""A folder of labelled logs as runs to score detectors on. `docs/scoring.md` describes the format."""

from __future__ import annotations

import csv
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runvitals.collectors.importers.printed_log import read_printed_log
from runvitals.collectors.importers.recorded_run import RecordedRun, read_recorded_run
from runvitals.collectors.importers.trainer_state import LoggedRow, read_trainer_state
from runvitals.diagnostics.scoring.types import LABELS, LabelledRun
from runvitals.diagnostics.types import Happening, Pulse, Row
from runvitals.errors import LogFileError, SettingsError

MANIFEST = "manifest.csv"
KILLED_AFTER_S = 3.0
"""How long after its last row a killed run's process is looked for and not found."""

FAMILIES = {
    "nan": "divergence",
    "spike": "divergence",
    "diverged": "divergence",
    "crash": "stall",
    "kill": "stall",
    "hang": "stall",
    "slow": "stall",
    "dpo": "preference",
    "margin": "preference",
    "grpo": "policy",
    "ppo": "policy",
}
"""The rule family that a label, or the first word of a recorded run's name, belongs to; other labels are families themselves."""


def read_labelled_runs(folder: Path) -> tuple[list[LabelledRun], list[str]]:
    """The runs with rows of a folder and of the folders in it, and a line for each log that cannot be scored and why.

    Raises SettingsError where the folder holds neither a manifest nor recorded runs.
    """
    if not folder.is_dir():
        raise SettingsError(f"--runs (or RUNVITALS_RUNS): expected a folder of labelled logs, got {folder}")
    runs: list[LabelledRun] = []
    left_out: list[str] = []
    for place in (folder, *sorted(child for child in folder.iterdir() if child.is_dir())):
        listed = place / MANIFEST
        for item in _listed(listed) if listed.is_file() else _recorded(place):
            if isinstance(item, str):
                left_out.append(item)
            elif item.rows:
                runs.append(item)
            else:
                left_out.append(f"{item.name}: no row of numbers in it")
    if not runs:
        raise SettingsError(
            f"--runs (or RUNVITALS_RUNS): expected a {MANIFEST} with logs, or recorded runs (*.json), in {folder} or the "
            f"folders in it; found none that can be scored. docs/scoring.md describes the format. {' '.join(left_out[:3])}"
        )
    return runs, left_out


def _listed(manifest: Path) -> Iterator[LabelledRun | str]:
    with manifest.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = {"file", "kind", "severity"} - set(reader.fieldnames or ())
        if missing:
            raise SettingsError(
                f"{manifest}: expected the columns file, kind and severity; it lacks {', '.join(sorted(missing))}"
            )
        for number, line in enumerate(reader, 2):
            try:
                yield _labelled(manifest, line, number)
            except LogFileError as error:
                yield str(error)


def _labelled(manifest: Path, line: Mapping[str, str], number: int) -> LabelledRun:
    severity = line["severity"]
    if severity not in LABELS:
        raise SettingsError(f"{manifest}, line {number}: expected a severity of {', '.join(LABELS)}, got {severity!r}")
    path = manifest.parent / line["file"]
    if path.suffix == ".json":
        state = read_trainer_state(path)
        rows, max_steps = state.rows, state.max_steps
    else:
        rows, max_steps = read_printed_log(path), None
    label = line.get("label") or ""
    return LabelledRun(
        name=path.name,
        source=line.get("source_repo") or manifest.parent.name,
        kind=line["kind"],
        severity=severity,
        fault=FAMILIES.get(label, label) if severity == "broken" else "",
        cause=label if severity == "broken" else "",
        onset_step=_onset(line.get("onset_step") or "", label, rows),
        max_steps=max_steps,
        items=tuple(_untimed(rows)),
    )


def _untimed(rows: Sequence[LoggedRow]) -> Iterator[Row | Happening]:
    for place, row in enumerate(rows):
        yield Row(time_s=float(place), step=row.step, values=row.values)
        if row.is_evaluation:
            yield Happening(time_s=float(place), step=row.step, kind="eval")


def _onset(said: str, label: str, rows: Sequence[LoggedRow]) -> int | None:
    """The step that the manifest says, else for NaN the first row with one, which is what the word means."""
    if said:
        return int(said)
    return _first_bad_step([(row.step, row.values) for row in rows]) if label == "nan" else None


def _first_bad_step(rows: Sequence[tuple[int, Mapping[str, float | None]]]) -> int | None:
    return next(
        (step for step, values in rows if any(v is not None and not math.isfinite(v) for v in values.values())), None
    )


def _recorded(folder: Path) -> Iterator[LabelledRun | str]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield from_recording(read_recorded_run(path), source=folder.name)
        except LogFileError as error:
            yield str(error)


def from_recording(run: RecordedRun, *, source: str) -> LabelledRun:
    """A recorded run with its label: what its meta says, else by its name, `…_healthy` being healthy.

    Its end is told to the rules on time: an exception, a process that is gone, or an orderly finish.
    """
    name = str(run.meta.get("name", run.path.stem))
    severity = run.meta.get("severity") or ("none" if name.endswith("_healthy") else "broken")
    if severity not in LABELS:
        raise LogFileError(f"{run.path}: expected a severity of {', '.join(LABELS)} in meta, got {severity!r}")
    word = name.split("_")[0].rstrip("0123456789")
    steps = [row.step for row in run.rows if row.step is not None]
    return LabelledRun(
        name=name,
        source=str(run.meta.get("source", source)),
        kind=run.kind,
        severity=severity,
        fault=str(run.meta.get("fault") or FAMILIES.get(word, word)) if severity == "broken" else "",
        cause=str(run.meta.get("cause") or ""),
        onset_step=_recorded_onset(run, word),
        max_steps=int(run.meta.get("max_steps") or max(steps, default=0)) or None,
        timed=True,
        items=(*_course(run), *_end(run)),
    )


def _course(run: RecordedRun) -> Iterator[Row | Happening | Pulse]:
    """The rows, the events and the watcher's looks at a run that hung, by time."""
    rows = [Row(time_s=row.time_s, step=row.step, values=row.values) for row in run.rows]
    events = [Happening(time_s=e.time_s, step=e.step, kind=e.kind, data=e.data) for e in run.events]
    return heapq.merge(
        rows, events, _silence(run), key=lambda item: item.now_s if isinstance(item, Pulse) else item.time_s
    )


def _recorded_onset(run: RecordedRun, word: str) -> int | None:
    said = run.meta.get("onset_step", run.meta.get("injected_at_step"))
    if said is not None:
        return int(said)
    if word == "nan":
        return _first_bad_step([(row.step, row.values) for row in run.rows if row.step is not None])
    ended_badly = run.ending != "finished" and word in ("crash", "kill")
    return run.rows[-1].step if ended_badly and run.rows else None


def _end(run: RecordedRun) -> Iterator[Happening | Pulse]:
    if not run.rows:
        return
    last = run.rows[-1]
    heard_s = max(last.time_s, *(event.time_s for event in run.events)) if run.events else last.time_s
    if run.silent_s:
        return
    if run.ending == "killed":
        yield Pulse(now_s=heard_s + KILLED_AFTER_S, beat_s=heard_s, phase="train", alive=False)
    elif run.complaint:
        kind, _, message = run.complaint.removeprefix("exception ").partition(": ")
        yield Happening(time_s=heard_s, step=last.step, kind="exception", data={"type": kind, "message": message})
    elif not run.events:
        yield Happening(time_s=heard_s, step=last.step, kind="finish", data={"status": "finished"})


def _silence(run: RecordedRun) -> Iterator[Pulse]:
    """What a watcher sees of a run that hangs, from its last step on: the process lives, beats and samples its machine, and no step comes."""
    stepped_s = [row.time_s for row in run.rows if row.step is not None] or [row.time_s for row in run.rows][:1]
    for waited_s in range(1, int(run.silent_s) + 1 if stepped_s else 1):
        now_s = stepped_s[-1] + waited_s
        yield Pulse(now_s=now_s, beat_s=now_s, phase="train", alive=True)
