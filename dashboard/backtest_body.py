"""What the Back-test page shows, as JSON: runs and rules to choose from, and what came of a back-test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runvitals.dashboard.component import plain
from runvitals.dashboard.rules_file import RulesFile
from runvitals.dashboard.rules_text import with_numbers
from runvitals.dashboard.trials import MOST_RUNS, Trial
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.limits import values_of
from runvitals.diagnostics.types import Rule
from runvitals.store.types import RunInfo

MOST_LISTED = 500
MOST_AT_FIRST = 12
_COUNTS = {"hold": "bad readings on end before it fires", "clear": "clear readings on end before it resolves"}
_MOST_ON_END = 10_000


def body(
    runs: Sequence[RunInfo],
    file: RulesFile,
    *,
    chosen: Sequence[str],
    rule: str,
    alert: str,
    trial: Trial | None,
    ahead: int,
    refused: Sequence[str],
    lost: bool = False,
) -> dict[str, Any]:
    """The page's data. chosen, rule, alert: what the address names; refused: why the newest request was not taken.
    lost: whether the address names a back-test that is not kept any more.
    """
    asked: dict[str, Any] = plain(
        {
            "runs": [_run(run) for run in runs[:MOST_LISTED]],
            "unlisted": max(0, len(runs) - MOST_LISTED),
            "most_runs": MOST_RUNS,
            "rules": [_rule(one, file) for one in sorted(file.all("").values(), key=lambda one: one.spec.title)],
            "chosen": list(chosen),
            "rule": rule if rule in file.all("") else "",
            "alert": alert,
            "file": file.text,
            "refused": list(refused),
            "trial": None if trial is None else _trial(trial, ahead),
            "lost": lost,
        }
    )
    return asked


def default_runs(runs: Sequence[RunInfo], run_id: str) -> list[str]:
    """The run and the newest others of its kind of trainer, its own project's first."""
    own = next((run for run in runs if run.id == run_id), None)
    if own is None:
        return []
    like = [run for run in runs if run.trainer == own.trainer and run.id != run_id and run.last_step is not None]
    like.sort(key=lambda run: run.project != own.project)
    return [run_id, *(run.id for run in like[: MOST_AT_FIRST - 1])]


def text_to_try(asked: Mapping[str, Any], file: RulesFile) -> tuple[str, str]:
    """The rules file to try, and the rule that it is about, "" where it is about all. asked: what the browser sent."""
    if asked.get("mode") != "rule":
        return str(asked.get("text", "")), ""
    rule = str(asked.get("rule", ""))
    numbers = {str(name): float(value) for name, value in dict(asked.get("numbers") or {}).items()}
    if not numbers:
        return file.text, rule
    return with_numbers(file.text, rule, numbers, project=str(asked.get("project", ""))), rule


def _run(run: RunInfo) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "project": run.project,
        "trainer": run.trainer,
        "status": run.status,
        "color": run.color,
        "step": run.last_step,
        "created_s": run.created_s,
    }


def _rule(rule: Rule, file: RulesFile) -> dict[str, Any]:
    spec = rule.spec
    ours = _OURS.get(spec.name)
    usual = values_of(ours) if ours is not None else {}
    now = values_of(rule)
    numbers = [
        {
            "name": one.name,
            "value": now[one.name],
            "usual": one.default,
            "least": one.least,
            "most": one.most,
            "unit": one.unit,
            "meaning": one.meaning,
        }
        for one in spec.limits
    ]
    numbers += [
        {
            "name": name,
            "value": now[name],
            "usual": usual.get(name, now[name]),
            "least": 1,
            "most": _MOST_ON_END,
            "unit": "",
            "meaning": meaning,
        }
        for name, meaning in _COUNTS.items()
    ]
    return {
        "name": spec.name,
        "title": spec.title,
        "summary": spec.summary,
        "trainers": list(spec.trainers),
        "timed": spec.timed,
        "own": ours is None,
        "off": spec.name in file.rules.general.off,
        "numbers": numbers if ours is not None else [],
    }


def _trial(trial: Trial, ahead: int) -> dict[str, Any]:
    return {
        "id": trial.id,
        "state": trial.state,
        "ahead": ahead,
        "runs": list(trial.run_ids),
        "only": trial.only,
        "rules": trial.rules,
        "at": trial.at,
        "results": trial.results,
        "text": trial.text,
        "counts": _counts(trial.results.values()),
    }


def _counts(results: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many episodes there are of each change, and how many of the gone ones somebody called a false alarm, or real."""
    found: Counter[str] = Counter()
    for result in results:
        for one in result.get("differences", ()):
            found[one["change"]] += 1
            if one["change"] == "gone" and one["did"]["answer"] in ("false_alarm", "real"):
                found[f"gone {one['did']['answer']}"] += 1
    return dict(found)


_OURS: Mapping[str, Rule] = {rule.spec.name: rule for rule in default_rules()}
