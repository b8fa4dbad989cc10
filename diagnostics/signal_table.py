"""The vocabulary: what each canonical signal is, in which unit, and which way is good. One line a signal."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

Direction = Literal["up", "down", "target", "none"]
Group = Literal["optimisation", "preference", "policy", "throughput", "gpu", "host", "data"]
Kind = Literal["plain", "signed", "percent", "rate", "seconds", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A line that means something on a chart of the signal. trainers: the kinds it holds for, empty for all."""

    value: float
    label: str
    trainers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A canonical metric, whatever key a library logs it under.

    direction: which way is better; `target` has a range, `none` is no measure of success.
    healthy: the usual range or shape, in words. kind: how its numbers are written: `signed` carries its sign, `percent` is a
    share (0 to 1) shown as percent, `rate` is tiny and shown as 5.0e-5. Numbers that are percent already have `%` as their unit.
    """

    name: str
    title: str
    unit: str
    direction: Direction
    meaning: str
    group: Group
    healthy: str = ""
    references: tuple[Reference, ...] = ()
    log_scale: bool = False
    kind: Kind = "plain"


# name | title | unit | direction | kind | group | meaning | healthy
_TABLE = """
step               | Step                   | steps              | none   | count   | throughput   | optimiser steps, or updates, done so far |
epoch              | Epoch                  | epochs             | none   | plain   | data         | passes over the training data so far |
tokens             | Tokens                 | tokens             | none   | count   | data         | tokens trained on so far |
samples            | Samples                | samples            | none   | count   | data         | samples, or episodes, trained on so far |
loss               | Loss                   | nat                | down   | plain   | optimisation | what the optimiser brings down, mean since the last row | falls, then levels off; GRPO's is near 0 and says nothing
grad_norm          | Gradient norm          | before clipping    | target | plain   | optimisation | length (L2) of the whole gradient before it is clipped | steady, within a few times its median
learning_rate      | Learning rate          |                    | none   | rate    | optimisation | step size that the scheduler gives the optimiser | follows its schedule, above 0 until the end
token_accuracy     | Token accuracy         | share of tokens    | up     | percent | optimisation | share of next tokens that the model ranks first | climbs, then levels off
nll_loss           | Likelihood loss        | nat                | down   | plain   | optimisation | the supervised part of an ORPO or CPO loss | falls, then levels off
reward_margin      | Margin                 | reward, chosen − rejected | up | signed | preference | how much more the model rewards chosen answers than rejected ones | rises, then levels off
reward_chosen      | Chosen reward          | reward             | up     | signed  | preference   | implicit reward of chosen answers | above the rejected reward; a slow fall is common
reward_rejected    | Rejected reward        | reward             | down   | signed  | preference   | implicit reward of rejected answers | falls, below the chosen reward
reward_accuracy    | Accuracy               | pairs won          | up     | percent | preference   | share of pairs whose chosen answer has the higher reward | climbs from 50 % towards what annotators agree on
logps_chosen       | Chosen log-probability | nat per answer     | up     | signed  | preference   | log-probability of chosen answers under the model | does not fall for long
logps_rejected     | Rejected log-probability | nat per answer   | down   | signed  | preference   | log-probability of rejected answers under the model | falls faster than that of the chosen
logits_chosen      | Chosen logits          | mean logit         | none   | signed  | preference   | mean logit on chosen answers |
logits_rejected    | Rejected logits        | mean logit         | none   | signed  | preference   | mean logit on rejected answers |
log_odds_ratio     | Log odds ratio         | nat                | up     | signed  | preference   | ORPO's preference term: log sigmoid of the log odds | rises towards 0
log_odds_chosen    | Log odds               | nat                | up     | signed  | preference   | ORPO: log odds of chosen over rejected | rises above 0
mean_reward        | Mean reward            | reward             | target | signed  | preference   | mean score that the reward model gives | stays near 0: its zero point is free and drifts
min_reward         | Lowest reward          | reward             | none   | signed  | preference   | lowest score that the reward model gave in the batch | no runaway range
max_reward         | Highest reward         | reward             | none   | signed  | preference   | highest score that the reward model gave in the batch | no runaway range
score_margin       | Score margin           | reward             | up     | signed  | preference   | judged score of the chosen sample minus that of the rejected one |
probe_margin       | Held-out margin        | reward, chosen − rejected | up | signed | preference | implicit reward margin on the same held-out pairs, whatever the trainer | rises, then levels off; above 0
probe_margin_se    | Held-out margin, error | reward             | none   | plain   | preference   | standard error of the held-out margin |
probe_chosen       | Held-out chosen reward | reward             | up     | signed  | preference   | implicit reward of the held-out chosen answers |
probe_rejected     | Held-out rejected reward | reward           | down   | signed  | preference   | implicit reward of the held-out rejected answers |
probe_accuracy     | Held-out accuracy      | pairs won          | up     | percent | preference   | share of held-out pairs whose chosen answer has the higher reward | above 50 %
probe_cost_s       | Probe cost             | s                  | down   | seconds | throughput   | seconds that one measurement of the held-out margin took | about 1 % of training time
reward             | Reward                 | score              | up     | signed  | policy       | mean score of what the policy wrote, without KL penalty | rises, then levels off
rlhf_reward        | Reward after penalty   | score              | up     | signed  | policy       | mean score minus the KL penalty: what PPO maximises | rises
kl_penalty         | KL penalty             | score              | none   | signed  | policy       | part of the reward that the KL penalty takes away |
reward_std         | Reward spread          | score              | target | plain   | policy       | standard deviation of rewards within a group, or batch | above 0: without spread there is nothing to learn from
kl                 | KL                     | nat per token      | target | signed  | policy       | distance of the policy from the reference, per token | rises slowly and stays small
sequence_kl        | KL                     | nat per answer     | target | signed  | policy       | distance of the policy from the reference, summed over an answer | rises slowly, then levels off
kl_coefficient     | KL coefficient         |                    | none   | plain   | policy       | weight of the KL penalty |
entropy            | Entropy                | nat per token      | target | plain   | policy       | how undecided the policy is about its next token | falls slowly, neither to 0 nor up
sequence_entropy   | Entropy                | nat per answer     | target | plain   | policy       | entropy summed over an answer | falls slowly, neither to 0 nor up
approx_kl          | Update KL              | nat                | target | signed  | policy       | distance between the policies before and after an update | below about 0.05
clip_fraction      | Clip fraction          | share of tokens    | target | percent | policy       | share of tokens whose ratio was clipped | below about 30 %
clip_fraction_low  | Clip fraction, low     | share of tokens    | target | percent | policy       | share of tokens clipped at the lower edge |
clip_fraction_high | Clip fraction, high    | share of tokens    | target | percent | policy       | share of tokens clipped at the upper edge |
policy_ratio       | Policy ratio           | new / old          | target | plain   | policy       | mean probability ratio between new and old policy | around 1; 2 or 0.5 is too drastic
policy_ratio_variance | Ratio variance      |                    | down   | plain   | policy       | variance of the probability ratio over minibatches | small
policy_loss        | Policy loss            |                    | none   | signed  | policy       | clipped policy objective; no measure of progress |
value_loss         | Value loss             |                    | down   | plain   | policy       | squared error of the value head | falls, then levels off
value_clip_fraction | Value clip fraction   | share of tokens    | target | percent | policy       | share of values that were clipped | below about 50 %
value_grad_norm    | Value gradient norm    | before clipping    | target | plain   | policy       | length (L2) of the value model's gradient | steady
explained_variance | Explained variance     |                    | up     | signed  | policy       | share of the returns' variance that the value head explains | climbs towards 1; below 0 is worse than guessing the mean
zero_std_fraction  | Groups without spread  | share of groups    | down   | percent | policy       | share of groups whose answers all got the same reward | below 50 %
importance_ratio   | Sampling ratio         | train / rollout    | target | plain   | policy       | importance weight between the training and the sampling engine | between 0.9 and 1.1
logp_difference    | Sampling gap           | nat                | down   | plain   | policy       | mean gap between log-probabilities of training and sampling engine | below about 0.1
completion_length  | Answer length          | tokens             | none   | plain   | policy       | mean length of what the policy wrote | no steep climb while reward is the only thing that rises
completion_length_min | Shortest answer     | tokens             | none   | plain   | policy       | length of the shortest answer |
completion_length_max | Longest answer      | tokens             | none   | plain   | policy       | length of the longest answer |
terminated_length  | Ended answer length    | tokens             | none   | plain   | policy       | mean length of answers that ended by themselves |
truncated_fraction | Truncated answers      | share of answers   | down   | percent | policy       | share of answers that were cut at the length limit | below about 30 %
eos_tokens         | Answers that end       | count              | up     | plain   | policy       | answers in the batch that hold an end token | does not fall to 0
eos_fraction       | Answers that end       | share of answers   | up     | percent | policy       | share of answers that hold an end token | near 100 %
step_time_s        | Step time              | s                  | down   | seconds | throughput   | seconds of a whole training step | steady
data_wait_s        | Data wait              | s                  | down   | seconds | throughput   | seconds of a step spent waiting for its batch | a small share of the step
generation_time_s  | Generation time        | s                  | down   | seconds | throughput   | seconds of a step spent generating answers |
optimizer_time_s   | Optimiser time         | s                  | down   | seconds | throughput   | seconds of a step spent in the optimiser; on a GPU, to queue its kernels | steady, a small share of the step
forward_time_s     | Forward time           | s                  | down   | seconds | throughput   | seconds of a step spent in the forward pass of one process, where several train | steady, alike on all ranks
evaluation_time_s  | Evaluation time        | s                  | down   | seconds | throughput   | seconds that one evaluation took, beside the steps | a small share of the training time
save_time_s        | Checkpoint time        | s                  | down   | seconds | throughput   | seconds that writing one checkpoint took, beside the steps | a small share of the training time
tokens_per_s       | Tokens                 | tokens/s           | up     | plain   | throughput   | tokens trained on a second | steady
samples_per_s      | Samples                | samples/s          | up     | plain   | throughput   | samples, or episodes, trained on a second | steady
mfu                | Model FLOPs used       | share of peak      | up     | percent | throughput   | share of the hardware's peak arithmetic that the model uses | steady
gpu_utilization    | GPU utilisation        | %                  | up     | plain   | gpu          | share of time in which some kernel ran | high and steady
gpu_memory_used_gib | GPU memory            | GiB                | target | plain   | gpu          | device memory in use | below the device's total, not creeping up
gpu_memory_total_gib | GPU memory, total    | GiB                | none   | plain   | gpu          | device memory there is |
gpu_power_w        | GPU power              | W                  | none   | plain   | gpu          | electrical power drawn | near its limit when busy with arithmetic
gpu_power_limit_w  | GPU power limit        | W                  | none   | plain   | gpu          | power that the device may draw |
gpu_temperature_c  | GPU temperature        | °C                 | target | plain   | gpu          | temperature of the device | below about 80 °C
gpu_sm_clock_mhz   | GPU clock              | MHz                | up     | plain   | gpu          | clock of the arithmetic units | steady when busy
gpu_throttled      | GPU throttled          | bit mask           | down   | plain   | gpu          | reasons for which the device slows itself down | 0
host_cpu_percent   | CPU                    | %                  | none   | plain   | host         | processor time used on the whole machine | below 90 %
host_memory_gib    | Memory                 | GiB                | target | plain   | host         | main memory in use | not creeping up
host_memory_total_gib | Memory, total       | GiB                | none   | plain   | host         | main memory there is |
host_disk_read_mib_s | Disk read            | MiB/s              | none   | plain   | host         | read from disks |
host_disk_write_mib_s | Disk written        | MiB/s              | none   | plain   | host         | written to disks |
host_net_sent_mib_s | Network sent          | MiB/s              | none   | plain   | host         | sent over the network |
host_net_received_mib_s | Network received  | MiB/s              | none   | plain   | host         | received over the network |
host_process_cpu_percent | Process CPU      | % of one core      | none   | plain   | host         | processor time of the training process; 100 % is one core |
host_process_memory_gib | Process memory    | GiB                | target | plain   | host         | main memory of the training process | not creeping up
"""

_PREFERENCE_LOSS = ("dpo", "reward")
_REFERENCES: dict[str, tuple[Reference, ...]] = {
    "loss": (Reference(value=math.log(2), label="ln 2", trainers=_PREFERENCE_LOSS),),
    "reward_margin": (Reference(value=0.0, label="0"),),
    "probe_margin": (Reference(value=0.0, label="0"),),
    "reward_accuracy": (Reference(value=0.5, label="coin 50 %"),),
    "probe_accuracy": (Reference(value=0.5, label="coin 50 %"),),
    "policy_ratio": (Reference(value=1.0, label="1"),),
    "importance_ratio": (Reference(value=1.0, label="1"),),
    "explained_variance": (Reference(value=0.0, label="0"),),
}
_LOG_SCALE = frozenset({"grad_norm", "value_grad_norm"})

EVALUATED: tuple[str, ...] = (
    "loss", "token_accuracy", "nll_loss", "entropy", "kl",
    "reward_margin", "reward_chosen", "reward_rejected", "reward_accuracy",
    "logps_chosen", "logps_rejected", "logits_chosen", "logits_rejected", "log_odds_ratio", "log_odds_chosen",
    "mean_reward", "min_reward", "max_reward", "reward", "reward_std", "zero_std_fraction",
    "clip_fraction", "clip_fraction_low", "clip_fraction_high",
    "completion_length", "completion_length_min", "completion_length_max", "terminated_length", "truncated_fraction",
)  # fmt: skip
"""Signals that an evaluation measures too: each has a twin `eval_<signal>`."""


def _parse(line: str) -> Signal:
    """The signal that one line of the table describes. A wrong word is a mistake in this file and raises at import."""
    name, title, unit, direction, kind, group, meaning, healthy = (cell.strip() for cell in line.split("|"))
    for word, words in ((direction, Direction), (kind, Kind), (group, Group)):
        if word not in get_args(words):
            raise AssertionError(f"{name}: {word!r} is none of {get_args(words)}")
    return Signal(
        name=name,
        title=title,
        unit=unit,
        direction=cast(Direction, direction),
        kind=cast(Kind, kind),
        group=cast(Group, group),
        meaning=meaning,
        healthy=healthy,
        references=_REFERENCES.get(name, ()),
        log_scale=name in _LOG_SCALE,
    )


def _evaluated(signal: Signal) -> Signal:
    """The twin of a signal that is measured on held-out data."""
    title = f"Eval {signal.title[0].lower()}{signal.title[1:]}" if not signal.title.startswith("KL") else "Eval KL"
    return replace(signal, name=f"eval_{signal.name}", title=title, meaning=f"on held-out data: {signal.meaning}")


def _table() -> dict[str, Signal]:
    signals = [_parse(line) for line in _TABLE.strip().splitlines()]
    table = {signal.name: signal for signal in signals}
    return table | {twin.name: twin for twin in (_evaluated(table[name]) for name in EVALUATED)}


SIGNALS: dict[str, Signal] = _table()
"""Every canonical signal by name, in the order of the table; the eval twins come last."""
