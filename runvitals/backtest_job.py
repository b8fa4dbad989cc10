"""`python -m runvitals.backtest_job`: a back-test as a process of its own, for the dashboard.

A replay is arithmetic for seconds or minutes; in the web process it would make every viewer wait. One JSON request comes on standard
input, as its first line: {runs: [ids], rules: text of a rules file, only: name of a rule or ""}. The end of standard input is the end of whoever
asked, and ends the job. Answers go to standard output, one JSON object a line:

    {"kind": "at", "run", "done", "of"}        rows read of those there are, about twice a second
    {"kind": "run", "run", "rows", "differences", "not_asked"}
    {"kind": "failed", "run", "text"}           this run could not be read; the others go on
    {"kind": "done"}

The store is only read. Stored alerts are what did fire.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runvitals.backtest_differences import difference_json, differences
from runvitals.diagnostics.replay import replay
from runvitals.diagnostics.types import Alert, Happening, Row, Rule, RunContext
from runvitals.diagnostics.user_rules.user_rules import UserRules, read_user_rules
from runvitals.errors import RunvitalsError
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import RunInfo
from runvitals.stored_rows import stored_stream
from runvitals.tethered import end_with_parent

NICENESS = 10
"""Training on the same machine goes first."""

TELL_EVERY_S = 0.5
MOST_TOLD = 500
"""Differences told of one run; a rule that fires thousands of times is judged by the first hundreds."""

Tell = Callable[[Mapping[str, Any]], None]


def run_job(
    store: Store, request: Mapping[str, Any], tell: Tell, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Replays the runs one after another and tells what comes of each."""
    rules = read_user_rules(str(request["rules"]), file="runvitals.toml")
    only = str(request.get("only", ""))
    for run_id in request["runs"]:
        try:
            tell(backtest_run(store, store.run(run_id), rules, only=only, tell=tell, clock=clock))
        except RunvitalsError as error:
            tell({"kind": "failed", "run": run_id, "text": str(error)})
    tell({"kind": "done"})


def backtest_run(
    store: Store, info: RunInfo, rules: UserRules, *, only: str, tell: Tell, clock: Callable[[], float]
) -> dict[str, Any]:
    """One run through the rules, beside its stored alerts. only: the rule to tell of; the others run too, since they may explain it."""
    tried = rules_tried(rules, info.project, only)
    total = max((told.count for told in store.keys(info.id).values()), default=0)
    counted = _Counted(stored_stream(store, info.id), info.id, total, tell, clock)
    context = RunContext(run_id=info.id, trainer=info.trainer or "custom", config=info.config, started_s=info.created_s)
    would = [alert for alert in replay(counted, context, tried).alerts() if _seen(alert, only)]
    did = [
        row
        for row in store.alerts(run_id=info.id)
        if row.severity != "info"
        and row.fired_s is not None
        and not row.detail.get("inhibited_by")
        and (not only or row.rule == only)
    ]
    asked = {rule.spec.name for rule in tried if not rule.spec.timed}
    off = {rule.spec.name for rule in rules_tried(UserRules(), info.project, "")} - {rule.spec.name for rule in tried}
    found = differences(would, did, asked=asked | off)
    return {
        "kind": "run",
        "run": info.id,
        "rows": counted.rows,
        "differences": [difference_json(one) for one in found[:MOST_TOLD]],
        "more": max(0, len(found) - MOST_TOLD),
        "not_asked": [rule.spec.name for rule in tried if rule.spec.timed],
    }


def rules_tried(rules: UserRules, project: str, only: str) -> Sequence[Rule]:
    """The rules of a project; the one that is tried is among them also where the file has it off."""
    tried = rules.rules_for(project)
    if not only or any(rule.spec.name == only for rule in tried):
        return tried
    switched_on = replace(
        rules,
        general=replace(rules.general, off=rules.general.off - {only}),
        projects={name: replace(one, off=one.off - {only}) for name, one in rules.projects.items()},
    )
    return switched_on.rules_for(project)


def _seen(alert: Alert, only: str) -> bool:
    """Whether people would have seen it: of warning or worse, and not explained by another."""
    return alert.severity != "info" and not alert.inhibited_by and (not only or alert.rule == only)


class _Counted:
    """The items of a run, and how far they were read, told now and then."""

    def __init__(
        self, items: Iterable[Row | Happening], run_id: str, total: int, tell: Tell, clock: Callable[[], float]
    ) -> None:
        self._items, self._run_id, self._total, self._tell, self._clock = items, run_id, total, tell, clock
        self.rows = 0

    def __iter__(self) -> Iterator[Row | Happening]:
        told_s = self._clock()
        for item in self._items:
            self.rows += isinstance(item, Row)
            if self.rows % 200 == 0 and self._clock() - told_s >= TELL_EVERY_S:
                told_s = self._clock()
                self._tell({"kind": "at", "run": self._run_id, "done": self.rows, "of": max(self._total, self.rows)})
            yield item


def main() -> int:
    """Reads the request, answers it; exit code 1 where the store cannot be had."""
    os.nice(NICENESS)
    request = json.loads(sys.stdin.readline())
    end_with_parent(sys.stdin.fileno())

    def tell(line: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        run_job(open_store(Settings.from_environment().store, create=False), request, tell)
    except RunvitalsError as error:
        tell({"kind": "broken", "text": str(error)})
        return 1
    except BrokenPipeError:  # whoever asked is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
