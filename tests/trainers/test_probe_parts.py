from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from runvitals.errors import SettingsError
from runvitals.trainers.callback import Callback
from runvitals.trainers.pairs import batched, checked_pairs, tokenise
from runvitals.trainers.probe import MarginProbe, log_probabilities, margin_of, why_not
from runvitals.trainers.probing import length_limit, probe_beta
from runvitals.trainers.unwrap import untouched, unwrap_optimizer, unwrap_policy


def test_a_pair_without_a_side_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="pair 1 has no 'rejected'"):
        checked_pairs([{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": "a", "chosen": "b"}])


def test_no_pairs_at_all_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least one"):
        checked_pairs([])


@pytest.mark.parametrize("budget", [0.0, -1.0, 1.5, math.nan])
def test_a_budget_outside_of_zero_and_one_is_refused(budget: float) -> None:
    with pytest.raises(SettingsError, match="probe_budget"):
        Callback(probe_budget=budget)


def test_plain_text_ends_with_the_end_token_once(tiny: Any) -> None:
    pairs = [{"prompt": "say: fire is", "chosen": " warm", "rejected": " cold<eos>"}]
    tokens = tokenise(pairs, tiny.tokenizer, None)

    assert [tiny.tokenizer.decode(sequence.ids) for sequence in tokens.sequences] == [
        "say: fire is warm <eos>",
        "say: fire is cold <eos>",
    ]
    assert [sequence.prompt for sequence in tokens.sequences] == [3, 3]


def test_conversations_go_through_the_chat_template(tiny: Any) -> None:
    pair = {
        "prompt": [{"role": "user", "content": "fire is"}],
        "chosen": [{"role": "assistant", "content": "say: warm"}],
        "rejected": [{"role": "assistant", "content": "say: cold"}],
    }
    tokens = tokenise([pair], tiny.tokenizer, None)

    assert [tiny.tokenizer.decode(sequence.ids) for sequence in tokens.sequences] == [
        "fire is say: warm",
        "fire is say: cold",
    ]
    assert tokens.sequences[0].prompt == 3  # with the generation prompt


def test_long_completions_lose_their_end_and_too_long_prompts_are_left_out(tiny: Any) -> None:
    pairs = [
        {"prompt": "say: fire is", "chosen": " warm warm warm", "rejected": " cold"},
        {"prompt": "say: fire is is is is", "chosen": " warm", "rejected": " cold"},
    ]
    tokens = tokenise(pairs, tiny.tokenizer, 5)

    assert (tokens.count, tokens.truncated, tokens.dropped) == (1, 1, 1)
    assert len(tokens.sequences[0].ids) == 5


def test_batches_hold_every_sequence_once_and_keep_to_their_size(tiny: Any) -> None:
    tokens = tokenise(tiny.pairs(20), tiny.tokenizer, None)
    batches = batched(tokens, tokens=40, padding=0)

    assert sorted(int(place) for batch in batches for place in batch.places) == list(range(40))
    assert len(batches) > 1
    assert all(batch.ids.numel() <= 40 for batch in batches)


def test_one_sequence_larger_than_a_batch_still_gets_one(tiny: Any) -> None:
    tokens = tokenise(tiny.pairs(2), tiny.tokenizer, None)

    assert len(batched(tokens, tokens=1, padding=0)) == 4


def test_log_probabilities_are_those_of_a_plain_computation_whatever_the_batches(tiny: Any) -> None:
    model = tiny.policy()
    tokens = tokenise(tiny.pairs(6), tiny.tokenizer, None)
    expected = []
    with torch.no_grad():
        model.eval()
        for sequence in tokens.sequences:
            logits = model(torch.tensor([sequence.ids])).logits[0].log_softmax(-1)
            places = range(sequence.prompt, len(sequence.ids))
            expected.append(sum(logits[place - 1, sequence.ids[place]].item() for place in places))

    for size in (1, 30, 10_000):
        with untouched(model):
            found = log_probabilities(model, batched(tokens, tokens=size, padding=0), tokens=size)
        assert found.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning:transformers.*")
@pytest.mark.parametrize("adapters", [False, True])
def test_a_long_sequence_is_taken_in_slices_and_no_more_logits_are_ever_made(tiny: Any, adapters: bool) -> None:
    model = tiny.policy()
    if adapters:
        peft = pytest.importorskip("peft")
        model = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    long = {"prompt": "say: fire is", "chosen": " warm" * 40, "rejected": " cold" * 30}
    tokens = tokenise([long], tiny.tokenizer, None)
    with untouched(model):
        whole = log_probabilities(model, batched(tokens, tokens=10_000, padding=0), tokens=10_000)
        made: list[int] = []
        hook = model.get_output_embeddings().register_forward_hook(
            lambda _module, _inputs, output: made.append(output.shape[0] * output.shape[1])
        )
        sliced = log_probabilities(model, batched(tokens, tokens=7, padding=0), tokens=7)
        hook.remove()

    assert sliced.tolist() == pytest.approx(whole.tolist(), abs=1e-4)
    assert max(made) == 7


def test_a_model_that_cannot_make_slices_gives_the_same_numbers(tiny: Any) -> None:
    inner = tiny.policy()

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
            return self.inner(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    tokens = tokenise(tiny.pairs(3), tiny.tokenizer, None)
    batches = batched(tokens, tokens=3, padding=0)
    with untouched(inner):
        assert log_probabilities(Plain(), batches, tokens=3).tolist() == pytest.approx(
            log_probabilities(inner, batches, tokens=3).tolist(), abs=1e-5
        )


def test_a_look_leaves_no_trace(tiny: Any) -> None:
    model = tiny.policy()
    model.train()
    model.model.layers[0].eval()
    model.lm_head.weight.requires_grad_(False)
    flags = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with untouched(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
        torch.rand(3)
        for parameter in model.parameters():
            parameter.requires_grad_(True)

    assert [module.training for module in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.lm_head.weight.requires_grad
    assert torch.is_grad_enabled()


def test_a_look_that_fails_leaves_no_trace_either(tiny: Any) -> None:
    model = tiny.policy()
    model.train()
    with pytest.raises(RuntimeError), untouched(model):
        raise RuntimeError

    assert all(module.training for module in model.modules())


def test_a_margin_is_the_mean_difference_and_a_tie_is_half_a_win() -> None:
    margin = margin_of(torch.tensor([1.0, 2.0, 3.0, 4.0, 1.0, 0.0, 3.0, 5.0], dtype=torch.float64), 0.5)

    assert (margin.chosen, margin.rejected, margin.margin) == (2.5, 2.25, 0.25)
    assert margin.accuracy == (0.5 + 1 + 0.5 + 0) / 4
    deviation = math.sqrt(sum((value - 0.25) ** 2 for value in (0, 2, 0, -1)) / 3)
    assert margin.margin_se == pytest.approx(deviation / 2)
    assert margin.row()["probe/cost_s"] == 0.5


def test_one_pair_has_no_standard_error_and_nan_is_not_a_win() -> None:
    assert math.isnan(margin_of(torch.tensor([1.0, 0.0]), 0.0).margin_se)
    broken = margin_of(torch.tensor([math.nan, 1.0, 0.0, 0.0]), 0.0)
    assert math.isnan(broken.margin)
    assert math.isnan(broken.accuracy)


def test_a_reading_is_due_where_one_more_stays_within_the_budget(tiny: Any) -> None:
    tokens = tokenise(tiny.pairs(2), tiny.tokenizer, None)
    probe = MarginProbe(tokens, beta=0.1, budget=0.01, vocabulary=24, padding=0)
    probe.spent_s, probe._last_cost_s = 2.0, 1.0

    assert not probe.due(299.0)
    assert probe.due(300.0)


def test_a_reference_is_taken_over_only_for_the_same_pairs(tiny: Any) -> None:
    model = tiny.policy()
    probe = MarginProbe(tokenise(tiny.pairs(4), tiny.tokenizer, None), beta=0.1, budget=1.0, vocabulary=24, padding=0)
    assert probe.state() == {}
    reference = probe.take_reference(model, None)
    kept = probe.state()

    again = MarginProbe(probe.pairs, beta=0.1, budget=1.0, vocabulary=24, padding=0)
    assert again.restore(kept)
    assert again.reference is not None
    assert torch.equal(again.reference.log_probabilities, reference.log_probabilities)
    other = tokenise(tiny.pairs(4, seed=99), tiny.tokenizer, None)
    assert not MarginProbe(other, beta=0.1, budget=1.0, vocabulary=24, padding=0).restore(kept)


def test_a_reading_without_a_reference_is_an_error(tiny: Any) -> None:
    tokens = tokenise(tiny.pairs(2), tiny.tokenizer, None)
    with pytest.raises(RuntimeError, match="before it had a reference"):
        MarginProbe(tokens, beta=0.1, budget=1.0, vocabulary=24, padding=0).read(tiny.policy(), 1)


@pytest.mark.parametrize(
    ("kind", "beta", "expected"), [("dpo", 0.3, 0.3), ("grpo", 0.04, 0.1), ("grpo", 0.0, 0.1), ("sft", None, 0.1)]
)
def test_beta_is_the_trainers_where_it_means_the_same(kind: str, beta: float | None, expected: float) -> None:
    assert probe_beta(SimpleNamespace(beta=beta), kind) == expected


@pytest.mark.parametrize(("wanted", "limit"), [(None, 64), (16, 16), (512, 64)])
def test_the_length_limit_never_exceeds_the_models_positions(tiny: Any, wanted: int | None, limit: int) -> None:
    assert length_limit(SimpleNamespace(max_length=wanted), tiny.policy()) == limit


def test_a_sharded_model_is_not_probed() -> None:
    sharded = torch.nn.Linear(2, 2)
    sharded.weight = torch.nn.Parameter(torch.empty(0))

    assert "sharded" in str(why_not(sharded, "sft"))
    assert why_not(torch.nn.Linear(2, 2), "sft") is None


def test_the_policy_is_found_under_its_wrappers() -> None:
    policy = torch.nn.Linear(2, 2)
    pair = torch.nn.Module()
    pair.policy, pair.value_model = policy, torch.nn.Linear(2, 2)
    parallel = torch.nn.Module()
    parallel.module = pair

    assert unwrap_policy(parallel) is policy
    assert unwrap_policy(policy) is policy


def test_the_optimizer_is_found_under_accelerates_wrapper() -> None:
    inner = object()
    assert unwrap_optimizer(SimpleNamespace(optimizer=inner)) is inner
    assert unwrap_optimizer(inner) is inner
