"""`zero_advantage_groups` (L8): all answers of a group get the same reward, so that there is nothing to learn from."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runvitals.diagnostics.limits import Adjustable, described, in_order, limit
from runvitals.diagnostics.rules.definition import NEAR, OK, RowDetector, at, is_finite, short, too_few
from runvitals.diagnostics.rules.sources import DAPO, TRL
from runvitals.diagnostics.types import Cause, Evidence, Number, Reading, Remedy, RuleSpec, RunContext, Sample, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Share of groups without spread over the last 20 rows."""

    info: float = limit(0.6, "share of groups, for information", least=0.5, most=1.0)
    warning: float = limit(0.85, "share of groups, for a warning", least=0.5, most=1.0)
    critical: float = limit(0.95, "share of groups, for a critical alert", least=0.5, most=1.0)

    def __post_init__(self) -> None:
        in_order(self, "info", "warning", "critical")


SPEC = RuleSpec(
    name="zero_advantage_groups",
    code="L8",
    title="Groups have no reward spread",
    family="policy",
    summary="The share of groups whose answers all got the same reward, over the last 20 rows: above 60 % is information, above "
    "85 % a warning, above 95 % critical. Information only where the reward has risen clearly: then the prompts are learned. "
    "In short runs only where it is every group from the first row on.",
    main_signal="zero_std_fraction",
    signals=("zero_std_fraction", "reward_std", "reward", "grad_norm"),
    trainers=("grpo", "rloo"),
    hold=2,
    clear=10,
    inhibits=("reward_flat", "reward_constant"),
    causes=(
        Cause(text="The reward function gives the same to every answer: a parser that fails, or a constant"),
        Cause(text="The prompts are too easy: every answer is right"),
        Cause(text="The prompts are too hard: no answer is right"),
        Cause(text="The policy gives the same answer each time"),
    ),
    remedies=(
        Remedy(
            text="Print the rewards of one group with its answers",
            detail="Shows at once whether the reward function works",
        ),
        Remedy(text="Drop prompts that are always or never solved, and sample more in their place", **DAPO),
        Remedy(text="Raise num_generations or the temperature", **TRL),
        Remedy(text="Take easier or harder prompts, or a reward with steps in between"),
    ),
    false_alarms="Half to three quarters of the groups without spread are common where a few prompts make a step.",
    source="DAPO (dynamic sampling); public GRPO runs",
    needs="frac_reward_zero_std or reward_std, 8 points",
    limits=described(Limits),
)

_ROWS = 20
_ENOUGH = 8
_SAME = 1e-9


class _Detector(RowDetector):
    """Shares of the last 20 rows with their sum, and the reward beside them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shares: deque[float] = deque()
        self._sum = 0.0
        self._rewards: deque[float] = deque(maxlen=_ROWS)
        self._first_rewards: list[float] = []
        self._norm: float | None = None
        self._by_gradient = False
        self._since: int | None = None

    def update(self, sample: Sample) -> Reading | None:
        signals = sample.signals
        reward, norm = signals.get("reward"), signals.get("grad_norm")
        if reward is not None and is_finite(reward):
            self._rewards.append(reward)
            if len(self._first_rewards) < _ENOUGH:
                self._first_rewards.append(reward)
        if norm is not None:
            self._norm = norm
        share = _share(signals.get("zero_std_fraction"), signals.get("reward_std"), norm)
        if share is None:
            return None
        self._by_gradient = "zero_std_fraction" not in signals and "reward_std" not in signals
        self._take(share)
        count = len(self._shares)
        mean = self._sum / count
        if count < _ROWS and (count < _ENOUGH or mean < 1.0):
            return too_few(_ROWS, count, "reward spread")
        return self._judge(mean, sample.step)

    def _take(self, share: float) -> None:
        self._shares.append(share)
        self._sum += share
        if len(self._shares) > _ROWS:
            self._sum -= self._shares.popleft()

    def _judge(self, mean: float, step: int | None) -> Reading:
        if mean <= self._limits.info:
            self._since = None
            return OK if mean <= 0.5 else NEAR
        if self._since is None:
            self._since = step
        severity: Severity = (
            "critical" if mean > self._limits.critical else "warning" if mean > self._limits.warning else "info"
        )
        solved = self._solved()
        if solved:
            severity = "info"
        numbers = [
            Number(label="Groups without spread, last 20 rows", value=100 * mean, unit="%", expected="below 50 %")
        ]
        sentence = f"{mean:.0%} of the groups give every answer the same reward {at(step)}"
        if self._by_gradient:
            sentence = f"The gradient norm is exactly 0 in {mean:.0%} of the last {len(self._shares)} rows {at(step)}"
        if self._rewards:
            reward = sum(self._rewards) / len(self._rewards)
            numbers.append(Number(label="Mean reward", value=reward))
            sentence += f"; the mean reward is {short(reward)}"
        if solved:
            sentence += (
                f", up from {short(sum(self._first_rewards) / len(self._first_rewards))}: these prompts are learned"
            )
        if self._norm is not None:
            numbers.append(Number(label="Gradient norm", value=self._norm, expected="above 0"))
        return Reading(
            state="bad",
            severity=severity,
            onset_step=self._since,
            sentence=f"{sentence}.",
            evidence=Evidence(numbers=tuple(numbers), window=(self._since, step)),
            causes=self._causes(),
        )

    def _solved(self) -> bool:
        """True where the rewards lie clearly above those of the first rows: a lack of spread is then the end of the lesson."""
        if len(self._rewards) < _ENOUGH or len(self._first_rewards) < _ENOUGH:
            return False
        began = sum(self._first_rewards) / _ENOUGH
        wandered = max(self._first_rewards) - min(self._first_rewards)
        now = sum(self._rewards) / len(self._rewards)
        return now - began > max(wandered, _SAME)

    def _causes(self) -> tuple[Cause, ...]:
        """A reward that is the same in all rows points to the reward function; else to the prompts."""
        constant, easy, hard, same = SPEC.causes
        if len(self._rewards) >= _ENOUGH and max(self._rewards) - min(self._rewards) <= _SAME:
            because = f"the reward is {short(self._rewards[-1])} in each of the last {len(self._rewards)} rows"
            return (Cause(text=constant.text, likelihood="likely", because=because), easy, hard, same)
        return (easy, hard, same, constant)


def _share(fraction: float | None, spread: float | None, norm: float | None) -> float | None:
    """The share of groups without spread; where that is not logged, 1 where the mean spread, or the gradient, is exactly 0."""
    if fraction is not None and is_finite(fraction):
        return min(max(fraction, 0.0), 1.0)
    if spread is not None and is_finite(spread):
        return 1.0 if abs(spread) <= _SAME else 0.0
    if norm is not None and is_finite(norm):
        return 1.0 if norm == 0.0 else 0.0
    return None


def _make(context: RunContext, limits: Limits) -> _Detector:
    return _Detector(limits)


RULE = Adjustable(SPEC, Limits(), _make)
