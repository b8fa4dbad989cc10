"""The margin rules of a run that moves, but not as it should: P5 saturated, P6 displaced, and a margin that falls."""

from __future__ import annotations

from functools import partial

from runvitals.diagnostics.limits import described
from runvitals.diagnostics.margin import MarginTracker, MarginVerdict
from runvitals.diagnostics.margin_limits import (
    CLEAR,
    HOLD,
    DisplacedLimits,
    FallingLimits,
    MarginState,
    SaturatedLimits,
    StateLimits,
)
from runvitals.diagnostics.rules.margin_causes import optimiser_cause
from runvitals.diagnostics.rules.margin_detector import MarginRule
from runvitals.diagnostics.rules.sources import OVERFITTING_DPO, PLAYBOOK, TRL, Source
from runvitals.diagnostics.types import Cause, Remedy, RuleSpec

_SIGNALS = (
    "reward_margin", "eval_reward_margin", "probe_margin", "reward_accuracy", "eval_reward_accuracy", "reward_chosen", "logps_chosen",
    "grad_norm", "learning_rate", "gpu_utilization",
)  # fmt: skip
_PREFERENCE = ("dpo", "kto", "orpo", "reward", "custom")

_CHES: Source = {"source": "Unintentional unalignment (Razin et al., 2024)", "url": "https://arxiv.org/abs/2410.08847"}
_SMAUG: Source = {"source": "Smaug, DPO-Positive (Pal et al., 2024)", "url": "https://arxiv.org/abs/2402.13228"}
_IPO: Source = {"source": "IPO (Azar et al., 2023)", "url": "https://arxiv.org/abs/2310.12036"}

_SATURATED = RuleSpec(
    name="margin_saturated",
    code="P5",
    title="Margin saturated",
    family="preference",
    summary="Chosen wins more than 98 % of training pairs with a loss below 0.1, while held-out pairs are won less than 90 % or not measured "
    "(information); a warning where the held-out margin has lost 30 % of its best.",
    main_signal="reward_margin",
    signals=_SIGNALS,
    trainers=_PREFERENCE,
    hold=HOLD["saturated"],
    clear=CLEAR,
    limits=described(SaturatedLimits),
    causes=(
        Cause(text="The pairs are memorised: too many epochs, or too few pairs"),
        Cause(text="The pairs are told apart by something trivial: length, a phrase, the template"),
        Cause(text="beta is so low that nothing holds the model"),
    ),
    remedies=(
        Remedy(
            text="Stop here, or go back to the best held-out checkpoint",
            detail="Over-optimisation often begins within the first epoch",
            **OVERFITTING_DPO,
        ),
        Remedy(
            text="Raise beta, or use IPO or label smoothing",
            detail="A sigmoid pushes pairs that are already won ever further",
            **_IPO,
        ),
        Remedy(text="Measure held-out pairs: an evaluation set, or the probe", **TRL),
        Remedy(text="Bring harder pairs: closer answers, other prompts", **_CHES),
    ),
    false_alarms="Synthetic pairs that differ trivially are told apart by any model. Healthy where held-out pairs are won too.",
    source="rule catalogue P5; IPO (Azar et al., 2023); Rafailov et al., 2024",
    needs="rewards/margins with rewards/accuracies, better with held-out pairs",
)

_DISPLACED = RuleSpec(
    name="likelihood_displacement",
    code="P6",
    title="Chosen answers become unlikely",
    family="preference",
    summary="Chosen answers have lost 100 nats and are three times as improbable as at the start, and go on falling; or they are 20 nats below the "
    "reference and fall while the margin gains nothing. The margin itself may look splendid.",
    main_signal="logps_chosen",
    signals=_SIGNALS,
    trainers=("dpo", "kto", "orpo", "custom"),
    hold=HOLD["displaced"],
    clear=CLEAR,
    limits=described(DisplacedLimits),
    causes=(
        Cause(text="beta is far too low, or the learning rate too high: nothing holds the model to its reference"),
        Cause(text="Chosen and rejected answers are so alike that pushing one down takes the other along"),
        Cause(text="The chosen answers are nothing that this model would write"),
    ),
    remedies=(
        Remedy(text="Read ten answers of the model now: probability has gone to answers that nobody wrote"),
        Remedy(text="Lower the learning rate 10 times, or raise beta", detail="TRL's defaults are 1e-6 and 0.1", **TRL),
        Remedy(text="Add the likelihood of chosen answers to the loss (rpo_alpha), or use DPO-Positive", **_SMAUG),
        Remedy(text="Drop pairs whose answers are nearly the same", detail="Sort by CHES score", **_CHES),
    ),
    false_alarms="A slow fall of chosen rewards is common and benign: healthy runs lose up to 100 nats on answers of 500 tokens. The catalogue's 5 % "
    "would call a healthy run of ours ill, so the line is 100 nats and three times.",
    source="rule catalogue P6; Razin et al., 2024; measured on DPO runs",
    needs="logps/chosen, or rewards/chosen with beta",
)

_FALLING = RuleSpec(
    name="margin_falling",
    code="P5b",
    title="Margin falls",
    family="preference",
    summary="The margin has lost 30 % of its best, and half a nat times beta, and the last 30 % of the run go down by three standard errors. "
    "Chosen must also win surely fewer pairs than it did at the best margin, where accuracy is logged: without that the verdict says that the "
    "margin falls, and nothing is raised.",
    main_signal="reward_margin",
    signals=_SIGNALS,
    trainers=_PREFERENCE,
    hold=HOLD["falling"],
    clear=CLEAR,
    limits=described(FallingLimits),
    causes=(
        Cause(text="The learning rate is too high for where the run is now"),
        Cause(text="The data has changed: another source, harder pairs, flipped labels in a shard"),
        Cause(text="The model diverges: look at loss and gradient norm"),
    ),
    remedies=(
        Remedy(text="Go back to the checkpoint at the best margin", **TRL),
        Remedy(text="Lower the learning rate to a third; let it decay to 0", **PLAYBOOK),
        Remedy(text="Read 20 pairs from where the fall began", **TRL),
    ),
    false_alarms="A dataset sorted from easy to hard lowers the training margin; the held-out one then holds. A reward model that was too "
    "sure in its first steps finds its scale: of a tiny healthy one the margin fell from 1.6 to 0.7 while it ordered as many pairs as before.",
    source="rule catalogue, healthy shape of a margin: rises, then levels off",
    needs="rewards/margins, 20 points",
)


def _ranked(tracker: MarginTracker, verdict: MarginVerdict, *, spec: RuleSpec) -> tuple[Cause, ...]:
    """The rule's own causes with what the optimiser does, which is the usual reason here."""
    optimiser = optimiser_cause(tracker)
    first, *others = spec.causes
    return (Cause(text=first.text, because=optimiser.because), *others)


def _rule(spec: RuleSpec, limits: StateLimits, state: MarginState) -> MarginRule:
    return MarginRule(spec, limits, state, partial(_ranked, spec=spec))


RULES: tuple[MarginRule, ...] = (
    _rule(_SATURATED, SaturatedLimits(), "saturated"),
    _rule(_DISPLACED, DisplacedLimits(), "displaced"),
    _rule(_FALLING, FallingLimits(), "falling"),
)
"""P5, P6 and the falling margin."""
