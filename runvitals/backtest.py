"""`runvitals backtest`: what rules would have said of stored runs, before they are switched on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from runvitals.dashboard.formatter import MISSING
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.convert import alert_detail
from runvitals.diagnostics.replay import replay
from runvitals.diagnostics.types import Alert, Happening, Row, Rule, RunContext
from runvitals.diagnostics.user_rules.user_rules import UserRules, read_user_rules
from runvitals.errors import SettingsError, UnknownRun
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import RunInfo
from runvitals.stored_rows import stored_items
from runvitals.tables import MARKS, NAME_WIDTH, make_console

Change = Literal["", "new", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What would have fired on one run. fired: alerts in order, with what the rules file changes: "" where it changes nothing."""

    run: RunInfo
    rows: int
    fired: Sequence[tuple[Alert, Change]]
    not_asked: Sequence[str]


def backtest_runs(settings: Settings, names: Sequence[str], *, rules: Path | None, as_json: bool) -> None:
    """Prints what would have fired on each run. Raises UnknownRun, and SettingsError where the rules file has faults."""
    store = open_store(settings.store, create=False)
    user_rules = None if rules is None else read_rules(rules)
    console = make_console()
    found = [info for name in names for info in named_runs(store, name)]
    for info in found:
        result = backtest(store, info, user_rules)
        if as_json:
            console.file.write(json.dumps(as_plain(result), allow_nan=False) + "\n")
            continue
        console.print(_head(result))
        if result.fired:
            console.print(alerts_table(result))
        console.print()
    if found and not as_json:
        console.print(
            "Not asked: rules on silence and on the process; the store keeps no heartbeats. Those on events were.",
            style="dim",
        )


def read_rules(path: Path) -> UserRules:
    """The rules of a file. Raises SettingsError with the line of every fault: half a file is not worth a back-test."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--rules: expected a TOML file that can be read, got {path}: {error}") from error
    found = read_user_rules(text, file=str(path))
    if found.faults:
        raise SettingsError(
            "\n".join(["--rules: the file has faults; mend them and try again", *map(str, found.faults)])
        )
    return found


def named_runs(store: Store, name: str) -> list[RunInfo]:
    """The run with this id, else all of this name, oldest first. Raises UnknownRun where there is none."""
    runs = store.runs()
    found = [run for run in runs if run.id == name] or [run for run in reversed(runs) if run.name == name]
    if not found:
        raise UnknownRun(
            f"run {name}: expected the id or the name of a stored run, none has it; `runvitals runs` lists them"
        )
    return found


def backtest(store: Store, info: RunInfo, user_rules: UserRules | None) -> Backtest:
    """The run through the rules, and through ours alone where a file changes them, so that its effect can be told."""
    items = stored_items(store, info.id)
    ours = fired(items, info, default_rules())
    rules = default_rules() if user_rules is None else user_rules.rules_for(info.project)
    theirs = ours if user_rules is None else fired(items, info, rules)
    mine = {alert.id: alert for alert in ours}
    changed: list[tuple[Alert, Change]] = [(alert, "" if _same(alert, mine) else "new") for alert in theirs]
    kept = {alert.id: alert for alert in theirs}
    changed += [(alert, "gone") for alert in ours if not _same(alert, kept)]
    return Backtest(
        run=info,
        rows=sum(isinstance(item, Row) for item in items),
        fired=sorted(changed, key=lambda one: one[0].fired_s or 0.0),
        not_asked=[rule.spec.name for rule in rules if rule.spec.timed],
    )


def fired(items: Sequence[Row | Happening], info: RunInfo, rules: Sequence[Rule]) -> list[Alert]:
    """The alerts of warning or worse that people would have seen."""
    context = RunContext(run_id=info.id, trainer=info.trainer or "custom", config=info.config, started_s=info.created_s)
    alerts = replay(items, context, rules).alerts()
    return [alert for alert in alerts if alert.severity != "info" and not alert.inhibited_by]


def as_plain(result: Backtest) -> dict[str, Any]:
    """The back-test as JSON values. change: "new" where only the rules file raises it, "gone" where it no longer does."""
    return {
        "run": result.run.id,
        "name": result.run.name,
        "project": result.run.project,
        "rows": result.rows,
        "alerts": [
            {
                "rule": alert.rule,
                "severity": alert.severity,
                "state": alert.state,
                "step": alert.fired_step,
                "onset_step": alert.onset_step,
                "fired_s": alert.fired_s,
                "resolved_step": alert.resolved_step,
                "change": change,
                **alert_detail(alert),
            }
            for alert, change in result.fired
        ],
        "not_asked": list(result.not_asked),
    }


def alerts_table(result: Backtest) -> Table:
    """What would have fired, when, until when, and what the file changes."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("alert", "rule", "step", "at", "over at", "change", "what is seen"):
        table.add_column(
            heading, no_wrap=heading != "what is seen", max_width=NAME_WIDTH if heading == "alert" else None
        )
    for alert, change in result.fired:
        mark, style = MARKS[alert.severity]
        table.add_row(
            Text(f"{mark} {alert.title}", style=style),
            Text(alert.rule),
            _number(alert.fired_step),
            MISSING if alert.fired_s is None else f"{datetime.fromtimestamp(alert.fired_s):%Y-%m-%d %H:%M:%S}",
            _number(alert.resolved_step),
            change or MISSING,
            Text(alert.sentence),
        )
    return table


def _head(result: Backtest) -> Text:
    count = sum(change != "gone" for _, change in result.fired)
    said = f"{count} alerts would have fired" if count != 1 else "1 alert would have fired"
    facts = f"  {result.run.trainer or 'custom'} · {result.rows:,} rows · {result.run.id}"
    return Text.assemble(
        (result.run.name, "bold"), (facts, "dim"), f"\n{said if count else 'nothing would have fired'}"
    )


def _number(step: int | None) -> str:
    return MISSING if step is None else f"{step:,}"


def _same(alert: Alert, others: dict[str, Alert]) -> bool:
    """Whether the others raise it at the same step and as severe."""
    other = others.get(alert.id)
    return other is not None and (other.fired_step, other.severity) == (alert.fired_step, alert.severity)
