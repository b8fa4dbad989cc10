"""`loss_divergence` (D5): the loss has climbed well above the best it has been, and stays there."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.baseline import SortedWindow, Window
from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import (
    NEAR,
    OK,
    SUPERVISED,
    RowDetector,
    at,
    is_finite,
    short,
    too_few,
)
from runvitals.diagnostics.rules.masks import RateJump, Resumes
from runvitals.diagnostics.rules.sources import OPT, PALM, PLAYBOOK
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import (
    Cause,
    Evidence,
    Number,
    Reading,
    Remedy,
    RuleSpec,
    RunContext,
    Sample,
    Severity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far above its best a loss has diverged."""

    # Within an epoch a healthy loss may climb by 8 % after the step down at its start.
    times: float = limit(1.1, "times its best median that the loss reaches at least", least=1.01, most=100.0)
    critical: float = limit(1.25, "times its best median, for a critical alert", least=1.01, most=100.0)

    def __post_init__(self) -> None:
        in_order(self, "times", "critical")


SPEC = RuleSpec(
    name="loss_divergence",
    code="D5",
    title="Loss diverges",
    family="divergence",
    summary="The median of the last 10 losses lies, 5 rows on end, above the best such median by more than 10 % and more than the noise explains, "
    "and the lower losses have climbed with it; critical from 25 %. In short runs only where three losses on end are far above where it began.",
    main_signal="loss",
    signals=("loss", "learning_rate", "entropy"),
    trainers=SUPERVISED,
    clear=10,
    inhibits=("loss_spike", "margin_falling"),
    causes=(
        Cause(text="The learning rate is too high, or warm-up too short"),
        Cause(text="Gradients are not clipped, or clipped too late"),
        Cause(text="The data changed: other mix, longer sequences, a broken shard"),
        Cause(text="Low precision: fp16 overflow, or bf16 in the optimiser's state", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(
            text="Go back to a checkpoint about 100 steps before the onset and skip the batches in between",
            detail="The same batches did not bring the spike back from an earlier checkpoint",
            **PALM,
        ),
        Remedy(
            text="Lower the learning rate to between one third and two thirds",
            detail="Steadied OPT-175B",
            against="The learning rate is too high, or warm-up too short",
            **OPT,
        ),
        Remedy(
            text="Clip gradients at the 90th percentile of their norm; lengthen the warm-up",
            detail="More than half of the steps clipped means that the learning rate is too high",
            **PLAYBOOK,
        ),
    ),
    false_alarms="A longer context or a harder curriculum lift the loss on purpose. So does a schedule that warms up again: for 20 rows after "
    "such a jump only a critical rise counts. After a resume the level is learnt anew: the checkpoint's loss is not that of the last step.",
    source="Loss patterns of public runs; best-so-far detector of the rule catalogue",
    needs="loss, 20 points whose neighbours do not differ twofold",
    limits=described(Limits),
)

WINDOW = 10
ENOUGH = 20
_NOISE_FACTOR = 3.0
"""Healthy public runs reach 2.3 (a slow drift within an epoch); divergence reaches hundreds."""
_TOO_NOISY = math.log(2.0)
"""Where neighbours differ twofold nothing can be told from them, least of all that all is well. Healthy runs reach 1.32 times."""
_CHANGE_OF_NORMAL = 0.954
"""Median distance of two neighbours in normal noise of standard deviation 1."""
_WORSE_THAN_NOTHING = 1.25
_BLOWN_UP = 10.0
"""Times the first loss. A run that blows up in its second step has no other yardstick: what follows is as large, and too noisy to compare."""
_HOLD = 5
"""Rows on end above the limit. Counted here and not by the life cycle, since early evidence needs no more rows."""
_PREFERENCE_FLOOR = 0.1
"""Preference losses run towards 0, where ratios mean little: a tenth of the loss of knowing nothing is added before ratios are taken."""
_KNOWING_NOTHING = {"dpo": math.log(2.0), "reward": math.log(2.0)}
"""By trainer the loss of a model that tells nothing apart. The first row of a log may come late, when much has been learnt."""


class _Detector(RowDetector):
    """The newest losses, the best median so far and the noise around it, all on a log scale."""

    def __init__(self, timeline: Timeline, limits: Limits, *, floor_share: float, nothing: float) -> None:
        self._resumes = Resumes(timeline)
        self._jump = RateJump(timeline, 2 * WINDOW)
        self._jumped = False
        self._material = math.log(limits.times)
        self._grave = math.log(limits.critical)
        self._floor_share = floor_share
        self._nothing = nothing
        self._first: list[float] = []
        self._rate = math.nan
        self._not_positive = False
        self._forget()

    def _forget(self) -> None:
        self._count = 0
        self._recent = Window(WINDOW)
        self._changes = SortedWindow(64)
        self._newest_changes = Window(2 * WINDOW)
        self._last: float | None = None
        self._tail: deque[tuple[int | None, float, float]] = deque(maxlen=3)
        self._over = 0
        self._best = math.inf
        self._best_of_three = math.inf
        self._best_step: int | None = None
        self._noise = 0.0
        self._rate_at_best = math.nan
        self._rising_since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        rate = sample.signals.get("learning_rate")
        if rate is not None and is_finite(rate):
            self._rate = rate
        loss = sample.signals.get("loss")
        if loss is None or not is_finite(loss):
            return None
        if self._resumes.is_new():
            self._forget()
        self._jumped = self._jump.read()
        if not self._first:
            self._nothing = max(self._nothing, loss)
        if len(self._first) < 3:
            self._first.append(loss)
        if loss < 0.0 or self._first[0] <= 0.0:
            self._not_positive = True
        if self._not_positive:
            return Reading(state="unknown", reason="needs a loss above 0 to judge by ratios")
        level = math.log(max(loss + self._floor_share * self._nothing, 1e-12))
        entropy = sample.signals.get("entropy")
        self._tail.append((sample.step, loss, math.nan if entropy is None else entropy))
        self._take(level, sample.step)
        if self._count < ENOUGH:
            return self._early(sample.step)
        return self._judge(sample.step)

    def _take(self, level: float, step: int | None) -> None:
        self._count += 1
        if self._last is not None:
            self._changes.add(abs(level - self._last))
            self._newest_changes.add(abs(level - self._last))
        self._last = level
        self._recent.add(level)
        if len(self._tail) == 3:
            self._best_of_three = min(self._best_of_three, sorted(value for _, value, _ in self._tail)[1])
        if self._count >= WINDOW and self._recent.median() < self._best:
            self._best = self._recent.median()
            self._best_step = step
            self._noise = self._changes.median() / _CHANGE_OF_NORMAL
            self._rate_at_best = self._rate

    def _early(self, step: int | None) -> Reading:
        """Overwhelming evidence only, from three losses on end."""
        if self._count >= 4 and (self._far_above_the_start() or self._surer_than_right()):
            most = 1.5 * max(self._first)
            return self._bad("critical", self._first[0], most, "where it began", self._tail[0][0], step)
        return too_few(ENOUGH, self._count, "loss")

    def _far_above_the_start(self) -> bool:
        """Half as much again as any of the first three, and twice the best since; or many times the very first, whatever came between."""
        lowest = min(loss for _, loss, _ in self._tail)
        return lowest > max(1.5 * max(self._first), 2.0 * self._best_of_three) or lowest > _BLOWN_UP * self._first[0]

    def _surer_than_right(self) -> bool:
        """A quarter above the first, while entropy says that the model is far surer of its tokens than it is right about them."""
        return all(loss > 1.25 * self._first[0] and loss > 1.5 * entropy for _, loss, entropy in self._tail)

    def _limit(self) -> float:
        """How far above the best, as a log ratio, is too far.

        Noise grows as a run learns: losses that start alike come apart with the batches, by what of them cannot be learnt. So the newest
        counts beside that around the best.
        """
        line = _NOISE_FACTOR * self._noise_now()
        if not self._floor_share:
            return max(self._material, line)
        # Of a preference run it is known what it is to know nothing: being a quarter worse than that is a fault whatever the noise.
        hopeless = math.log((_WORSE_THAN_NOTHING + self._floor_share) * self._nothing) - self._best
        return max(self._material, min(line, hopeless))

    def _noise_now(self) -> float:
        """Standard deviation of single losses, as a log ratio: around the best or among the newest, whichever is more."""
        return max(self._noise, self._newest_changes.median() / _CHANGE_OF_NORMAL)

    def _has_shifted(self, limit: float) -> bool:
        """The lower losses have climbed too. Where batches are of two kinds, a median of ten jumps between their levels; the lower level stays."""
        return self._recent.quantile(0.25) - self._best > 0.5 * limit

    def _judge(self, step: int | None) -> Reading:
        rise = self._recent.median() - self._best
        # Below that the answer is the same whatever the noise, which takes time to tell.
        limit = self._limit() if rise > 0.3 * self._material else self._material
        self._over = self._over + 1 if rise > limit and self._has_shifted(limit) else 0
        if self._over < _HOLD:
            if self._changes.median() > _TOO_NOISY:
                return Reading(
                    state="unknown",
                    reason=f"needs a loss with less noise: neighbouring rows differ {math.exp(self._changes.median()):.3g} times",
                )
            if rise <= 0.3 * limit:
                self._rising_since = None
                return OK
            if self._rising_since is None:
                self._rising_since = step
            return NEAR if rise > 0.5 * limit else OK
        severity: Severity = "critical" if rise > max(self._grave, 1.5 * limit) else "warning"
        if self._jumped and severity != "critical":
            return NEAR
        floor = self._floor_share * self._nothing
        best, most = math.exp(self._best) - floor, math.exp(self._best + limit) - floor
        return self._bad(severity, best, most, f"at its best, {at(self._best_step)}", self._rising_since, step)

    def _bad(
        self, severity: Severity, best: float, most: float, place: str, onset: int | None, step: int | None
    ) -> Reading:
        floor = self._floor_share * self._nothing
        newest = self._recent.median() if self._count >= ENOUGH else self._last
        now = math.exp(self._best if newest is None else newest) - floor
        numbers = [
            Number(
                label="Loss, median of the last 10" if self._count >= ENOUGH else "Loss",
                value=now,
                expected=f"at most {short(most)}",
            ),
            Number(label="Best such median" if self._count >= ENOUGH else "Loss at the start", value=best),
        ]
        if self._count >= ENOUGH:
            numbers.append(Number(label="Noise of single losses", value=100 * self._noise_now(), unit="%"))
        if math.isfinite(self._rate):
            numbers.append(Number(label="Learning rate", value=self._rate))
        return Reading(
            state="bad",
            severity=severity,
            onset_step=onset,
            sentence=f"Loss is {short(now)} {at(step)}, against {short(best)} {place}.",
            evidence=Evidence(numbers=tuple(numbers), window=(onset, step)),
            causes=self._causes(),
        )

    def _causes(self) -> tuple[Cause, ...]:
        """The learning rate first, with what it did since the loss was best."""
        first, *others = SPEC.causes
        if not (math.isfinite(self._rate) and math.isfinite(self._rate_at_best)) or self._rate_at_best <= 0.0:
            return SPEC.causes
        if self._rate > 1.2 * self._rate_at_best:
            because = f"the learning rate rose from {short(self._rate_at_best)} to {short(self._rate)} since the loss was best"
            return (Cause(text=first.text, likelihood="likely", because=because), *others)
        because = f"the learning rate is {short(self._rate)} and has not risen since the loss was best"
        return (Cause(text=first.text, likelihood="possible", because=because), *others)


def _make(context: RunContext, limits: Limits) -> _Detector:
    preference = context.trainer in ("dpo", "kto", "reward", "orpo")
    return _Detector(
        Timeline.of_run(context),
        limits,
        floor_share=_PREFERENCE_FLOOR if preference else 0.0,
        nothing=_KNOWING_NOTHING.get(context.trainer, 0.0),
    )


RULE = Adjustable(SPEC, Limits(), _make)
