"""The margin rules P1 to P4: too small, inverted, fluctuating, stagnant. What they compute is in `runvitals.diagnostics.margin`."""

from __future__ import annotations

from runvitals.diagnostics.limits import described
from runvitals.diagnostics.margin_limits import (
    CLEAR,
    HOLD,
    FluctuatingLimits,
    InvertedLimits,
    StagnantLimits,
    TooSmallLimits,
)
from runvitals.diagnostics.rules.definition import REINFORCED
from runvitals.diagnostics.rules.margin_causes import DEAD_OPTIMISER, flat_causes, fluctuating_causes, inverted_causes
from runvitals.diagnostics.rules.margin_detector import MarginRule
from runvitals.diagnostics.rules.sources import OPT, PLAYBOOK, RLHF_DETAILS, TRL, Source
from runvitals.diagnostics.types import Cause, Remedy, RuleSpec

PREFERENCE = ("dpo", "kto", "orpo", "reward", "custom")
_SIGNALS = (
    "reward_margin", "eval_reward_margin", "probe_margin", "reward_accuracy", "eval_reward_accuracy",
    "grad_norm", "learning_rate", "gpu_utilization",
)  # fmt: skip

_CHES: Source = {"source": "Unintentional unalignment (Razin et al., 2024)", "url": "https://arxiv.org/abs/2410.08847"}
_SMAUG: Source = {"source": "Smaug, DPO-Positive (Pal et al., 2024)", "url": "https://arxiv.org/abs/2402.13228"}
_ROBUST: Source = {"source": "Provably robust DPO (Chowdhury et al., 2024)", "url": "https://arxiv.org/abs/2403.00409"}
_IPO: Source = {"source": "IPO (Azar et al., 2023)", "url": "https://arxiv.org/abs/2310.12036"}
_SIMPO: Source = {"source": "SimPO (Meng et al., 2024)", "url": "https://arxiv.org/abs/2405.14734"}
_KTO: Source = {"source": "KTO (Ethayarajh et al., 2024)", "url": "https://arxiv.org/abs/2402.01306"}
_ONLINE: Source = {"source": "Online AI feedback (Guo et al., 2024)", "url": "https://arxiv.org/abs/2402.04792"}
_REWARD_MODELS: Source = {
    "source": "Secrets of RLHF, part II: reward modeling (Wang et al., 2024)",
    "url": "https://arxiv.org/abs/2401.06080",
}

_READ_PAIRS = Remedy(
    text="Read 20 pairs as the model gets them: template, truncation, which answer is chosen",
    detail="Swapped columns, cut answers and identical pairs show at once",
    **TRL,
)
_FALSE_ALARMS = (
    "KTO batches without pairs; losses on another scale (IPO, hinge) are judged by their sampling error only"
)
_NEEDS = "rewards/margins, better with rewards/accuracies and held-out pairs"


def _too_small() -> RuleSpec:
    return RuleSpec(
        name="margin_too_small",
        code="P1",
        title="Margin too small",
        family="preference",
        summary="After 20 % of the run the margin grows, yet stays below 0.1 nat times beta, or two standard errors, with accuracy below 0.55 and its 95 % interval below 0.6.",
        main_signal="reward_margin",
        signals=_SIGNALS,
        trainers=PREFERENCE,
        hold=HOLD["too_small"],
        clear=CLEAR,
        limits=described(TooSmallLimits),
        inhibits=(),
        causes=(
            Cause(text="Chosen and rejected answers are nearly the same"),
            Cause(text="The learning rate is too low, or beta too high"),
            Cause(text="The judge or reward model that made the labels is weak"),
        ),
        remedies=(
            Remedy(
                text="Train on more diverse pairs",
                detail="More prompts, and answers from more than one model",
                **_ONLINE,
            ),
            Remedy(
                text="Keep clearly separated pairs and drop ambiguous ones",
                detail="Similar pairs teach little and can push both answers down",
                **_CHES,
            ),
            Remedy(
                text="Adjust the reward model or judge that labels the pairs",
                against="The preference labels are shuffled, or mostly noise",
                detail="Measure its agreement with people; drop pairs that an ensemble disagrees on",
                **_REWARD_MODELS,
            ),
            Remedy(
                text="Raise the learning rate 3 to 10 times, or lower beta",
                against="The learning rate is too low",
                detail="One short run tells: the margin should pass its threshold within a fifth of it",
                **TRL,
            ),
            Remedy(
                text="Change the strategy: SimPO, ORPO or KTO",
                detail="SimPO needs no reference, KTO no pairs",
                **_SIMPO,
            ),
        ),
        false_alarms=_FALSE_ALARMS,
        source="rule catalogue P1; Rafailov et al. 2023 for the scale",
        needs=_NEEDS,
    )


