"""The charts that a run's page may have, section by section; `panels` draws those whose signals the run logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runvitals.dashboard.tokens import REJECTED_DASH
from runvitals.diagnostics.signals import Reference

OWN = "run"
"""The role of a run's main line: its own colour."""

LOWER_DASH = "2px 3px"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of a chart. signals: the first that the run logged is drawn. style: line or rings (evaluations).

    total: in a stack, the whole that the parts before it are taken from: what is drawn of it is the rest.
    """

    signals: tuple[str, ...]
    label: str = ""
    role: str = OWN
    dash: str = "solid"
    style: str = "line"
    key: str = ""
    total: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: title and unit default to those of its first signal. log: see Signal.log_scale. span: of twelve columns.

    leading: the chart is there only where its first line was logged. absent: what one would expect on the chart and the run did not
    log, in words.
    """

    id: str
    lines: tuple[Line, ...]
    title: str = ""
    unit: str = ""
    kind: str = ""
    span: int = 3
    height: int = 190
    stack: bool = False
    references: tuple[Reference, ...] = ()
    leading: bool = False
    absent: str = ""

    @property
    def signals(self) -> tuple[str, ...]:
        """All signals that the chart may draw."""
        return tuple(signal for line in self.lines for signal in line.signals)


def one(signal: str, *others: str, **chart: Any) -> Chart:
    """A chart of one curve: of the first of these signals that was logged."""
    return Chart(id=signal, lines=(Line(signals=(signal, *others)),), **chart)


def evaluated(signal: str) -> Chart:
    """A signal with its evaluations as rings."""
    return Chart(
        id=signal,
        lines=(Line(signals=(signal,), label="train"), Line(signals=(f"eval_{signal}",), label="eval", style="rings")),
    )


def _chosen(signal: str) -> Line:
    return Line(signals=(signal,), label="chosen", role="chosen")


def _rejected(signal: str) -> Line:
    return Line(signals=(signal,), label="rejected", role="rejected", dash=REJECTED_DASH)


def _margin(signal: str) -> Line:
    return Line(signals=(signal,), label="margin")


MARGIN = (
    evaluated("reward_margin"),
    Chart(
        id="chosen_rejected",
        title="Chosen, rejected, margin",
        unit="reward",
        leading=True,
        lines=(_chosen("reward_chosen"), _rejected("reward_rejected"), _margin("reward_margin")),
    ),
    evaluated("reward_accuracy"),
    Chart(id="logps", title="Log-probability", lines=(_chosen("logps_chosen"), _rejected("logps_rejected"))),
    one("mean_reward"),
    Chart(
        id="reward_range",
        title="Range of rewards",
        lines=(
            Line(signals=("max_reward",), label="highest", role="chosen"),
            Line(signals=("min_reward",), label="lowest", role="rejected", dash=REJECTED_DASH),
        ),
    ),
    one("log_odds_ratio"),
)
PROBE = (
    one("probe_margin", height=230, unit="reward; band: 95 % interval"),
    Chart(
        id="probe_pair",
        title="Chosen, rejected, margin",
        unit="reward, held-out pairs",
        leading=True,
        height=230,
        lines=(_chosen("probe_chosen"), _rejected("probe_rejected"), _margin("probe_margin")),
    ),
    one("probe_accuracy", height=230),
)
POLICY = (
    Chart(
        id="reward",
        lines=(
            Line(signals=("reward",), label="score"),
            Line(signals=("rlhf_reward",), label="after penalty", role="other", dash=REJECTED_DASH),
        ),
    ),
    one("sequence_kl", "kl"),
    one("sequence_entropy", "entropy"),
    one("eos_tokens", "eos_fraction", "truncated_fraction"),
    one("clip_fraction"),
    one("policy_ratio", "importance_ratio"),
    Chart(
        id="completion_length",
        lines=(
            Line(signals=("completion_length",), label="mean"),
            Line(signals=("completion_length_max",), label="longest", role="other", dash=REJECTED_DASH),
            Line(signals=("completion_length_min",), label="shortest", role="other", dash=LOWER_DASH),
        ),
    ),
    one("zero_std_fraction"),
    one("reward_std"),
    one("approx_kl"),
)
OPTIMISATION = (
    evaluated("loss"),
    one("grad_norm"),
    one("learning_rate"),
    evaluated("token_accuracy"),
    one("value_loss"),
    one("policy_loss"),
    one("explained_variance"),
    one("nll_loss"),
)
THROUGHPUT = (one("tokens_per_s", title="Tokens"), one("samples_per_s", title="Samples"), one("mfu"))

BESIDE = (
    Line(signals=("evaluation_time_s",), label="eval", role="eval"),
    Line(signals=("save_time_s",), label="save", role="save"),
)
"""What takes time beside the steps; drawn on top of them."""

DATA = Line(signals=("data_wait_s",), label="data wait", role="data")
GENERATION = Line(signals=("generation_time_s",), label="generate", role="forward")
FORWARD = Line(signals=("forward_time_s",), label="forward", role="forward")
OPTIMISER = Line(signals=("optimizer_time_s",), label="optimiser", role="optimizer")
WHOLE_STEP = Line(signals=("step_time_s",), role="backward", total=True)

SELDOM = frozenset({"learning_rate", "probe_margin", "probe_accuracy", "probe_chosen", "probe_rejected"})
"""Signals that are drawn as they are: a mean over the few points of a probe would say less than they do."""

ELSEWHERE = frozenset(
    {"step", "epoch", "tokens", "samples", "probe_margin_se", "probe_cost_s", "kl_penalty", "kl_coefficient"}
)
"""Signals that another panel tells, or whose curve says nothing."""
