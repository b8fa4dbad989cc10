"""`non_finite` (D1): NaN, Inf or None where a number must stand."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from runvitals.diagnostics.lifecycle import RANK
from runvitals.diagnostics.rules.definition import OK, STATISTICAL, Definition, RowDetector, at, short
from runvitals.diagnostics.rules.sources import OPT, PALM, SILENT_CORRUPTION
from runvitals.diagnostics.signals import canonical
from runvitals.diagnostics.types import (
    Cause,
    Curve,
    Evidence,
    Number,
    Reading,
    Remedy,
    RuleSpec,
    RunContext,
    Sample,
    Severity,
)

SPEC = RuleSpec(
    name="non_finite",
    code="D1",
    title="Values are NaN or infinite",
    family="divergence",
    summary="NaN, Inf or None in the loss, the gradient norm or a reward. A single gradient norm that recovers at once is information only.",
    main_signal="loss",
    signals=("loss", "eval_loss", "grad_norm"),
    any_key=True,
    inhibits=STATISTICAL,
    causes=(
        Cause(text="The learning rate is too high"),
        Cause(text="fp16 overflows"),
        Cause(text="One batch is bad: empty labels, a division by zero, log of zero"),
        Cause(text="The hardware computes wrongly", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(
            text="Stop, go back to the last checkpoint before the first bad step and skip 200 to 500 batches",
            detail="The same batches did not spike again from an earlier checkpoint",
            **PALM,
        ),
        Remedy(text="Train in bf16 instead of fp16", detail="bf16 has the range of fp32, so nothing overflows", **OPT),
        Remedy(text="Lower the learning rate and clip gradients at 1.0 or less", **OPT),
        Remedy(
            text="Compute the step again on another device", detail="Rules out faulty hardware", **SILENT_CORRUPTION
        ),
    ),
    false_alarms="A loss scaler skips single infinite gradients on purpose; some metrics are NaN by design (the spread of one sample).",
    source="SageMaker ExplodingTensor; logs of broken public runs",
    needs="any logged number",
)

_LOSSES = frozenset({"loss", "eval_loss", "policy_loss", "value_loss"})
_WEAK = frozenset(
    name
    for stem in (
        "reward_margin", "reward_chosen", "reward_rejected", "logps_chosen", "logps_rejected", "logits_chosen",
        "logits_rejected", "probe_margin", "reward", "rlhf_reward", "kl", "sequence_kl", "entropy", "sequence_entropy",
        "approx_kl", "policy_ratio",
    )
    for name in (stem, f"eval_{stem}")
)  # fmt: skip
_RECENT_ROWS = 200
_LEARNING_ROWS = 20
_SCALER_ROWS = 10


def _all_finite(raw: Mapping[str, float | None]) -> bool:
    """True where all values surely are numbers: one that is none spoils their sum. A sum that overflows says nothing."""
    try:
        total = sum(raw.values())  # type: ignore[arg-type]  # a None raises, and is found by whoever looks at each
    except (TypeError, OverflowError):
        return False
    return total - total == 0.0


@dataclass(slots=True)
class _Trouble:
    """The bad values of one key. rows, steps: where they were; row numbers are our own count."""

    name: str
    first_step: int | None
    in_a_row: int = 0
    total: int = 0
    rows: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_ROWS))
    steps: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_ROWS))
    value: float | None = None

    def within(self, rows: int, now: int) -> int:
        """How often it was bad in the newest `rows` rows."""
        return sum(row > now - rows for row in self.rows)


class _Detector(RowDetector):
    """Counts bad values a key; remembers nothing of good ones but that they were seen."""

    def __init__(self, *, unpaired: bool) -> None:
        """unpaired: a batch may hold no chosen, or no rejected answer, whose means are then NaN."""
        self._unpaired = unpaired
        self._rows = 0
        self._seen: set[str] = set()
        self._troubles: dict[str, _Trouble] = {}

    def update(self, sample: Sample) -> Reading | None:
        if sample.step is None:
            return None
        self._rows += 1
        raw = sample.raw
        bad = [] if _all_finite(raw) else [key for key, value in raw.items() if value is None or value - value != 0.0]
        if not bad and not self._troubles:
            if self._rows <= _LEARNING_ROWS:
                self._seen.update(raw)
            return OK
        return self._look(bad, raw, sample.step)

    def _look(self, bad: list[str], raw: Mapping[str, float | None], step: int) -> Reading | None:
        for key in bad:
            self._count(key, raw[key], step)
        forgotten = []
        for key, trouble in self._troubles.items():
            if key in raw and key not in bad:
                trouble.in_a_row = 0
            if not trouble.in_a_row and self._rows - trouble.rows[-1] > _RECENT_ROWS:
                forgotten.append(key)
        for key in forgotten:
            del self._troubles[key]
        self._seen.update(key for key in raw if key not in bad)
        worst = self._worst()
        if worst is not None:
            return self._bad(*worst, step)
        # A key that was bad and is not in this row has not recovered: the row says nothing.
        still = any(trouble.in_a_row for trouble in self._troubles.values() if self._severity(trouble))
        return None if still else OK

    def _count(self, key: str, value: float | None, step: int) -> None:
        name = canonical(key)
        if value is None and name not in _WEAK and name not in _LOSSES:
            return
        trouble = self._troubles.get(key)
        if trouble is None:
            trouble = self._troubles[key] = _Trouble(name=name or key, first_step=step)
        trouble.in_a_row += 1
        trouble.total += 1
        trouble.rows.append(self._rows)
        trouble.steps.append(step)
        trouble.value = value

    def _worst(self) -> tuple[Severity, _Trouble] | None:
        """The worst trouble of this row; None where this row is fine."""
        found: tuple[Severity, _Trouble] | None = None
        for trouble in self._troubles.values():
            if trouble.rows[-1] != self._rows:
                continue
            severity = self._severity(trouble)
            if severity is not None and (found is None or RANK[severity] > RANK[found[0]]):
                found = (severity, trouble)
        return found

    def _severity(self, trouble: _Trouble) -> Severity | None:
        if trouble.name in _LOSSES:
            return "critical" if trouble.in_a_row >= 2 or trouble.total >= 3 else "warning"
        if trouble.name == "grad_norm":
            return self._severity_of_norm(trouble)
        if trouble.name in _WEAK:
            if trouble.in_a_row >= 10:
                return "critical"
            if self._unpaired:
                return "info"
            return "warning" if trouble.in_a_row >= 3 or trouble.within(50, self._rows) >= 3 else "info"
        # A key that we do not know and that was never finite is NaN by design.
        return "info" if trouble.in_a_row >= 3 and trouble.name in self._seen else None

    def _severity_of_norm(self, trouble: _Trouble) -> Severity:
        """A loss scaler that finds its scale gives infinite norms in the first rows, and now and then later."""
        if self._rows <= _SCALER_ROWS:
            return "critical" if trouble.in_a_row >= 8 else "info"
        if trouble.in_a_row >= 3:
            return "critical"
        later = min(_RECENT_ROWS, self._rows - _SCALER_ROWS)
        return "warning" if trouble.in_a_row == 2 or trouble.within(later, self._rows) > 2 else "info"

    def _bad(self, severity: Severity, trouble: _Trouble, step: int) -> Reading:
        value = "None" if trouble.value is None else short(trouble.value)
        since = at(trouble.first_step)
        times = "once" if trouble.total == 1 else f"{trouble.total:,} times since {since.removeprefix('at ')}"
        numbers = tuple(
            Number(label=f"Bad values of {other.name}", value=float(other.total), unit="rows", expected="none")
            for other in sorted(self._troubles.values(), key=lambda other: -other.total)[:6]
        )
        curve = Curve(
            signal=trouble.name, steps=tuple(trouble.steps), values=tuple(float("nan") for _ in trouble.steps)
        )
        return Reading(
            state="bad",
            severity=severity,
            sentence=f"{trouble.name} is {value} {at(step)}, {times}.",
            evidence=Evidence(numbers=numbers, window=(trouble.first_step, step), curves=(curve,)),
        )


def _make(context: RunContext) -> _Detector:
    return _Detector(unpaired=context.trainer == "kto")


RULE = Definition(SPEC, _make)
