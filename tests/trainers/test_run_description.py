from __future__ import annotations

import json
from typing import Any

import pytest

from runvitals.trainers.description import describe_model, plain

TOKEN = "hf_" + "a" * 30


@pytest.mark.parametrize(
    "settings",
    [
        {"hub_token": "x"},
        {"push_to_hub_token": None},
        {"OPENAI_API_KEY": "x"},
        {"model_init_kwargs": {"token": "x"}},
        {"deep": [{"er": {"client_secret": "x"}}]},
        {"note": TOKEN},
        {"args": ["--token", TOKEN]},
        {"server": "https://me:pass@host/path"},
    ],
)
def test_no_secret_gets_into_a_config(settings: dict[str, Any]) -> None:
    told = json.dumps(plain(settings))

    assert "pass" not in told
    assert TOKEN not in told
    assert '"x"' not in told


def test_settings_that_only_sound_like_secrets_are_kept() -> None:
    settings = {"eos_token": "</s>", "include_num_input_tokens_seen": "all", "max_token": 3, "key_field": "text"}

    assert plain(settings) == {"eos_token": "</s>", "include_num_input_tokens_seen": "all", "key_field": "text"}


def test_sets_and_enumerations_become_json() -> None:
    from enum import Enum

    class Choice(Enum):
        STEPS = "steps"

    assert plain({"a": {"q", "k"}, "b": Choice.STEPS, "c": (1, 2.5, None)}) == {
        "a": ["k", "q"],
        "b": "steps",
        "c": [1, 2.5, None],
    }


def test_a_model_is_told_by_its_shape_and_size(tiny: Any) -> None:
    model = tiny.policy()
    model.lm_head.weight.requires_grad_(False)
    told = describe_model(model)

    assert told["class"] == "LlamaForCausalLM"
    assert told["num_hidden_layers"] == 2
    assert told["parameters"] - told["trainable_parameters"] == 24 * 32
    assert told["dtype"] == "float32"
