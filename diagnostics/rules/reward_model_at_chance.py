"""`reward_model_at_chance` (P7): a reward model ranks held-out or training pairs no better than a coin."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import fmean

from runvitals.diagnostics.limits import Adjustable, described, limit
from runvitals.diagnostics.margin_history import estimate
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, bad, too_few
from runvitals.diagnostics.rules.sources import ODIN, RLHF_DETAILS, TRL
from runvitals.diagnostics.timeline import Timeline
from runvitals.diagnostics.types import Cause, Number, Reading, Remedy, RuleSpec, RunContext, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What no better than a coin means."""

    accuracy: float = limit(0.55, "accuracy below which a reward model guesses", least=0.5, most=0.9)


SPEC = RuleSpec(
    name="reward_model_at_chance",
    code="P7",
    title="Reward model guesses",
    family="preference",
    summary="After 30 % of the run (100 rows where its length is unknown): the mean accuracy of the last 100 rows, or of the last three evaluations, is below 0.55 and three standard errors below 0.6.",
    main_signal="reward_accuracy",
    signals=("reward_accuracy", "eval_reward_accuracy"),
    trainers=("reward",),
    hold=2,
    clear=3,
    causes=(
        Cause(text="The labels are noise, or chosen and rejected are mixed up"),
        Cause(text="Pairs differ by length only"),
        Cause(text="Padding or the end token is read instead of the answer"),
    ),
    remedies=(
        Remedy(text="Read 50 pairs: which would you choose?", **RLHF_DETAILS),
        Remedy(text="Check the padding token, the end token and the template", **RLHF_DETAILS),
        Remedy(text="Balance the pairs' lengths", **ODIN),
        Remedy(text="Raise the learning rate 3 times", **TRL),
    ),
    false_alarms="Hard preference data reaches 0.6 at best: the line is below it for sure.",
    source="rule catalogue P7",
    needs="accuracy of pairs, 40 points",
    limits=described(Limits),
)

_EVERY = 10
_ENOUGH = 40


class _Detector(RowDetector):
    """The newest accuracies, of training and of evaluation."""

    def __init__(self, timeline: Timeline, limits: Limits) -> None:
        self._limits = limits
        self._timeline = timeline
        self._train: deque[float] = deque(maxlen=100)
        self._held_out: deque[float] = deque(maxlen=3)
        self._count = 0

    def update(self, sample: Sample) -> Reading | None:
        """Takes a row; judges every tenth, and each evaluation."""
        held_out = sample.signals.get("eval_reward_accuracy")
        if held_out is not None and held_out - held_out == 0.0:
            self._held_out.append(held_out)
        accuracy = sample.signals.get("reward_accuracy")
        if accuracy is not None and accuracy - accuracy == 0.0:
            self._train.append(accuracy)
            self._count += 1
            if self._count % _EVERY:
                return None
        elif held_out is None:
            return None
        progress = self._timeline.progress
        early = self._count < 100 if progress is None else progress < 0.3
        if early or len(self._train) < _ENOUGH:
            return (
                too_few(_ENOUGH, len(self._train), "accuracy")
                if len(self._train) < _ENOUGH
                else Reading(state="unknown", reason="needs 30 % of the run")
            )
        return self._judge(sample.step)

    def _judge(self, step: int | None) -> Reading:
        found = estimate(self._train)
        mean, error = (fmean(self._held_out), 0.0) if len(self._held_out) == 3 else (found.mean, found.error)
        line = self._limits.accuracy
        if not (mean < line and mean + 3.0 * error < line + 0.05):
            return OK if mean > line + 0.02 else NEAR
        where = "held-out" if len(self._held_out) == 3 else "training"
        numbers = (
            Number(
                label=f"Accuracy on {where} pairs", value=100 * mean, unit="%", expected=f"above {100 * line + 5:g}"
            ),
            Number(label="Accuracy on training pairs", value=100 * found.mean, unit="%"),
        )
        sentence = f"The reward model wins {mean:.0%} of {where} pairs {at(step)}, as a coin would."
        return bad("warning", sentence, numbers, since=None, step=step)


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(Timeline.of_run(context), limits)


RULE = Adjustable(SPEC, Limits(), _make)