def _inverted() -> RuleSpec:
    return RuleSpec(
        name="margin_inverted",
        code="P2",
        title="Margin inverted",
        family="preference",
        summary="The model prefers rejected answers, by more than four standard errors, or on held-out pairs twice running, by more than three errors of one reading. In SFT, PPO, GRPO and ORPO a held-out margin that is negative and gets worse is a warning.",
        main_signal="reward_margin",
        signals=_SIGNALS,
        trainers=(*PREFERENCE, "sft", *REINFORCED),
        hold=HOLD["inverted"],
        clear=CLEAR,
        limits=described(InvertedLimits),
        inhibits=("margin_too_small", "margin_fluctuating", "margin_stagnant", "margin_saturated", "margin_falling"),
        causes=(
            Cause(text="Chosen and rejected are swapped in the training pairs"),
            Cause(text="The reference model or the chat template is not the one that wrote the pairs"),
            Cause(text="Most labels are noise"),
        ),
        remedies=(
            _READ_PAIRS,
            Remedy(
                text="Swap the two columns and start again",
                detail="If labels were flipped, held-out accuracy climbs above 50 % within a few evaluations",
                **TRL,
            ),
            Remedy(
                text="Estimate the share of flipped labels on 100 pairs; below one half, train with label smoothing",
                detail="loss_type robust, label_smoothing at the estimated share",
                **_ROBUST,
            ),
            Remedy(text="Check that the reference model and the chat template are those of the start", **RLHF_DETAILS),
        ),
        false_alarms="The first evaluations, when the margin is still near 0: both size and accuracy must be off",
        source="rule catalogue P2",
        needs="rewards/margins and held-out pairs: flipped labels look perfect on the training pairs",
    )


def _fluctuating() -> RuleSpec:
    return RuleSpec(
        name="margin_fluctuating",
        code="P3",
        title="Margin fluctuates",
        family="preference",
        summary="Over 50 points the margin swings more than twice as much as before and more than its own size, and not as small batches scatter.",
        main_signal="reward_margin",
        signals=_SIGNALS,
        trainers=PREFERENCE,
        hold=HOLD["fluctuating"],
        clear=CLEAR,
        limits=described(FluctuatingLimits),
        causes=(
            Cause(text="The learning rate is too high"),
            Cause(text="The batch is too small"),
            Cause(text="The optimiser is unsteady: no warm-up, no clipping"),
        ),
        remedies=(
            Remedy(text="Lower the learning rate to a half or a third", **PLAYBOOK),
            Remedy(
                text="Enlarge the batch: accumulate gradients 2 to 4 times longer",
                detail="The noise of a batch falls with the root of its size",
                **PLAYBOOK,
            ),
            Remedy(text="Steady the optimiser: longer warm-up, clipping at 1.0, beta2 of 0.95 to 0.99", **OPT),
            Remedy(text="Shuffle the dataset", detail="Sorted or grouped data makes the margin follow the data", **TRL),
        ),
        false_alarms="Tiny batches: pooled first, and silent where neighbours are independent of each other",
        source="rule catalogue P3",
        needs="70 logged margins",
    )


def _stagnant() -> RuleSpec:
    return RuleSpec(
        name="margin_stagnant",
        code="P4",
        title="Margin stagnant",
        family="preference",
        summary="After 20 % of the run the margin is flat and holds 0, with accuracy below 0.55; from half the run on also one below 0.5 nat times beta, with accuracy below 0.6 for sure. Critical from then on while accuracy is a coin's. One that levelled off with pairs told apart is healthy.",
        main_signal="reward_margin",
        signals=_SIGNALS,
        trainers=PREFERENCE,
        hold=HOLD["stagnant"],
        clear=CLEAR,
        limits=described(StagnantLimits),
        inhibits=("margin_too_small", "reward_model_at_chance"),
        causes=(
            Cause(text="The preference labels are shuffled, or mostly noise"),
            Cause(text="Chosen and rejected answers are nearly the same"),
            Cause(text="The optimiser does not move the model"),
        ),
        remedies=(
            _READ_PAIRS,
            Remedy(
                text="Check that the optimiser moves: gradient norm above 0, learning rate above 0, adapters attached",
                against=DEAD_OPTIMISER,
                detail="A margin that is flat for a dead optimiser says nothing about the data",
                **TRL,
            ),
            Remedy(
                text="Bring new or clearer data, best written by the model itself",
                detail="On-policy pairs separate what the model really does",
                **_ONLINE,
            ),
            Remedy(
                text="Train more of the model: higher adapter rank, more target modules, another architecture", **_SMAUG
            ),
            Remedy(
                text="Use another alignment algorithm: IPO, KTO or SimPO",
                detail="KTO bears noisy, unpaired labels",
                **_KTO,
            ),
            Remedy(
                text="Lower beta or raise the learning rate",
                against="The learning rate is too low",
                detail="Both let the model leave its reference",
                **_IPO,
            ),
        ),
        false_alarms=_FALSE_ALARMS,
        source="rule catalogue P4",
        needs=_NEEDS,
    )


RULES: tuple[MarginRule, ...] = (
    MarginRule(_too_small(), TooSmallLimits(), "too_small", flat_causes),
    MarginRule(_inverted(), InvertedLimits(), "inverted", inverted_causes),
    MarginRule(_fluctuating(), FluctuatingLimits(), "fluctuating", lambda tracker, _: fluctuating_causes(tracker)),
    MarginRule(_stagnant(), StagnantLimits(), "stagnant", flat_causes),
)
"""P1 to P4."""
