"""Entropy, ratios, clipping, value head, length, engines and reward of PPO and GRPO: what fires and what must not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, RunContext
from tests.diagnostics.faults import reinforced, to_rows

Values = dict[str, float | None]
SEEDS = range(5)


def alerts(values: list[Values], rule: str = "", *, trainer: str = "grpo") -> list[Alert]:
    """The alerts of one rule of the catalogue, or of all, over rows at steps 1, 2, …"""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer=trainer, max_steps=len(values)))
    for row in to_rows(values):
        engine.feed(row)
    assert [state for state in engine.states() if state.error] == []
    return [alert for alert in engine.alerts() if rule in ("", alert.rule)]


def severities(values: list[Values], rule: str, *, trainer: str = "grpo") -> set[str]:
    return {alert.severity for alert in alerts(values, rule, trainer=trainer)}


def run(seed: int = 1, count: int = 200, **change: Callable[[int, random.Random], float]) -> list[Values]:
    """A healthy GRPO run with these signals put in, each a function of the row and a source of noise."""
    draw = random.Random(seed)
    names = {name: name.replace("__", "/") for name in change}
    return [
        {**row, **{names[name]: course(place, draw) for name, course in change.items()}}
        for place, row in enumerate(reinforced(count, seed))
    ]


def flat(place: int, draw: random.Random) -> float:
    return 1.0 + draw.gauss(0, 0.1)


def climbing(place: int, draw: random.Random) -> float:
    return place / 100 + draw.gauss(0, 0.1)


def falling(place: int, draw: random.Random) -> float:
    return 1.0 - place / 150 + draw.gauss(0, 0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_entropy_that_triples_is_a_warning_only_where_the_reward_gains_nothing(seed: int) -> None:
    def entropy(place: int, draw: random.Random) -> float:
        return 0.8 + min(place, 120) / 60 + draw.gauss(0, 0.03)

    assert severities(run(seed, entropy=entropy, reward=flat), "entropy_explosion") == {"warning"}
    assert severities(run(seed, entropy=entropy, reward=climbing), "entropy_explosion") <= {"info"}
    assert severities(run(seed, entropy=lambda p, d: 0.01 + p / 10_000, reward=flat), "entropy_explosion") == set()


def test_entropy_four_times_the_start_with_a_lost_reward_is_critical() -> None:
    found = run(entropy=lambda place, draw: 0.8 + place / 40, reward=falling)
    assert severities(found, "entropy_explosion") == {"critical"}


@pytest.mark.parametrize(
    ("ratio", "kl", "said"),
    [(1.0, 0.03, set()), (1.4, 0.03, {"warning"}), (2.5, 0.03, {"critical"}), (0.4, 0.0, {"critical"}),
     (1.0, 0.3, {"warning"}), (1.0, -3.0, {"critical"})],
)  # fmt: skip
def test_drastic_updates_are_told_by_their_size(ratio: float, kl: float, said: set[str]) -> None:
    values = run(val__ratio=lambda place, draw: ratio, policy__approxkl_avg=lambda place, draw: kl)
    assert severities(values, "ratio_blowup", trainer="ppo") == said


def test_single_drastic_update_is_none() -> None:
    values = run(val__ratio=lambda place, draw: 3.0 if place in (0, 50, 90) else 1.0 + draw.gauss(0, 0.02))
    assert severities(values, "ratio_blowup", trainer="ppo") == set()


@pytest.mark.parametrize(("share", "said"), [(0.0, set()), (0.25, set()), (0.4, {"info"}), (0.7, {"warning"})])
def test_clipped_share_is_told_by_its_size(share: float, said: set[str]) -> None:
    values = run(policy__clipfrac_avg=lambda place, draw: share + draw.uniform(-0.04, 0.04))
    assert severities(values, "clipping_excessive", trainer="ppo") == said


def test_value_loss_that_grows_is_a_warning_only_where_the_reward_gains_nothing() -> None:
    def loss(place: int, draw: random.Random) -> float:
        return 2.0 * math.exp(draw.gauss(0, 0.3)) * (1.0 if place < 100 else 12.0)

    assert severities(run(loss__value_avg=loss, reward=flat), "value_collapse", trainer="ppo") == {"warning"}
    assert severities(run(loss__value_avg=loss, reward=climbing), "value_collapse", trainer="ppo") == {"info"}
    healthy = run(loss__value_avg=lambda place, draw: 4 * 0.98**place * math.exp(draw.gauss(0, 0.5)))
    assert severities(healthy, "value_collapse", trainer="ppo") == set()


@pytest.mark.parametrize(("explained", "said"), [(0.6, set()), (-0.2, {"info"}), (-2.0, {"warning"})])
def test_value_head_that_is_worse_than_the_mean_is_told(explained: float, said: set[str]) -> None:
    values = run(explained_variance=lambda place, draw: explained + draw.gauss(0, 0.02))
    assert severities(values, "value_collapse", trainer="ppo") == said


def cut(place: int, draw: random.Random) -> float:
    return 0.1 if place < 60 else 0.99


def test_answers_that_come_to_be_cut_off_are_judged_by_the_reward() -> None:
    assert severities(run(completions__clipped_ratio=cut, reward=flat), "answers_truncated") == {"warning"}
    assert severities(run(completions__clipped_ratio=cut, reward=falling), "answers_truncated") == {"critical"}
    most = run(completions__clipped_ratio=lambda place, draw: 0.1 if place < 60 else 0.85, reward=climbing)
    assert severities(most, "answers_truncated") == {"info"}
    always = run(completions__clipped_ratio=lambda place, draw: 0.9, reward=flat)
    assert severities(always, "answers_truncated") == {"info"}
    assert severities(run(completions__clipped_ratio=lambda p, d: 0.3), "answers_truncated") == set()


def test_answers_that_are_all_cut_off_are_a_warning_though_the_reward_climbs() -> None:
    """A reward that grows while no answer ends pays for something else than the answer; a few rows of many steps are enough."""
    assert severities(run(completions__clipped_ratio=cut, reward=climbing), "answers_truncated") == {"warning"}
    hacked = [0.0] * 4 + [0.04, 0.42] + [0.98] * 9
    few = run(count=15, completions__clipped_ratio=lambda place, draw: hacked[place], reward=climbing)
    assert severities(few, "answers_truncated") == {"warning"}
    always = run(completions__clipped_ratio=lambda place, draw: 0.99, reward=climbing)
    assert severities(always, "answers_truncated") == {"info"}


def test_answers_that_no_longer_end_are_a_warning() -> None:
    stopped = run(val__num_eos_tokens=lambda place, draw: 8.0 if place < 80 else 0.0)
    assert severities(stopped, "answers_truncated", trainer="ppo") == {"warning"}
    never = run(val__num_eos_tokens=lambda place, draw: 0.0)
    assert severities(never, "answers_truncated", trainer="ppo") == set()


def longer(place: int, draw: random.Random) -> float:
    return 100.0 + 4 * place + draw.gauss(0, 5)


def test_length_that_gains_nothing_is_a_warning_and_one_that_explains_the_reward_is_information() -> None:
    assert severities(run(completions__mean_length=longer, reward=flat), "length_hacking") == {"warning"}
    assert severities(run(completions__mean_length=longer, reward=climbing), "length_hacking") == {"info"}
    short = run(completions__mean_length=lambda place, draw: 100.0 if place < 40 else 5.0, reward=flat)
    assert severities(short, "length_hacking") == {"warning"}
    steady = run(completions__mean_length=lambda place, draw: 100 + draw.gauss(0, 20), reward=flat)
    assert severities(steady, "length_hacking") == set()


@pytest.mark.parametrize(
    ("ratio", "gap", "said"),
    [(1.0, 0.02, set()), (1.0, 0.2, {"info"}), (1.15, 0.0, {"info"}), (0.7, 0.0, {"warning"}), (3.0, 0.0, {"critical"})],
)  # fmt: skip
def test_engines_that_disagree_are_told_by_how_much(ratio: float, gap: float, said: set[str]) -> None:
    values = run(
        sampling__importance_sampling_ratio__mean=lambda place, draw: ratio + draw.gauss(0, 0.01),
        sampling__sampling_logp_difference__mean=lambda place, draw: gap,
    )
    assert severities(values, "engine_mismatch") == said


@pytest.mark.parametrize("seed", SEEDS)
def test_reward_that_loses_all_it_had_is_told(seed: int) -> None:
    def lost(place: int, draw: random.Random) -> float:
        return (min(place, 100) / 50 if place < 120 else 0.0) + draw.gauss(0, 0.15)

    assert severities(run(seed, reward=lost), "reward_collapse") == {"warning"}
    worse = run(seed, reward=lambda place, draw: lost(place, draw) - (3.0 if place >= 120 else 0.0))
    assert severities(worse, "reward_collapse") == {"critical"}


@pytest.mark.parametrize("seed", range(10))
def test_rewards_that_climb_level_off_or_only_scatter_do_not_collapse(seed: int) -> None:
    def scattered(place: int, draw: random.Random) -> float:
        return draw.choice((0.0, 0.0, 0.5, 2.5))

    for course in (climbing, flat, scattered):
        assert severities(run(seed, 400, reward=course), "reward_collapse") == set()


def test_reward_that_is_the_same_to_the_last_digit_is_a_fault_unless_it_has_risen_there() -> None:
    constant = run(reward=lambda place, draw: 1.0)
    (found,) = alerts(constant, "reward_constant", trainer="ppo")
    assert (found.severity, found.onset_step) == ("critical", 1)
    solved = run(reward=lambda place, draw: min(place / 40, 1.0))
    assert {alert.severity for alert in alerts(solved, "reward_constant", trainer="ppo")} == {"info"}
    lost = run(reward=lambda place, draw: 0.5 + draw.gauss(0, 0.1) if place < 60 else 0.0)
    assert {alert.severity for alert in alerts(lost, "reward_constant", trainer="ppo")} == {"critical"}
    coarse = run(reward=lambda place, draw: draw.choice((0.0, 0.0, 0.0, 1.0)))
    assert alerts(coarse, "reward_constant", trainer="ppo") == []


def test_flat_reward_is_information_late_in_a_run() -> None:
    assert severities(run(reward=flat), "reward_flat") == {"info"}
    assert severities(run(reward=climbing), "reward_flat") == set()


def evaluated(held_out: Callable[[int], float], *, key: str = "eval_reward") -> list[Values]:
    """A run whose reward climbs, evaluated every 20 rows."""
    made: list[Values] = []
    for place, row in enumerate(run(reward=climbing)):
        made.append(row)
        if place % 20 == 19:
            made.append({key: held_out(place // 20)})
    return made


def test_reward_that_rises_while_the_evaluation_falls_is_goodharts_law() -> None:
    found = alerts(evaluated(lambda n: 1.0 + 0.2 * min(n, 2) - 0.3 * max(n - 2, 0)), "reward_overoptimisation")
    assert [alert.severity for alert in found] == ["critical"]
    assert "Goodhart" in found[0].sentence and found[0].onset_step is not None
    assert {a.severity for a in alerts(evaluated(lambda n: 1.0 - 0.2 * n, key="probe/margin"), "reward_overoptimisation")} == {"info"}  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_evaluations_that_rise_or_scatter_are_no_overoptimisation(seed: int) -> None:
    draw = random.Random(seed)
    for held_out in (lambda n: 0.1 * n, lambda n: 1 + draw.gauss(0, 0.1), lambda n: 0.5):
        assert alerts(evaluated(held_out), "reward_overoptimisation") == []


@pytest.mark.parametrize("seed", SEEDS)
def test_healthy_run_with_every_signal_of_a_policy_is_quiet(seed: int) -> None:
    values = run(
        seed, 400,
        policy__clipfrac_avg=lambda p, d: d.uniform(0.0, 0.2),
        val__ratio=lambda p, d: 1 + d.gauss(0, 0.03),
        policy__approxkl_avg=lambda p, d: d.uniform(0.0, 0.05),
        loss__value_avg=lambda p, d: 2 * 0.99**p * math.exp(d.gauss(0, 0.5)),
        explained_variance=lambda p, d: min(0.8, -0.3 + p / 50) + d.gauss(0, 0.05),
        completions__mean_length=lambda p, d: 200 + p / 4 + d.gauss(0, 30),
        completions__clipped_ratio=lambda p, d: d.uniform(0.0, 0.4),
        val__num_eos_tokens=lambda p, d: 8.0,
        sampling__importance_sampling_ratio__mean=lambda p, d: 1 + d.gauss(0, 0.02),
        sampling__sampling_logp_difference__mean=lambda p, d: 0.02,
    )  # fmt: skip
    for trainer in ("grpo", "ppo"):
        assert [alert for alert in alerts(values, trainer=trainer) if alert.severity != "info"] == []
