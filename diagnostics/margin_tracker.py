"""What is known of a margin so far: the settings of its run, its course in bounded memory, and what a verdict on it looks like."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from runvitals.diagnostics.margin_history import MarginHistory, MarginPoint
from runvitals.diagnostics.types import Number, Severity

MarginState = Literal[
    "start",
    "rising",
    "levelled_off",
    "too_small",
    "fluctuating",
    "stagnant",
    "inverted",
    "saturated",
    "displaced",
    "falling",
]

NEEDED_POINTS = 20
"""Fewest logged margins before any judgement: runs of 5 to 30 rows are common and say little."""

DEFAULT_BETA = 0.1
"""TRL's default for DPO, KTO, ORPO and our probe. A margin acts on a sigmoid loss as it is, so 0.1 times it is small under any beta."""

OPTIMISES_MARGIN = frozenset({"dpo", "kto", "orpo", "reward", "custom"})
"""Trainers that bring the margin up. For all others it is measured by the probe, and a flat one is no fault."""

_SCALE_FREE_LOSSES = frozenset({"ipo", "hinge", "sppo_hard", "aot", "aot_unpaired", "aot_pair"})
_HELD_OUT_KEPT = 64
_FIRST_LOGPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings:
    """What must be known of a run to judge its margin.

    other_scale: the loss does not put the margin through a sigmoid (IPO, hinge), so that no size of it means anything by itself.
    pairs: pairs behind one logged training point, probe_pairs: behind each reading of the probe, which are always the same ones; if known.
    """

    trainer: str = "custom"
    beta: float | None = None
    other_scale: bool = False
    pairs: float | None = None
    probe_pairs: float | None = None
    max_steps: int | None = None

    @property
    def optimises(self) -> bool:
        """True where training itself brings the margin up."""
        return self.trainer in OPTIMISES_MARGIN

    @property
    def reference_free(self) -> bool:
        """True where the margin compares the policy with nothing, so that it may well start below 0."""
        return self.trainer == "orpo"

    @property
    def smallest(self) -> float:
        """A margin below it tells nothing apart: 0.1 nat times beta, TRL's default of 0.1 where beta is unknown."""
        return 0.1 * self._scale

    @property
    def negligible(self) -> float:
        """A margin of this size has not moved, however often chosen wins: 0.02 nat times beta."""
        return 0.02 * self._scale

    @property
    def material(self) -> float:
        """A held-out margin below minus this is more than noise: 0.5 nat times beta."""
        return 0.5 * self._scale

    @property
    def _scale(self) -> float:
        return 0.0 if self.other_scale else self.beta or DEFAULT_BETA

    @classmethod
    def of_run(cls, trainer: str, config: Mapping[str, Any], max_steps: int | None) -> MarginSettings:
        """Settings as far as a run's config (TRL's argument names) tells them."""
        beta = _number(config, "beta") if trainer in ("dpo", "kto", "orpo") else None
        losses = config.get("loss_type")
        losses = set(losses) if isinstance(losses, (list, tuple)) else {losses}
        other_scale = bool(losses & _SCALE_FREE_LOSSES)
        return cls(
            trainer=trainer,
            beta=beta if beta and beta > 0 and not other_scale else None,
            other_scale=other_scale,
            pairs=_pairs_a_point(config),
            probe_pairs=probe_pairs(config),
            max_steps=max_steps,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginVerdict:
    """What the course of a margin amounts to.

    title: the state in a word or two. severity: None where nothing is wrong. finding: one plain sentence, with its numbers, for an
    alert. sentence: the numbers in one line, for the head of a section. numbers: the same, one by one. window: first and last step.
    """

    state: MarginState
    severity: Severity | None
    title: str
    finding: str
    sentence: str
    numbers: Sequence[Number] = ()
    window: tuple[int | None, int | None] = (None, None)
    onset_step: int | None = None


@dataclass(slots=True)
class MarginTracker:
    """What has been seen of a margin so far, in bounded memory. `add` takes canonical signals of one row; `judge` gives the verdict.

    held_out: newest held-out margins by source, `eval` or `probe`. `grad_norm`, `learning_rate`, `gpu_utilization`: newest values, NaN
    before the first. peak_learning_rate: the highest so far. lost: margins that were not finite. first_logps, logps: log-probabilities of
    chosen answers (nat per answer) at the first five margins and at the newest ten.
    """

    settings: MarginSettings
    history: MarginHistory = field(default_factory=MarginHistory)
    held_out: dict[str, deque[MarginPoint]] = field(default_factory=dict)
    grad_norms: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    learning_rates: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    peak_learning_rate: float = 0.0
    gpu_utilization: float = math.nan
    lost: int = 0
    step: int = 0
    first_logps: list[float] = field(default_factory=list)
    logps: deque[float] = field(default_factory=lambda: deque(maxlen=10))

    def add(self, step: int | None, signals: Mapping[str, float | None]) -> bool:
        """Takes a row; true where it held a margin that counts. A row without a step (a GPU sample) is only context."""
        self._add_context(signals)
        if step is None:
            return False
        self.step = step
        held_out = self._add_held_out(step, signals)
        if not self.settings.optimises:
            return held_out
        if "reward_margin" not in signals:
            return held_out
        margin = _finite(signals["reward_margin"])
        if math.isnan(margin):
            self.lost += 1
            return held_out
        self.history.add(_point(step, margin, signals, prefix="reward"))
        self._add_logps(_finite(signals.get("logps_chosen")))
        return True

    def rewind(self, step: int) -> None:
        """The run went back to `step`: forgets what came after."""
        self.history.rewind(step)
        for source, points in self.held_out.items():
            self.held_out[source] = deque((point for point in points if point.step < step), maxlen=_HELD_OUT_KEPT)

    @property
    def progress(self) -> float | None:
        """Share of the run that is done, or None where its length is not known."""
        return self.step / self.settings.max_steps if self.settings.max_steps else None

    def newest_held_out(self) -> tuple[str, deque[MarginPoint]] | None:
        """The held-out source to believe (`eval` before `probe`) and its points, or None."""
        for source in ("eval", "probe"):
            points = self.held_out.get(source)
            if points:
                return source, points
        return None

    @staticmethod
    def newest(values: Sequence[float]) -> float:
        """The last of some values, NaN where there is none."""
        return values[-1] if values else math.nan

    def _add_context(self, signals: Mapping[str, float | None]) -> None:
        if "grad_norm" in signals:
            self.grad_norms.append(_finite(signals["grad_norm"]))
        if "learning_rate" in signals:
            rate = _finite(signals["learning_rate"])
            self.learning_rates.append(rate)
            if rate > self.peak_learning_rate:
                self.peak_learning_rate = rate
        if "gpu_utilization" in signals:
            self.gpu_utilization = _finite(signals["gpu_utilization"])

    def _add_logps(self, logps: float) -> None:
        if math.isnan(logps):
            return
        if len(self.first_logps) < _FIRST_LOGPS:
            self.first_logps.append(logps)
        self.logps.append(logps)

    def _add_held_out(self, step: int, signals: Mapping[str, float | None]) -> bool:
        taken = False
        for source, prefix in (("eval", "eval_reward"), ("probe", "probe")):
            if f"{prefix}_margin" not in signals:
                continue
            margin = _finite(signals[f"{prefix}_margin"])
            if math.isnan(margin):
                self.lost += 1
                continue
            point = _point(step, margin, signals, prefix=prefix)
            self.held_out.setdefault(source, deque(maxlen=_HELD_OUT_KEPT)).append(point)
            if source == "probe" and not self.settings.optimises:
                self.history.add(point)
            taken = True
        return taken


def _point(step: int, margin: float, signals: Mapping[str, float | None], *, prefix: str) -> MarginPoint:
    return MarginPoint(
        step=step,
        margin=margin,
        accuracy=_finite(signals.get(f"{prefix}_accuracy")),
        loss=_finite(signals.get("loss")),
        chosen=_finite(signals.get(f"{prefix}_chosen")),
        margin_se=_finite(signals.get(f"{prefix}_margin_se")),
    )


def _finite(value: float | None) -> float:
    """The value, or NaN where it is None or not finite."""
    return value if value is not None and value - value == 0.0 else math.nan


def _number(config: Mapping[str, Any], name: str) -> float | None:
    value = config.get(name)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def probe_pairs(config: Mapping[str, Any]) -> float | None:
    """The number of held-out pairs of the probe, which its config event tells; None where it does not."""
    probe = config.get("probe")
    return _number(probe, "pairs") if isinstance(probe, Mapping) else None


def _pairs_a_point(config: Mapping[str, Any]) -> float | None:
    """Pairs behind one logged margin: batch × accumulation × processes × steps between logs; None where the batch is not known."""
    batch = _number(config, "per_device_train_batch_size")
    if not batch:
        return None
    every = _number(config, "logging_steps") or 1.0
    processes = _number(config, "world_size") or 1.0
    return batch * (_number(config, "gradient_accumulation_steps") or 1.0) * processes * max(1.0, every)
