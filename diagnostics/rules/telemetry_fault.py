"""`telemetry_fault` (M1): a value that rules live on is no longer logged, or steps go back without a resume."""

from __future__ import annotations

from collections import deque

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


class _Detector(RowDetector):
    """When each watched value last came, the longest usual distance, and where steps went back."""

    def __init__(self) -> None:
        self._rows = 0
        self._step: int | None = None
        self._told = False
        self._back: deque[int] = deque(maxlen=_BACK)
        self._last: dict[str, int] = {}
        self._gap: dict[str, int] = {}
        self._seen: dict[str, int] = {}

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
                gap = self._rows - self._last.get(name, self._rows)
                if gap > self._gap.get(name, 1):
                    self._gap[name] = gap
                self._last[name] = self._rows
                self._seen[name] = self._seen.get(name, 0) + 1
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
        for name, last in self._last.items():
            missing = self._rows - last
            if self._seen[name] >= 20 and missing > max(_LEAST, _FACTOR * self._gap.get(name, 1)):
                numbers = (
                    Number(
                        label=f"Rows without {name}", value=float(missing), expected=f"at most {self._gap.get(name, 1)}"
                    ),
                )
                sentence = (
                    f"{name} has not been logged for {missing} rows, {at(step)}; rules that read it judge no more."
                )
                return bad("info", sentence, numbers, since=None, step=step)
        return OK


def _make(context: RunContext) -> _Detector:
    return _Detector()


RULE = Definition(SPEC, _make)
