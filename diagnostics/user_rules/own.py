"""A rule of the user's own: `[own.<name>]` of the file, as a rule like ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import cast

from runvitals.diagnostics.kind import KINDS
from runvitals.diagnostics.rules.definition import Definition, counted, lasting, short
from runvitals.diagnostics.signals import SIGNALS, canonical
from runvitals.diagnostics.types import SEVERITIES, Cause, Detector, Remedy, Rule, RuleSpec, RunContext, Severity
from runvitals.diagnostics.user_rules.detectors import Judged, MissingRows, MissingTime, Voice, Watched
from runvitals.diagnostics.user_rules.judges import Change, Lines, Shift, Threshold, Trend, ZScore
from runvitals.diagnostics.user_rules.section import Section, nearest

FAMILY = "own"

MOST_ROWS = 1000
"""The longest window: what a rule remembers is bounded by it."""

MOST_ON_END = 10_000

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRule:
    """A rule and the projects that it is for, empty for all."""

    rule: Rule
    projects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What a kind of rule measures: how its detector is made, what its message may name, and the same in words."""

    make: Callable[[Voice, RunContext], Detector]
    says: tuple[str, ...]
    words: str
    needs: str
    timed: bool = False
    every_row: bool = False


def read_own(name: str, section: Section, taken: set[str]) -> OwnRule | None:
    """The rule that a table describes; None where something in it is wrong, which the section then complains of.

    taken: names that rules have already.
    """
    before = len(section.complaints)
    if not _NAME.fullmatch(name) or name in taken:
        why = "is the name of one of our rules" if name in taken else "has other characters"
        section.complain(
            "", f'expected a name of small letters, digits and _ that no rule has, got "{name}", which {why}'
        )
    watched = _watched(section)
    kind = section.choice("kind", tuple(_KINDS))
    severity = cast(Severity, section.choice("severity", SEVERITIES, "warning"))
    measured = _KINDS[kind](section) if kind else None
    message = section.text("message")
    if measured is not None and message:
        _check_message(section, message, (*measured.says, "signal", "step"))
    hold = section.whole("hold", 1, least=1, most=MOST_ON_END)
    clear = section.whole("clear", 1 if kind == "absence" else 20, least=1, most=MOST_ON_END)
    title = section.text("title", name.replace("_", " ").capitalize())
    trainers, projects = section.texts("trainers", KINDS), section.texts("projects")
    causes, remedies = section.texts("causes"), section.texts("remedies")
    if kind:
        section.end(of=f"a rule of kind {kind}")
    if len(section.complaints) > before or measured is None or watched is None:
        return None
    reads = () if measured.every_row else (watched.name,)
    spec = RuleSpec(
        name=name,
        code=kind,
        title=title,
        family=FAMILY,
        summary=measured.words.format(signal=watched.name) + ".",
        main_signal=watched.drawn_on,
        signals=() if watched.is_key else reads,
        keys=reads if watched.is_key else (),
        any_key=measured.every_row,
        timed=measured.timed,
        trainers=trainers,
        hold=hold,
        clear=clear,
        causes=tuple(Cause(text=text) for text in causes),
        remedies=tuple(Remedy(text=text) for text in remedies),
        source="your rules file",
        needs=f"{watched.name}{measured.needs}",
    )
    voice = Voice(watched=watched, severity=severity, message=message)
    make = measured.make
    return OwnRule(rule=Definition(spec, lambda context: make(voice, context)), projects=projects)


def _watched(section: Section) -> Watched | None:
    signal, key = section.text("signal"), section.text("key")
    if bool(signal) == bool(key):
        if "signal" not in section.values or "key" not in section.values:
            if not {"signal", "key"} & section.values.keys():
                section.complain(
                    "", 'expected signal = "…" (a name of docs/signals.md) or key = "…" (as logged); neither is there'
                )
            return None
        section.complain("key", "expected either signal or key, got both; take one out")
        return None
    if key:
        return Watched(name=key, is_key=True, title=key, drawn_on=canonical(key) or key)
    if signal not in SIGNALS:
        hint = nearest(signal, SIGNALS)
        section.complain(
            "signal",
            f'expected a signal of docs/signals.md, got "{signal}"; '
            + (hint or f'a key as logged goes under key = "{signal}"'),
        )
        return None
    return Watched(name=signal, is_key=False, title=SIGNALS[signal].title, drawn_on=signal)


def _check_message(section: Section, message: str, fields: tuple[str, ...]) -> None:
    may = ", ".join(f"{{{name}}}" for name in fields)
    try:
        parts = list(Formatter().parse(message))
    except ValueError as error:
        section.complain(
            "message", f"expected fields like {{step}}, got braces that do not match ({error}); write {{{{ for a brace"
        )
        return
    for _, name, spec, conversion in parts:
        if name is not None and (name not in fields or spec or conversion):
            section.complain("message", f"expected only the fields {may}, got {_field(name, spec, conversion)}")


def _field(name: str, spec: str | None, conversion: str | None) -> str:
    return "{" + name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "") + "}"


