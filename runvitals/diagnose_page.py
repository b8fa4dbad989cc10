"""A diagnosis as a page for the terminal. Everything that comes from the file is plain text: nothing in it is markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from runvitals.diagnostics.rules.definition import counted
from runvitals.diagnostics.types import Alert, Number
from runvitals.tables import MARKS

if TYPE_CHECKING:
    from runvitals.diagnose import Diagnosis

_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if code != 10}
"""Control characters, which could move the cursor or recolour the screen, are dropped."""


def diagnosis_page(diagnosis: Diagnosis) -> Group:
    """Head, verdict, alerts in the order of their firing, and what was not judged."""
    lines: list[Text | Padding] = [_head(diagnosis), _verdict(diagnosis), Text()]
    for alert in diagnosis.alerts:
        lines += [*_alert(alert), Text()]
    lines += [Text(line, style="dim") for line in _not_judged(diagnosis)]
    return Group(*lines, Text())


def _head(diagnosis: Diagnosis) -> Text:
    log = diagnosis.log
    planned = f" of {log.max_steps:,}" if log.max_steps else ""
    guess = " (by its keys; --trainer says otherwise)" if diagnosis.is_guess else ""
    facts = f"   {diagnosis.trainer}{guess} · step {diagnosis.last_step:,}{planned} · {counted(len(log.rows), 'row')}"
    skipped = f" · {counted(log.skipped, 'record')} without a step or a number left out" if log.skipped else ""
    return Text.assemble((_clean(diagnosis.run), "bold"), (facts + skipped, "dim"))


def _verdict(diagnosis: Diagnosis) -> Text:
    mark, style = MARKS[diagnosis.health]
    firing = [a for a in diagnosis.alerts if a.state == "firing" and a.severity != "info" and not a.inhibited_by]
    over = sum(1 for a in diagnosis.alerts if a.state == "resolved" and a.severity != "info")
    if diagnosis.health in ("warning", "critical"):
        said = "at its end: " + ", ".join(dict.fromkeys(a.title for a in firing))
    elif diagnosis.health == "healthy":
        judged = sum(1 for state in diagnosis.states if state.state != "unknown")
        said = (
            f"at its end: {judged} rules judge it, and none of them sees a fault. Healthy is not the same as correct."
        )
    else:
        said = "too little was logged, or too short a run, for the rules that matter; this is not the same as healthy"
    more = f" Earlier: {over} that passed." if over else ""
    return Text.assemble((f"{mark} {diagnosis.health}", style), f"  {_clean(said)}{more}")


def _alert(alert: Alert) -> Iterator[Text | Padding]:
    mark, style = MARKS[alert.severity]
    where = f"  fired at step {_step(alert.fired_step)}, began at {_step(alert.onset_step)}"
    if alert.state == "resolved":
        where += f", over at {_step(alert.resolved_step)}"
    hidden = ", explained by a worse one" if alert.inhibited_by else ""
    yield Text.assemble(
        (f"{mark} {alert.severity}  ", style),
        (alert.title, "bold"),
        (f"  {alert.rule}", "dim"),
        (where + hidden, "dim"),
    )
    yield _inside(Text(_clean(alert.sentence)))
    for number in alert.evidence.numbers if alert.evidence else ():
        yield _inside(Text.assemble(("evidence  ", "dim"), _clean(_number(number))))
    for cause in alert.causes:
        because = f": {cause.because}" if cause.because else ""
        yield _inside(Text.assemble((f"{cause.likelihood:<9} ", "dim"), _clean(f"{cause.text}{because}")))
    for place, remedy in enumerate(alert.remedies, 1):
        detail = f". {remedy.detail}" if remedy.detail else ""
        source = f" [{remedy.source}]" if remedy.source else ""
        yield _inside(Text.assemble((f"try {place:<5} ", "dim"), _clean(remedy.text + detail), (_clean(source), "dim")))


def _not_judged(diagnosis: Diagnosis) -> Iterator[str]:
    """Rules that did not judge this run and why, so that silence is not taken for health."""
    unknown = [state for state in diagnosis.states if state.state == "unknown"]
    for state in unknown:
        if state.error:
            yield f"broken         {state.rule}: {_clean(state.error)}"
    reasons: dict[str, list[str]] = {}
    for state in unknown:
        if not state.error and not state.reason.startswith("for "):
            reasons.setdefault(state.reason or "needs data", []).append(state.rule)
    for reason, rules in reasons.items():
        yield f"not evaluated  {', '.join(rules)}: {_clean(reason)}"


def _number(number: Number) -> str:
    value = (
        f"{int(number.value):,}"
        if number.value == number.value // 1 and abs(number.value) < 1e15
        else f"{number.value:.4g}"
    )
    unit = f" {number.unit}" if number.unit else ""
    expected = f" (expected {number.expected})" if number.expected else ""
    return f"{number.label}: {value}{unit}{expected}"


def _step(step: int | None) -> str:
    return "an unknown step" if step is None else f"{step:,}"


def _inside(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2), expand=False)


def _clean(text: str) -> str:
    return text.translate(_CONTROL)
