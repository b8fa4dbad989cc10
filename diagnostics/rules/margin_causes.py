"""Why a margin is as it is: the possible causes of each state, ranked by what this run shows."""

from __future__ import annotations

import math

from runvitals.diagnostics.margin import MarginTracker, MarginVerdict
from runvitals.diagnostics.margin_numerals import signed
from runvitals.diagnostics.rules.definition import short
from runvitals.diagnostics.types import Cause

DEAD_OPTIMISER = (
    "The optimiser does not move the model: learning rate of zero, frozen parameters, adapters not attached"
)
DEAD_GRADIENT = 1e-8
"""A gradient norm below it in every recent row: nothing flows back."""

TINY_LEARNING_RATE = 1e-8
"""Preference training uses 1e-7 to 1e-4; below this no weight moves within a run."""

IDLE_GPU_PERCENT = 10.0


def optimiser_cause(tracker: MarginTracker) -> Cause:
    """Whether the optimiser, and not the data, explains a margin that does not move."""
    text = DEAD_OPTIMISER
    gradients = [norm for norm in tracker.grad_norms if math.isfinite(norm)]
    rates = [rate for rate in tracker.learning_rates if math.isfinite(rate)]
    if rates and max(rates) < TINY_LEARNING_RATE:
        return Cause(text=text, likelihood="likely", because=f"the learning rate is {max(rates):.1e}")
    if gradients and max(gradients) < DEAD_GRADIENT:
        return Cause(text=text, likelihood="likely", because=f"the gradient norm is {max(gradients):.1e}")
    if gradients and rates:
        because = f"the gradient norm is {short(gradients[-1])} and the learning rate {rates[-1]:.1e}"
        return Cause(text=text, likelihood="unlikely", because=because)
    return Cause(text=text, because="" if gradients or rates else "neither gradient norm nor learning rate is logged")


def flat_causes(tracker: MarginTracker, verdict: MarginVerdict) -> list[Cause]:
    """Causes of a margin that stays at nothing, the likeliest first."""
    optimiser = optimiser_cause(tracker)
    if optimiser.likelihood == "likely":
        return [
            optimiser,
            Cause(text="The preference labels are shuffled", likelihood="unlikely", because="nothing is learnt at all"),
        ]
    causes = []
    wins = _value(verdict, "chosen wins")
    if wins < 0.55:
        because = f"chosen wins {100 * wins:.1f} % of pairs, as a coin would, although the optimiser works"
        causes.append(
            Cause(text="The preference labels are shuffled, or mostly noise", likelihood="likely", because=because)
        )
        causes.append(Cause(text="Chosen and rejected answers are nearly the same"))
        causes.append(Cause(text="The learning rate is too low", because=_rate(tracker)))
    else:
        because = "chosen wins most pairs, by next to nothing"
        causes.append(
            Cause(text="The learning rate is too low", likelihood="likely", because=f"{because}; {_rate(tracker)}")
        )
        causes.append(Cause(text="Chosen and rejected answers are nearly the same"))
        causes.append(
            Cause(text="The preference labels are shuffled, or mostly noise", likelihood="unlikely", because=because)
        )
    causes.append(Cause(text="beta is too high: the model is held to the reference"))
    if tracker.settings.trainer == "reward":
        causes[-1] = Cause(text="The reward model sees padding or a wrong end token instead of the answer")
    if tracker.gpu_utilization < IDLE_GPU_PERCENT:
        because = f"GPU utilisation is {tracker.gpu_utilization:.0f} %"
        causes.append(Cause(text="Training hardly runs: look at the data loader first", because=because))
    return [*causes, optimiser]


def inverted_causes(tracker: MarginTracker, verdict: MarginVerdict) -> list[Cause]:
    """Causes of a margin with the wrong sign."""
    held_out = _value(verdict, f"held-out margin ({_source(tracker)})")
    training = _value(verdict, "margin, mean")
    if not tracker.settings.optimises:
        return [
            Cause(text="What is trained pulls against the preferences", because="training does not see these pairs"),
            Cause(text="The held-out pairs have chosen and rejected swapped"),
            Cause(text="The training data resembles the rejected answers"),
        ]
    if held_out < 0 < training:
        because = f"training pairs gain {signed(training)} while held-out pairs stand at {signed(held_out)}"
        return [
            Cause(text="Chosen and rejected are swapped in the training pairs", likelihood="likely", because=because),
            Cause(text="Chosen and rejected are swapped in the held-out pairs", because=because),
            Cause(text="The training pairs are memorised and say nothing about others"),
        ]
    return [
        Cause(text="The reference model or the chat template is not the one that wrote the pairs"),
        Cause(text="Chosen and rejected are swapped in some place between dataset and loss"),
        Cause(text="Most labels are noise"),
    ]


def fluctuating_causes(tracker: MarginTracker) -> list[Cause]:
    """Causes of a margin that swings."""
    causes = [
        Cause(text="The learning rate is too high", because=_rate(tracker)),
        Cause(text="The optimiser is unsteady: no warm-up, no clipping, beta2 of 0.999 on few steps"),
        Cause(text="The data is not shuffled: stretches of the dataset differ"),
    ]
    gradients = [norm for norm in tracker.grad_norms if math.isfinite(norm)]
    if gradients and max(gradients) > 10 * min(gradients):
        because = f"the gradient norm ranges from {short(min(gradients))} to {short(max(gradients))} within {len(gradients)} rows"
        causes[0] = Cause(text=causes[0].text, likelihood="likely", because=because)
    small = "the swings are larger than batches of this size scatter by themselves"
    return [*causes, Cause(text="The batch is too small", likelihood="unlikely", because=small)]


def _value(verdict: MarginVerdict, label: str) -> float:
    return next((number.value for number in verdict.numbers if number.label == label), math.nan)


def _source(tracker: MarginTracker) -> str:
    found = tracker.newest_held_out()
    return found[0] if found else ""


def _rate(tracker: MarginTracker) -> str:
    rate = tracker.newest(tracker.learning_rates)
    return f"it is {rate:.1e}" if math.isfinite(rate) else ""
