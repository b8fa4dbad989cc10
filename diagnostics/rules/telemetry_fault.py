"""`telemetry_fault` (M1): a value that rules live on is no longer logged, or steps go back without a resume."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.rules.definition import OK, Definition, RowDetector, at, bad
from runvitals.diagnostics.rules.sources import TRL
from runvitals.diagnostics.types import Cause, Happening, Number, Reading, Remedy, RuleSpec, RunContext, Sample

SPEC = RuleSpec(
    name="telemetry_fault",
    code="M1",
    title="Telemetry is incomplete",
    family="meta",
    summary="Loss, gradient norm, reward or KL was logged regularly and has been missing for 20 times its usual distance, and 40 rows, while other rows come; or the step went back though no resume was told, three times within 200 rows. Information: rules that miss their data keep what they said last.",
    main_signal="loss",
    signals=("loss", "grad_norm", "reward", "kl", "learning_rate"),
    trainers=(),
    hold=1,
    clear=1,
    causes=(
        Cause(text="The logging code changed within the run, or a callback failed"),
        Cause(text="Two processes write to one run"),
        Cause(text="An import mixed two runs"),
    ),
    remedies=(
        Remedy(text="Look at which keys the newest rows hold"),
        Remedy(text="Let rank 0 alone write", **TRL),
        Remedy(text="Give each process a run of its own", **TRL),
    ),
    false_alarms="Values that are logged at the end of an epoch only have too few points to be missed.",
    source="Prometheus absent(); rule catalogue M1",
    needs="20 rows of a value",
)

_WATCHED = ("loss", "grad_norm", "reward", "kl")
_FACTOR, _LEAST = 20, 40
_BACK, _WITHIN = 3, 200


@dataclass(slots=True)
class _Watched:
    """A watched value: the row of its last coming, how often it came, and the longest usual distance in rows."""

    last: int
    seen: int = 0
    gap: int = 1

    def come(self, row: int) -> None:
        """It came in this row."""
        if row - self.last > self.gap:
            self.gap = row - self.last
        self.last = row
        self.seen += 1


class _Detector(RowDetector):
    """When each watched value last came, the longest usual distance, and where steps went back."""

    def __init__(self) -> None:
        self._rows = 0
        self._step: int | None = None
        self._told = False
        self._back: deque[int] = deque(maxlen=_BACK)
        self._watched: dict[str, _Watched] = {}

    def happen(self, happening: Happening) -> Reading | None:
        """A resume may set steps back."""
        self._told = self._told or happening.kind == "resume"
        return None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; looks for missing values every twentieth."""
        step, signals = sample.step, sample.signals
        if step is None:
            return None
        self._rows += 1
        if self._step is not None and step < self._step:
            if not self._told:
                self._back.append(self._rows)
            self._told = False
        self._step = step
        for name in _WATCHED:
            if name in signals:
                watched = self._watched.get(name)
                if watched is None:
                    watched = self._watched[name] = _Watched(last=self._rows)
                watched.come(self._rows)
        return self._judge(step) if self._rows % 20 == 0 else None

    def _judge(self, step: int) -> Reading:
        if len(self._back) == _BACK and self._rows - self._back[0] <= _WITHIN:
            numbers = (Number(label="Steps back within 200 rows", value=float(_BACK), expected="0"),)
            return bad(
                "info",
                f"The step went back {_BACK} times within {_WITHIN} rows, {at(step)}.",
                numbers,
                since=None,
                step=step,
            )
        for name, watched in self._watched.items():
            missing = self._rows - watched.last
            if watched.seen >= 20 and missing > max(_LEAST, _FACTOR * watched.gap):
                numbers = (
                    Number(label=f"Rows without {name}", value=float(missing), expected=f"at most {watched.gap}"),
                )
                sentence = (
                    f"{name} has not been logged for {missing} rows, {at(step)}; rules that read it judge no more."
                )
                return bad("info", sentence, numbers, since=None, step=step)
        return OK


def _make(context: RunContext) -> _Detector:
    return _Detector()


RULE = Definition(SPEC, _make)
