"""`runvitals diagnose`: the verdict on finished logs, printed or as JSON, and an exit code by the worst severity."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from runvitals.collectors.importers.trainer_state import FILE_NAME, TrainerState, read_trainer_state
from runvitals.diagnose_page import diagnosis_page
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.convert import alert_detail
from runvitals.diagnostics.kind import KINDS, kind_of_keys
from runvitals.diagnostics.replay import replay, split_timed
from runvitals.diagnostics.types import Alert, Happening, Row, Rule, RuleState, RunContext
from runvitals.errors import LogFileError, SettingsError
from runvitals.rules import loaded
from runvitals.tables import make_console

EXIT_CODES = {"info": 0, "warning": 1, "critical": 2}
UNREADABLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the rules say of one log. `states`: all rules; those that were not asked are unknown, with the reason."""

    run: str
    log: TrainerState
    trainer: str
    is_guess: bool
    health: str
    alerts: Sequence[Alert]
    states: Sequence[RuleState]

    @property
    def last_step(self) -> int:
        """The highest step that was logged."""
        return max(row.step for row in self.log.rows)

    @property
    def exit_code(self) -> int:
        """By the worst alert at any time of the run, resolved ones included; symptoms that a worse one explains do not count."""
        return max((EXIT_CODES[alert.severity] for alert in self.alerts if not alert.inhibited_by), default=0)


def diagnose_files(
    paths: Sequence[Path], *, as_json: bool, trainer: str | None = None, rules_file: Path | None = None
) -> int:
    """Prints the verdict on each file; the exit code. A file that cannot be read is told on stderr, and the others go on."""
    complaints = Console(stderr=True)
    codes = []
    try:
        checked_trainer(trainer)
        rules = default_rules() if rules_file is None else loaded(rules_file).rules_for("")
    except SettingsError as error:
        complaints.print(f"runvitals: {error}", markup=False, highlight=False, soft_wrap=True)
        return UNREADABLE
    console = make_console()
    for path in paths:
        try:
            diagnosis = diagnose(path, trainer=trainer, rules=rules)
        except LogFileError as error:
            complaints.print(f"runvitals: {error}", markup=False, highlight=False, soft_wrap=True)
            codes.append(UNREADABLE)
            continue
        if as_json:
            console.file.write(json.dumps(as_plain(diagnosis), allow_nan=False) + "\n")
        else:
            console.print(diagnosis_page(diagnosis), markup=False, highlight=False)
        codes.append(diagnosis.exit_code)
    return max(codes, default=0)


def checked_trainer(trainer: str | None) -> str | None:
    """The trainer where we know it; raises SettingsError else."""
    if trainer is not None and trainer not in KINDS:
        raise SettingsError(f"--trainer: expected one of {', '.join(KINDS)}, got {trainer!r}")
    return trainer


def diagnose(path: Path, *, trainer: str | None = None, rules: Sequence[Rule] | None = None) -> Diagnosis:
    """The diagnosis of a `trainer_state.json`, or of a folder that holds one. trainer: its kind, guessed from the keys where None.

    rules: to judge by; ours where None. Raises LogFileError where it cannot be read.
    """
    log = read_trainer_state(path)
    kind = trainer or kind_of_keys({key for row in log.rows for key in row.values})
    name = run_name(log.path)
    judging, timed = split_timed(default_rules() if rules is None else rules)
    engine = replay(happened(log), RunContext(run_id=name, trainer=kind, max_steps=log.max_steps), judging)
    no_times = [
        RuleState(rule=rule.spec.name, state="unknown", reason="the log holds no times, and this rule is about time")
        for rule in timed
    ]
    return Diagnosis(
        run=name,
        log=log,
        trainer=kind,
        is_guess=trainer is None,
        health=engine.health(),
        alerts=engine.alerts(),
        states=(*engine.states(), *no_times),
    )


def run_name(path: Path) -> str:
    """The name of the run's folder: of the checkpoint's parent where it lies in a checkpoint; a renamed file's own name."""
    if path.name != FILE_NAME:
        return path.stem
    folder = path.absolute().parent
    named = folder.parent if folder.name.startswith("checkpoint-") and folder.parent.name else folder
    return named.name or path.stem


def happened(log: TrainerState) -> Iterator[Row | Happening]:
    """The rows in their order, with an event after each evaluation. Times are places in the file: they keep order, nothing more."""
    for place, row in enumerate(log.rows):
        yield Row(time_s=float(place), step=row.step, values=row.values)
        if row.is_evaluation:
            yield Happening(time_s=float(place), step=row.step, kind="eval")


def as_plain(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as JSON values. `step` is where the alert fired, `onset_step` where what it is about began."""
    return {
        "run": diagnosis.run,
        "file": str(diagnosis.log.path),
        "trainer": diagnosis.trainer,
        "trainer_is_guess": diagnosis.is_guess,
        "last_step": diagnosis.last_step,
        "max_steps": diagnosis.log.max_steps,
        "rows": len(diagnosis.log.rows),
        "skipped_records": diagnosis.log.skipped,
        "health": diagnosis.health,
        "alerts": [
            {
                "rule": alert.rule,
                "severity": alert.severity,
                "state": alert.state,
                "step": alert.fired_step,
                "onset_step": alert.onset_step,
                "resolved_step": alert.resolved_step,
                **alert_detail(alert),
            }
            for alert in diagnosis.alerts
        ],
        "rules": [
            {"rule": state.rule, "state": state.state, "reason": state.reason, "error": state.error}
            for state in diagnosis.states
        ],
    }
