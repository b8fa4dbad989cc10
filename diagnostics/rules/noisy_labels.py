"""`noisy_labels` (P9): the model orders held-out pairs much better than those it trains on."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, is_finite
from runvitals.diagnostics.rules.masks import Resumes
from runvitals.diagnostics.rules.sources import RLHF_DETAILS, ROBUST_DPO
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many flipped labels the accuracies must speak for."""

    info: float = limit(0.1, "share of flipped training labels, for information", least=0.01, most=0.5)
    # Published healthy runs reach 0.2 for one evaluation, where held-out pairs are easier.
    warning: float = limit(0.2, "share of flipped training labels, for a warning", least=0.02, most=0.5)
    # Where a model wins nine of ten held-out pairs, hard pairs explain little. Clean DPO runs like that reach 0.025, those with a tenth
    # flipped 0.09 to 0.11.
    warning_known: float = limit(
        0.06, "the same, where the model wins nine of ten held-out pairs", least=0.02, most=0.5
    )

    def __post_init__(self) -> None:
        in_order(self, "info", "warning")


SPEC = RuleSpec(
    name="noisy_labels",
    code="P9",
    title="Training labels are noisy",
    family="preference",
    summary="Training pairs are ordered right much more rarely than held-out pairs were at the evaluation before: as if more than a fifth of "
    "the training labels were flipped, in two evaluations on end, and surely more than half of that (a warning; information from a tenth). "
    "Where the model wins nine of ten held-out pairs, a warning from 6 %. "
    "A model knows what it trains on at least as well, unless the labels disagree with what it learns.",
    main_signal="reward_accuracy",
    signals=("reward_accuracy", "eval_reward_accuracy"),
    trainers=("reward", "dpo", "kto", "orpo"),
    hold=2,
    clear=2,
    causes=(
        Cause(text="Chosen and rejected are swapped in part of the training data"),
        Cause(text="The training pairs were labelled by a weaker judge than the held-out ones"),
        Cause(text="The held-out pairs are easier, or of another kind"),
        Cause(text="Dropout, which is on in training only", likelihood="unlikely"),
    ),
    remedies=(
        Remedy(text="Read the 50 training pairs with the lowest margin: which would you choose?", **RLHF_DETAILS),
        Remedy(text="Sort the data by source, and look at the accuracy of each"),
        Remedy(
            text="Tell the loss how many labels are wrong: loss_type robust, label_smoothing at the estimated share",
            **ROBUST_DPO,
        ),
        Remedy(text="Drop pairs that two judges order differently"),
    ),
    false_alarms="Held-out pairs that are easier than the training pairs look the same. Noise that both hold alike cannot be seen.",
    source="Accuracy under flipped labels: with a share f flipped, an accuracy of a becomes (1 - f) a + f (1 - a); found on tiny real runs "
    "with 30 % flipped, where it estimates 31 %, and with 10 %, where it estimates 10 %",
    needs="accuracy of pairs, and at least three evaluations of it",
    limits=described(Limits),
)

_ROWS, _NEWEST = 4, 256
_BETTER_THAN_A_COIN = 0.6
_KNOWN = 0.9
_SURE = 3.0


class _Detector(RowDetector):
    """Accuracy on training pairs since the last evaluation, beside what that evaluation said."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._resumes = Resumes(timeline)
        self._train: deque[float] = deque(maxlen=_NEWEST)
        self._held_out = math.nan
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges at each evaluation."""
        if self._resumes.is_new():
            self._train.clear()
            self._held_out = math.nan
        accuracy = sample.signals.get("reward_accuracy")
        if accuracy is not None and 0.0 <= accuracy <= 1.0:
            self._train.append(accuracy)
        held_out = sample.signals.get("eval_reward_accuracy")
        if held_out is None or not 0.0 <= held_out <= 1.0:
            return None
        # The model of the last evaluation is the one that these training pairs met first: comparing with it, training cannot lag behind.
        before, self._held_out = self._held_out, held_out
        train = list(self._train)
        self._train.clear()
        if not is_finite(before) or len(train) < _ROWS:
            return Reading(state="unknown", reason="needs two evaluations and training accuracies between them")
        return self._judge(train, min(before, held_out), sample.step)

    def _judge(self, train: list[float], held_out: float, step: int | None) -> Reading:
        if held_out < _BETTER_THAN_A_COIN:
            return OK
        mean = math.fsum(train) / len(train)
        error = math.sqrt(math.fsum((one - mean) ** 2 for one in train) / (len(train) - 1) / len(train))
        flipped = (held_out - mean) / (2 * held_out - 1)
        surely = (held_out - mean - _SURE * error) / (2 * held_out - 1)
        info, warning = self._lines(held_out)
        if flipped < info or surely < 0.5 * info:
            self._since = None
            return OK if flipped < 0.5 * info else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = "warning" if flipped >= warning and surely >= 0.5 * warning else "info"
        numbers = (
            Number(label="Accuracy on training pairs", value=100 * mean, unit="%", expected="as on held-out pairs"),
            Number(label="Accuracy on held-out pairs", value=100 * held_out, unit="%"),
            Number(
                label="Flipped labels that would explain it",
                value=100 * flipped,
                unit="%",
                expected=f"below {100 * info:g}",
            ),
            Number(label="Standard error of the training accuracy", value=100 * error, unit="%"),
        )
        sentence = (
            f"Training pairs are ordered right in {mean:.0%}, held-out pairs in {held_out:.0%}, {at(step)}: as if {flipped:.0%} of the "
            "training labels were flipped."
        )
        return bad(severity, sentence, numbers, since=self._since, step=step)

    def _lines(self, held_out: float) -> tuple[float, float]:
        """The shares for information and for a warning, by how well the model knows held-out pairs."""
        limits = self._limits
        if held_out < _KNOWN:
            return limits.info, limits.warning
        warning = min(limits.warning_known, limits.warning)
        return min(limits.info, warning), warning


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
