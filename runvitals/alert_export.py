"""`runvitals alerts --answers` and `--json`: what people said of alerts, counted by rule, and alerts for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from runvitals.dashboard.formatter import MISSING, percent
from runvitals.diagnostics.catalogue import default_rules
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.types import AlertRow
from runvitals.tables import asks_for_somebody, make_console

ANSWERS = ("real", "false_alarm", "unsure")
"""What people may answer to "Was this right?"."""


def print_answers(settings: Settings, *, as_json: bool) -> None:
    """Prints how often each answer was given to alerts of each rule: as a table, or as one JSON object `{rule: {answer: number}}`."""
    found = open_store(settings.store).answers()
    console = make_console()
    if as_json:
        console.file.write(json.dumps(found, sort_keys=True) + "\n")
    elif not found:
        console.print("Nobody has answered yet whether an alert was right; the Alerts page asks below each.")
    else:
        console.print(answers_table(found))


def answers_table(found: Mapping[str, Mapping[str, int]]) -> Table:
    """Each rule with its answers and the share that was right of those that say so; the most false alarms first."""
    titles = {rule.spec.name: rule.spec.title for rule in default_rules()}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("rule", "title", "real", "false alarms", "not sure", "right"):
        table.add_column(
            heading, no_wrap=heading == "rule", justify="left" if heading in ("rule", "title") else "right"
        )
    for rule, counts in sorted(found.items(), key=lambda one: (-one[1].get("false_alarm", 0), one[0])):
        real, wrong = counts.get("real", 0), counts.get("false_alarm", 0)
        share = percent(real / (real + wrong)) if real + wrong else MISSING
        numbers = [f"{counts.get(answer, 0):,}" for answer in ANSWERS]
        table.add_row(Text(rule), Text(titles.get(rule, MISSING)), *numbers, share)
    return table


def print_json(settings: Settings, *, everything: bool) -> None:
    """Prints the alerts as JSON, one a line: those that fire, or all."""
    store = open_store(settings.store)
    names = {run.id: run.name for run in store.runs()}
    write = make_console().file.write
    for row in store.alerts():
        if everything or asks_for_somebody(row):
            write(json.dumps(as_plain(row, names.get(row.run_id, row.run_id))) + "\n")


def as_plain(row: AlertRow, run_name: str) -> dict[str, Any]:
    """An alert as JSON values: what the rule said, and under `people` what people did. Numbers that are none are words ("NaN")."""
    detail = row.detail
    return {
        "id": row.id,
        "run": row.run_id,
        "name": run_name,
        "rule": row.rule,
        "signal": row.signal,
        "title": str(detail.get("title") or row.rule),
        "sentence": str(detail.get("sentence", "")),
        "severity": row.severity,
        "state": row.state,
        "incident": row.incident,
        "onset_step": row.onset_step,
        "onset_s": row.onset_s,
        "fired_step": row.fired_step,
        "fired_s": row.fired_s,
        "resolved_step": row.resolved_step,
        "resolved_s": row.resolved_s,
        "causes": list(detail.get("causes") or ()),
        "remedies": list(detail.get("remedies") or ()),
        "numbers": list((detail.get("evidence") or {}).get("numbers") or ()),
        "people": {
            "answer": row.feedback,
            "acknowledged_s": row.acknowledged_s,
            "acknowledged_by": row.acknowledged_by,
            "acknowledged_note": row.acknowledged_note,
            "muted_until_s": row.muted_until_s,
            "ticked": list(row.ticked),
        },
        "history": [dict(entry) for entry in row.history],
    }
