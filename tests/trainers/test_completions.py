"""What the policy says: answers to held-out prompts and rollouts, in real trainings that cannot tell that anyone asked."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from runvitals.trainers.callback import Callback
from runvitals.trainers.completions import (
    NEW_TOKENS,
    PROMPTS,
    ROLLOUTS_PER_RUN,
    TEXT_CHARACTERS,
    Answers,
    Rollouts,
    told,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
    pytest.mark.filterwarnings("ignore::UserWarning:(trl|transformers|torch|accelerate|peft|datasets).*"),
]


def said(run: Any, source: str) -> list[tuple[int, list[dict[str, Any]]]]:
    return [
        (entry[3], entry[2]["rows"])
        for entry in run.told
        if entry[0] == "event" and entry[1] == "completions" and entry[2]["source"] == source
    ]


@pytest.fixture
def run(fake_run: Any) -> Any:
    """The fake run, keeping the step of an event too."""

    def event(kind: str, data: dict[str, Any], step: int | None = None) -> None:
        fake_run.told.append(("event", kind, dict(data), step))

    fake_run.event = event
    return fake_run


def eager(run: Any, pairs: list[dict[str, str]]) -> Callback:
    """A callback that asks at every step, whatever it costs."""
    callback = Callback(run=run, pairs=pairs)
    callback._budget = 1e9
    return callback


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sft_lora", "dpo", "ppo"])
def test_policy_answers_held_out_prompts_at_the_beginning_over_time_and_at_the_end(
    trainings: Any, tiny: Any, run: Any, kind: str
) -> None:
    pairs = tiny.pairs(12, seed=9)
    trainings.build(kind, eager(run, pairs)).train()

    told_rows = said(run, "held-out")
    assert [step for step, _ in told_rows] == [0, 1, 2, 3, 4, 5, 6]
    for _, rows in told_rows:
        assert [(row["prompt"], row["chosen"], row["rejected"]) for row in rows] == [
            (pair["prompt"], pair["chosen"], pair["rejected"]) for pair in pairs[:PROMPTS]
        ]
        assert all(isinstance(row["completion"], str) for row in rows)
    assert run.events("fault") == []


@pytest.mark.slow
def test_grpo_tells_the_best_and_the_worst_rollout_with_rewards(trainings: Any, run: Any) -> None:
    trainings.build("grpo", Callback(run=run)).train()

    rollouts = said(run, "rollout")
    assert [step for step, _ in rollouts] == [2, 4, 6]  # at each log
    for _, rows in rollouts:
        assert rows and rows[0]["prompt"].startswith("say:")
        assert all(row["rewards"]["length"] == len(row["completion"]) for row in rows)
        best, worst = rows[0], rows[1] if len(rows) > 1 and rows[1]["prompt"] == rows[0]["prompt"] else rows[0]
        assert best["advantage"] >= worst["advantage"]
    assert said(run, "held-out") == []


class Kept:
    """A trainer that keeps rollouts as GRPOTrainer does."""

    def __init__(self, prompts: list[str], advantages: list[float]) -> None:
        texts = [f"{prompt}-{place}" for place, prompt in enumerate(prompts)]
        self._logs = {"prompt": prompts, "completion": texts, "advantages": advantages, "rewards": {"r": advantages}}


def test_newest_two_groups_with_their_best_and_worst_and_nan_counts_as_worst() -> None:
    trainer = Kept(["a", "a", "b", "b", "b", "c", "c"], [9.0, 8.0, 0.5, math.nan, 0.1, -1.0, 2.0])
    rows = Rollouts(trainer, steps=10).read(3)
    assert [row["completion"] for row in rows] == ["c-6", "c-5", "b-2", "b-3"]
    assert math.isnan(rows[3]["rewards"]["r"])


def test_rollouts_are_bounded_over_a_run() -> None:
    trainer = Kept(["a", "a"], [0.0, 1.0])
    rollouts = Rollouts(trainer, steps=10 * ROLLOUTS_PER_RUN)
    count = sum(bool(rollouts.due(step) and rollouts.read(step)) for step in range(1, 10 * ROLLOUTS_PER_RUN + 1))
    assert count == ROLLOUTS_PER_RUN


def test_trainer_that_is_gone_or_has_generated_nothing_tells_nothing() -> None:
    trainer = Kept([], [])
    rollouts = Rollouts(trainer, steps=10)
    assert rollouts.read(1) == []
    assert rollouts.due(1)  # nothing was told, so it is asked again
    del trainer
    assert rollouts.read(1) == []


def test_answers_stay_within_their_budget(tiny: Any) -> None:
    answers = Answers(tiny.pairs(8), tiny.tokenizer, budget=0.01, limit=64)
    answers.read(tiny.policy(), 0)
    assert answers.spent_s > 0
    assert not answers.due(100 * answers.spent_s)  # one more would double what was spent
    assert answers.due(201 * answers.spent_s)


def test_answer_is_what_the_policy_says_after_the_prompt_alone(tiny: Any) -> None:
    """Padding on the left changes nothing: each prompt answered alone gives the same text."""
    pairs = [*tiny.pairs(3, seed=1), {"prompt": "say:", "chosen": " good", "rejected": " bad"}]
    policy = tiny.policy(seed=4)
    together = Answers(pairs, tiny.tokenizer, budget=1.0, limit=40).read(policy, 0)
    alone = [Answers([pair], tiny.tokenizer, budget=1.0, limit=40).read(policy, 0)[0] for pair in pairs]
    assert all(row["completion"] for row in alone)
    for one, other in zip(together, alone, strict=True):
        assert one["completion"].split()[:30] == other["completion"].split()[:30]  # the length limit leaves 36 or more


def test_answers_never_pass_the_length_limit_and_skip_prompts_that_fill_it(tiny: Any) -> None:
    long = {"prompt": "say: " + "apple " * 60, "chosen": " good", "rejected": " bad"}
    policy = tiny.policy()
    answers = Answers([long, *tiny.pairs(2)], tiny.tokenizer, budget=1.0, limit=64)
    assert answers.count == 2
    assert Answers([long], tiny.tokenizer, budget=1.0, limit=64).count == 0
    for row in answers.read(policy, 0):
        assert len(tiny.tokenizer(row["completion"])["input_ids"]) <= NEW_TOKENS


def test_long_texts_are_cut_and_say_so() -> None:
    row = told({"prompt": "x" * (TEXT_CHARACTERS + 5), "completion": "y", "advantage": math.nan})
    assert len(row["prompt"]) == TEXT_CHARACTERS
    assert row["cut"] == {"prompt": TEXT_CHARACTERS + 5}
    assert math.isnan(row["advantage"])


def test_messages_become_text_with_roles() -> None:
    row = told({"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]})
    assert row["prompt"] == "user: Hi\nassistant: Yes"


def test_random_numbers_and_modes_are_as_before(tiny: Any) -> None:
    policy = tiny.policy(attention_dropout=0.1).train()
    before = torch.random.get_rng_state()
    Answers(tiny.pairs(2), tiny.tokenizer, budget=1.0, limit=64).read(policy, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert policy.training
    assert all(parameter.requires_grad for parameter in policy.parameters())