def _lines(section: Section, *, what: str) -> Lines | None:
    above, below = section.number("above"), section.number("below")
    if above is None and below is None:
        if not {"above", "below"} & section.values.keys():
            section.complain("", f"expected above = {what}, below = {what}, or both; neither is there")
        return None
    if above is not None and below is not None and below >= above:
        section.complain("below", f"expected a line under above ({above:g}), got {below:g}; change either")
        return None
    return Lines(above=above, below=below)


def _threshold(section: Section) -> _Measured | None:
    window = section.whole("window", 1, least=1, most=MOST_ROWS)
    lines = _lines(section, what="a number")
    if lines is None:
        return None
    of = "{signal}" if window == 1 else f"Median of the last {window} rows of {{signal}}"
    return _Measured(
        make=lambda voice, _: Judged(voice, Threshold(lines, window)),
        says=Threshold.SAYS,
        words=f"{of} {_beyond(lines)}",
        needs=f", {counted(window, 'point')}",
    )


def _zscore(section: Section) -> _Measured | None:
    window = section.whole("window", 64, least=10, most=MOST_ROWS)
    above, below = section.number("above", least=1.0, most=1e6), section.number("below", least=1.0, most=1e6)
    if above is None and below is None:
        if not {"above", "below"} & section.values.keys():
            section.complain("", "expected above = 6, below = 6 (times the noise), or both; neither is there")
        return None
    lines = Lines(above=above, below=None if below is None else -below)
    far = " or ".join(
        f"{short(value)} {side}" for value, side in ((above, "above"), (below, "below")) if value is not None
    )
    return _Measured(
        make=lambda voice, _: Judged(voice, ZScore(lines, window)),
        says=ZScore.SAYS,
        words=f"{{signal}} is more than {far} the median of the last {window} rows, in units of their noise",
        needs=f", {min(20, window)} points",
    )


def _shift(section: Section) -> Shift | None:
    names = ("rise", "fall", "rise_percent", "fall_percent")
    rise, fall, rise_percent, fall_percent = (section.number(name, least=0.0) for name in names)
    if not set(names) & section.values.keys():
        section.complain("", f"expected at least one of {', '.join(names)}; none is there")
    if rise is None and fall is None and rise_percent is None and fall_percent is None:
        return None
    return Shift(
        plain=Lines(above=rise, below=None if fall is None else -fall),
        percent=Lines(above=rise_percent, below=None if fall_percent is None else -fall_percent),
    )


def _change(section: Section) -> _Measured | None:
    window = section.whole("window", 10, least=1, most=MOST_ROWS)
    against = section.whole("against", 50, least=1, most=MOST_ROWS)
    shift = _shift(section)
    if shift is None:
        return None
    return _Measured(
        make=lambda voice, _: Judged(voice, Change(shift, window, against)),
        says=Change.SAYS,
        words=f"Median of the last {counted(window, 'row')} of {{signal}} {_away(shift)} that of the {counted(against, 'row')} before",
        needs=f", {window + against} points",
    )


def _trend(section: Section) -> _Measured | None:
    window = section.whole("window", 100, least=10, most=MOST_ROWS)
    shift = _shift(section)
    if shift is None:
        return None
    return _Measured(
        make=lambda voice, _: Judged(voice, Trend(shift, window)),
        says=Trend.SAYS,
        words=f"A line through the last {window} rows of {{signal}} ends {_away(shift)} where it begins",
        needs=f", {window} points",
    )


def _absence(section: Section) -> _Measured | None:
    for_s = section.number("for_s", least=1.0, most=604_800.0)
    rows = section.whole("rows", 0, least=1, most=1_000_000)
    if len({"for_s", "rows"} & section.values.keys()) != 1:
        section.complain(
            "rows", "expected either for_s (seconds) or rows, one of the two; write for_s = 600 or rows = 50"
        )
        return None
    if for_s is not None:
        return _Measured(
            make=lambda voice, context: MissingTime(voice, for_s, context.started_s),
            says=MissingTime.SAYS,
            words=f"{{signal}} has not come for {lasting(for_s)}, though the run gives signs of life",
            needs=", and a watcher",
            timed=True,
        )
    if not rows:
        return None
    return _Measured(
        make=lambda voice, _: MissingRows(voice, rows),
        says=MissingRows.SAYS,
        words=f"More than {counted(rows, 'row')} on end without {{signal}}",
        needs=" or other rows with a step",
        every_row=True,
    )


def _beyond(lines: Lines) -> str:
    words = [
        f"{side} {short(line)}" for side, line in (("above", lines.above), ("below", lines.below)) if line is not None
    ]
    return " or ".join(words)


def _away(shift: Shift) -> str:
    """How far from where it was, in words."""
    parts = [
        f"{short(abs(line))}{unit} {side}"
        for lines, unit in ((shift.plain, ""), (shift.percent, " %"))
        for line, side in ((lines.above, "above"), (lines.below, "below"))
        if line is not None
    ]
    return "more than " + " or ".join(parts)


_KINDS: Mapping[str, Callable[[Section], _Measured | None]] = {
    "threshold": _threshold,
    "change": _change,
    "zscore": _zscore,
    "trend": _trend,
    "absence": _absence,
}

KIND_NAMES = tuple(_KINDS)
