"""What a report tells of the run besides incidents and curves: facts, what could not be judged, its course, devices, notes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runvitals.dashboard.formatter import age, count, number
from runvitals.dashboard.report.document import (
    Block,
    Bold,
    Code,
    Facts,
    Heading,
    Items,
    Mark,
    Paragraph,
    Piece,
    Pieces,
    Preformatted,
    Quiet,
    Table,
)
from runvitals.dashboard.report.gather import Gathered
from runvitals.dashboard.report.moment import moment
from runvitals.dashboard.run_devices import device_sections
from runvitals.dashboard.run_facts import facts
from runvitals.dashboard.tokens import STATUS_WORDS
from runvitals.store.types import LIVE, EventRow

MOST_EVENTS = 40
"""Events of one kind that are told one by one."""


def facts_part(found: Gathered) -> list[Block]:
    """The strip of facts as on the run's page, and when it all was."""
    run = found.run
    strip = facts(run, found.series, health=found.health, incidents=found.all_incidents, now_s=found.now_s)
    rows: list[tuple[str, Pieces, str]] = []
    for fact in strip:
        value = str(fact.get("text", ""))
        if fact["id"] == "health":
            rows.append((fact["label"], [Mark(found.health, value)], ""))
        elif fact["id"] == "status":
            word = STATUS_WORDS.get(run.status, run.status)
            rows.append((fact["label"], [word], str(fact.get("small", "")).removeprefix("· ")))
        elif fact["id"] == "last":
            since = f"{age(found.now_s - fact['since_s'])} ago" if "since_s" in fact else value
            rows.append((fact["label"], [since], str(fact.get("small", ""))))
        else:
            rows.append((str(fact["label"]), [value], str(fact.get("small", ""))))
    ended = f" · ended {moment(run.ended_s)}" if run.ended_s is not None else ""
    return [Facts(rows), Paragraph([Quiet(f"Began {moment(run.created_s)}{ended}")])]


def judged_part(found: Gathered) -> list[Block]:
    """Whether silence means health: how many rules judged the run, and which could not, with what they miss."""
    rules = found.run.rules
    if not rules:
        return [Paragraph(["No rule has judged this run yet: that no alert has fired says nothing."])]
    apart = [rule for rule in rules if str(rule.get("reason", "")).endswith(f"not for {found.run.trainer}")]
    asked = [rule for rule in rules if rule not in apart]
    broken = [rule for rule in asked if rule.get("error")]
    unsure = [rule for rule in asked if rule.get("state") == "unknown" and not rule.get("error")]
    told = len(asked) - len(broken) - len(unsure)
    others = f" {count(len(apart))} more {'is' if len(apart) == 1 else 'are'} for other trainers." if apart else ""
    sentence = (
        f"{count(told)} of {count(len(asked))} rules have judged the run; {count(len(unsure))} could not.{others}"
    )
    blocks: list[Block] = [Paragraph([sentence])]
    if live_but_unwatched(found):
        blocks.append(Paragraph(["Nobody watches this run, so its health is unknown."]))
    if broken:
        rows: list[Pieces] = [[Code(str(rule.get("rule"))), f" failed: {rule.get('error')}"] for rule in broken]
        blocks.append(Items(rows))
    if unsure:
        cells: list[list[Pieces]] = [
            [[Code(str(rule.get("rule")))], [str(rule.get("reason") or "has not been asked")]] for rule in unsure
        ]
        blocks.append(Table(("Rule that could not judge", "Because"), cells))
    return blocks


def live_but_unwatched(found: Gathered) -> bool:
    """True for a live run whose health nobody works out now."""
    return found.run.status in LIVE and found.health == "unknown" and found.run.health != "unknown"


def course_part(found: Gathered) -> list[Block]:
    """Resumes and what they superseded, exceptions, how the run ended, and what runvitals itself could not do."""
    events = {kind: [event for event in found.events if event.kind == kind] for kind in {e.kind for e in found.events}}
    rows: list[Pieces] = []
    for event in events.get("resume", [])[:MOST_EVENTS]:
        came = event.data.get("from_step")
        from_step = f" from step {count(came)}" if isinstance(came, int) else ""
        at = f" at step {count(event.step)}" if event.step is not None else ""
        rows.append([Bold("Resumed"), f"{from_step}{at}, {moment(event.time_s)}"])
    if found.older:
        lost = [one for one in found.older.values() if one.steps.size]
        if lost:
            first, last = min(int(one.steps.min()) for one in lost), max(int(one.steps.max()) for one in lost)
            many = count(len(lost))
            rows.append([Bold("Superseded"), f" steps {count(first)} to {count(last)} of {many} series, drawn in grey"])
    for kind, words in (("signal", "Signal"), ("alert", "Said by the script"), ("finish", "Ended")):
        rows += [[Bold(words), f" {_data(event)}{_when(event)}"] for event in events.get(kind, [])[:MOST_EVENTS]]
    for kind, words in (("absent", "Not there"), ("fault", "Recorder's own fault")):
        rows += [[Bold(words), f" {_data(event)}"] for event in events.get(kind, [])[:MOST_EVENTS]]
    rows += [
        [Bold(words), f" {count(len(events[kind]))}, the last at step {count(events[kind][-1].step)}"]
        for kind, words in (("checkpoint", "Checkpoints"), ("eval", "Evaluations"))
        if events.get(kind)
    ]
    blocks: list[Block] = [Items(rows)] if rows else []
    for event in events.get("exception", [])[:3]:
        blocks.append(
            Paragraph(
                [Bold(str(event.data.get("type", "Exception"))), f" {event.data.get('message', '')}{_when(event)}"]
            )
        )
        if event.data.get("traceback"):
            blocks.append(Preformatted(str(event.data["traceback"])))
    return [Heading(2, ["Course of the run"]), *blocks] if blocks else []


def _data(event: EventRow) -> str:
    return ", ".join(f"{name} {value}" for name, value in event.data.items() if value not in (None, ""))


def _when(event: EventRow) -> str:
    at = f", step {count(event.step)}" if event.step is not None else ""
    return f"{at}, {moment(event.time_s)}"


def devices_part(found: Gathered) -> list[Block]:
    """GPUs and host: lowest, mean and highest of what was sampled over the whole run."""
    rows: list[Sequence[Pieces]] = []
    for section in device_sections(found.run, found.keys):
        for key in section.keys:
            envelope = found.devices.get(key)
            if envelope is None or not envelope.count.any():
                continue
            finite = np.isfinite(envelope.mean)
            if not finite.any():
                continue
            weights = (envelope.count - envelope.nonfinite)[finite]
            mean = float(np.average(envelope.mean[finite], weights=np.maximum(weights, 1)))
            low, high = float(np.nanmin(envelope.low)), float(np.nanmax(envelope.high))
            rows.append([[Code(key)], [number(low)], [number(mean)], [number(high)], [number(found.keys[key].value)]])
    if not rows:
        return []
    head = ("Sampled", "Lowest", "Mean", "Highest", "Last")
    return [Heading(2, ["Devices and host"]), Table(head, rows, numeric=frozenset({1, 2, 3, 4}))]


def notes_part(found: Gathered) -> list[Block]:
    """People's notes, oldest first."""
    if not found.notes:
        return []
    rows: list[Pieces] = []
    for note in found.notes:
        at: Piece = Quiet(f"{moment(note.time_s)}{f', step {count(note.step)}' if note.step is not None else ''}: ")
        rows.append([at, note.text])
    return [Heading(2, ["Notes"]), Items(rows)]
