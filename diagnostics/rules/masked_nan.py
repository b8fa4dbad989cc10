"""`masked_nan` (D2): the loss looks perfect because nothing is computed any more."""

from __future__ import annotations

from runvitals.diagnostics.rules.definition import (
    OK,
    REINFORCED,
    STATISTICAL,
    Definition,
    RowDetector,
    at,
    is_finite,
    short,
)
from runvitals.diagnostics.rules.sources import NAN_FILTER, PALM
from runvitals.diagnostics.types import Cause, Evidence, Number, Reading, Remedy, RuleSpec, RunContext, Sample

SPEC = RuleSpec(
    name="masked_nan",
    code="D2",
    title="The loss hides NaN",
    family="divergence",
    summary="A loss of exactly 0, or one that stands still to the last bit, beside a gradient norm that is NaN or exactly 0.",
    main_signal="loss",
    signals=("loss", "grad_norm"),
    hold=2,
    inhibits=("non_finite", *STATISTICAL),
    causes=(
        Cause(
            text="transformers replaces NaN losses by the mean of the others before it logs them", likelihood="likely"
        ),
        Cause(text="Every label is masked (-100), so that no token counts"),
        Cause(text="The loss has saturated: nothing is left to learn"),
    ),
    remedies=(
        Remedy(
            text="Set logging_nan_inf_filter=False",
            detail="The log then shows the NaN that it now replaces",
            **NAN_FILTER,
        ),
        Remedy(text="Go back to the last checkpoint before that step; the weights since are spoiled", **PALM),
        Remedy(
            text="Look at one batch: how many labels are not -100", detail="None means that template or mask is wrong"
        ),
    ),
    false_alarms="GRPO and PPO log a policy loss near 0 as a matter of course; there only a NaN gradient norm counts.",
    source="transformers source, TrainingArguments.logging_nan_inf_filter; public trainer_state files",
    needs="loss and grad_norm",
)

_ZERO_ROWS = 2
"""Rows of loss 0 and gradient 0 before it counts; with `hold` that is the third row."""
_ZERO_ROWS_WITHOUT_GRADIENT = 4
_DEAD = 1e-9
"""Gradient norm that is 0 but for rounding."""
_LONG_ROWS = 20


class _Detector(RowDetector):
    """Counts rows that look computed and are not. supervised: a loss of 0 means something."""

    def __init__(self, *, supervised: bool) -> None:
        self._supervised = supervised
        self._last: float | None = None
        self._lying = 0
        self._zero = 0
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        loss = sample.signals.get("loss")
        if loss is None or not is_finite(loss):
            return None
        still = loss == 0.0 or loss == self._last
        self._last = loss
        has_gradient = "grad_norm" in sample.signals
        gradient = sample.signals.get("grad_norm")
        if still and gradient is not None and not is_finite(gradient):
            return self._count_lying(loss, gradient, sample.step)
        if (
            self._supervised
            and loss == 0.0
            and "reward" not in sample.signals
            and (not has_gradient or (gradient is not None and gradient <= _DEAD))
        ):
            return self._count_zero(has_gradient, sample.step)
        self._lying = self._zero = 0
        return OK

    def _count_lying(self, loss: float, gradient: float, step: int | None) -> Reading:
        if not self._lying:
            self._since = step
        self._lying += 1
        numbers = (
            Number(label="Loss as logged", value=loss, expected="the true loss, which is NaN"),
            Number(label="Gradient norm", value=gradient, expected="finite"),
        )
        return Reading(
            state="bad",
            severity="critical",
            onset_step=self._since,
            sentence=f"The logged loss of {short(loss)} is no loss: the gradient norm is {short(gradient)} since "
            f"{at(self._since).removeprefix('at ')}.",
            evidence=Evidence(numbers=numbers, window=(self._since, step)),
        )

    def _count_zero(self, has_gradient: bool, step: int | None) -> Reading:
        if not self._zero:
            self._since = step
        self._zero += 1
        if self._zero < (_ZERO_ROWS if has_gradient else _ZERO_ROWS_WITHOUT_GRADIENT):
            return OK
        what = "Loss and gradient norm are" if has_gradient else "The loss is"
        return Reading(
            state="bad",
            severity="critical" if has_gradient and self._zero >= _LONG_ROWS else "warning",
            onset_step=self._since,
            sentence=f"{what} exactly 0 in {self._zero:,} rows on end, since {at(self._since).removeprefix('at ')}: "
            "nothing is learned.",
            evidence=Evidence(
                numbers=(Number(label="Rows of exactly 0", value=float(self._zero), unit="rows", expected="none"),),
                window=(self._since, step),
            ),
            causes=(SPEC.causes[1], SPEC.causes[2], SPEC.causes[0]),
        )


def _make(context: RunContext) -> _Detector:
    return _Detector(supervised=context.trainer not in REINFORCED)


RULE = Definition(SPEC, _make)
