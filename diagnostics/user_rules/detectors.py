"""Detectors of a user's rules: one that hands a signal's values to a judge, and two for signals that no longer come."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.history import CURVE_POINTS
from runvitals.diagnostics.rules.definition import OK, at, counted, lasting
from runvitals.diagnostics.types import Curve, Evidence, Happening, Number, Pulse, Reading, Sample, Severity
from runvitals.diagnostics.user_rules.judges import Finding, Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The series that a rule reads: a signal, or a logged key as it is. title: its name in sentences. drawn_on: whose chart shows it."""

    name: str
    is_key: bool
    title: str
    drawn_on: str

    def is_in(self, sample: Sample) -> bool:
        """Whether the row holds it, whatever its value."""
        return self.name in (sample.raw if self.is_key else sample.signals)

    def value(self, sample: Sample) -> float | None:
        """Its value in the row where that is a finite number."""
        value = (sample.raw if self.is_key else sample.signals).get(self.name)
        return value if value is not None and value - value == 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How a rule speaks. message: with fields in braces; "" takes the judge's own words."""

    watched: Watched
    severity: Severity
    message: str = ""

    def say(self, finding: Finding, step: int | None) -> str:
        """The alert's sentence."""
        title = self.watched.title
        if not self.message:
            return finding.words.format(signal=title, at=at(step))
        return self.message.format(**finding.said, signal=title, step="unknown" if step is None else f"{step:,}")


class Judged:
    """Hands finite values to the judge. NaN, infinities and None say nothing here: `non_finite` is about them."""

    def __init__(self, voice: Voice, judge: Judge) -> None:
        self._voice = voice
        self._judge = judge
        self._step: int | None = None
        self._since: int | None = None
        self._is_bad = False
        # The engine keeps the curves of signals; those of other keys are kept here.
        self._ring: deque[tuple[int, float]] | None = deque(maxlen=CURVE_POINTS) if voice.watched.is_key else None

    def happen(self, happening: Happening) -> Reading | None:
        """After a resume all is compared anew."""
        if happening.kind == "resume":
            self._judge.forget()
            self._step = None
        return None

    def pulse(self, pulse: Pulse) -> Reading | None:
        return None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row that holds the series."""
        value = self._voice.watched.value(sample)
        if value is None:
            return None
        step = sample.step
        if step is not None:
            if self._step is not None and step < self._step:
                self._judge.forget()
            self._step = step
        if self._ring is not None and self._step is not None:
            self._ring.append((self._step, value))
        found = self._judge.take(value)
        if isinstance(found, Finding):
            return self._bad(found)
        if found is not None and found.state == "ok":
            self._is_bad = False
        return found

    def _bad(self, finding: Finding) -> Reading:
        if not self._is_bad:
            self._is_bad, self._since = True, self._step
        curves: tuple[Curve, ...] = ()
        if self._ring:
            steps, values = zip(*self._ring, strict=True)
            curves = (Curve(signal=self._voice.watched.drawn_on, steps=steps, values=values),)
        return Reading(
            state="bad",
            severity=self._voice.severity,
            sentence=self._voice.say(finding, self._step),
            evidence=Evidence(numbers=finding.numbers, window=(self._since, self._step), curves=curves),
        )


class MissingRows:
    """Training rows on end that came without the series."""

    SAYS = ("missing", "limit")

    def __init__(self, voice: Voice, rows: int) -> None:
        self._voice = voice
        self._rows = rows
        self._missing = 0
        self._last: int | None = None

    def happen(self, happening: Happening) -> Reading | None:
        """A resume begins anew."""
        if happening.kind == "resume":
            self._missing = 0
        return None

    def pulse(self, pulse: Pulse) -> Reading | None:
        return None

    def update(self, sample: Sample) -> Reading | None:
        """Takes any row."""
        if self._voice.watched.is_in(sample):
            self._missing, self._last = 0, sample.step
            return OK
        if sample.step is None:
            return None
        self._missing += 1
        if self._missing <= self._rows:
            return None
        finding = _missing(self._missing, "rows", self._rows, self._last)
        return Reading(
            state="bad",
            severity=self._voice.severity,
            sentence=self._voice.say(finding, sample.step),
            evidence=Evidence(numbers=finding.numbers, window=(self._last, sample.step)),
        )


class MissingTime:
    """Seconds without the series while the run gives signs of life."""

    SAYS = ("missing", "limit")

    def __init__(self, voice: Voice, for_s: float, started_s: float) -> None:
        self._voice = voice
        self._for_s = for_s
        self._last_s = started_s
        self._last: int | None = None

    def happen(self, happening: Happening) -> Reading | None:
        """A resume begins anew."""
        if happening.kind != "resume":
            return None
        self._last_s = happening.time_s
        return OK

    def update(self, sample: Sample) -> Reading | None:
        """A row that holds the series."""
        self._last_s, self._last = max(self._last_s, sample.time_s), sample.step
        return OK

    def pulse(self, pulse: Pulse) -> Reading | None:
        """Compares the newest sign of life with the series' newest row. A run that is silent altogether is `heartbeat_lost`."""
        if pulse.ended or pulse.alive is False:
            return OK
        if self._last_s <= 0.0:
            return Reading(state="unknown", reason="needs a first row or the time of the start")
        heard_s = pulse.now_s if pulse.beat_s is None else min(pulse.beat_s, pulse.now_s)
        missing_s = heard_s - self._last_s
        if missing_s <= self._for_s:
            return OK
        finding = _missing(missing_s, "s", self._for_s, self._last)
        return Reading(
            state="bad",
            severity=self._voice.severity,
            sentence=self._voice.say(finding, self._last),
            evidence=Evidence(numbers=finding.numbers, window=(self._last, self._last)),
            onset_step=self._last,
            onset_s=self._last_s,
        )


def _missing(amount: float, unit: str, limit: float, last: int | None) -> Finding:
    came = "has not come at all" if last is None else f"last came {at(last)}"
    missing, most = (lasting(one) if unit == "s" else counted(round(one), "row") for one in (amount, limit))
    return Finding(
        said={"missing": missing, "limit": most},
        words=f"{{signal}} has been missing for {missing}; it {came}.",
        numbers=(Number(label="Missing for", value=amount, unit=unit, expected=f"at most {limit:,.0f}"),),
    )
