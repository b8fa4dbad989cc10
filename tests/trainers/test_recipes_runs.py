"""Every recipe trains for real, by itself and with its faults, and the journals show each fault by its effect.

All runs of this file are one fleet, started once: imports cost more than the training.
"""

from __future__ import annotations

import itertools
import json
import math
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors import journal
from runvitals.collectors.records import Event, Rows, Start
from runvitals.trainers.recipes.fleet import Entry

pytestmark = pytest.mark.slow

STEPS = 10
ONSET = 4

FLEET_SCRIPT = """
import json, sys
from pathlib import Path
from runvitals.trainers.recipes import fleet
home = Path(sys.argv[1])
entries = [fleet.Entry(**row) for row in json.loads(sys.argv[2])]
handles = fleet.launch(entries, home)
fleet.wait(handles, silence_s=3.0, say=lambda line: None)
print(json.dumps({handle.entry.name: handle.exit_code for handle in handles}))
"""

LOCAL_SCRIPT = """
import json, sys
from pathlib import Path
from runvitals.trainers.recipes import toy_data, toy_model
home = Path(sys.argv[1])
tokenizer = toy_model.make_tokenizer()
toy_model.new_model(tokenizer, seed=1).save_pretrained(home / "model")
tokenizer.save_pretrained(home / "model")
(home / "data").mkdir()
for split, seed in (("train", 1), ("test", 2)):
    rows = [json.dumps(row) for row in toy_data.pairs(64, seed=seed)]
    (home / "data" / f"{split}.jsonl").write_text(chr(10).join(rows))
"""


def entry(name: str, recipe: str, *arguments: str, hangs: bool = False) -> dict[str, Any]:
    steps = ("--total_episodes", str(32 * STEPS)) if recipe == "ppo" else ("--max_steps", str(STEPS))
    return {"name": name, "recipe": recipe, "arguments": (*steps, *arguments), "hangs": hangs}


def entries(home: Path) -> list[dict[str, Any]]:
    real = ("--model_name_or_path", str(home / "model"), "--dataset_name", str(home / "data"))
    cpu = ("--use_cpu", "--bf16", "false", "--logging_steps", "1", "--eval_strategy", "steps", "--eval_steps", "5")
    output = ("--output_dir", str(home / "out"), "--save_strategy", "no")
    return [
        *(entry(recipe, recipe) for recipe in ("pretrain", "sft", "reward", "dpo", "ppo", "grpo")),
        entry("dpo-lora", "dpo", "--use_peft", "--lora_target_modules", "q_proj", "v_proj"),
        entry("dpo-real", "dpo", *real, *cpu, *output),
        entry("ramp", "sft", "--inject", "lr_ramp"),
        entry("still", "dpo", "--inject", "zero_lr"),
        entry("nan", "sft", "--inject", "nan"),
        entry("slow", "sft", "--inject", "slow_loader"),
        entry("crash", "dpo", "--inject", "crash"),
        entry("ppo-crash", "ppo", "--inject", "crash"),
        entry("hang", "sft", "--inject", "hang", hangs=True),
        entry("flipped", "reward", "--inject", "flipped_labels"),
        entry("constant-grpo", "grpo", "--inject", "constant_reward"),
        entry("constant-ppo", "ppo", "--inject", "constant_reward", "--missing_eos_penalty", "none"),
        entry("hack", "ppo", "--inject", "reward_hack"),
    ]


@dataclass
class Recorded:
    """What one run left: its start, its rows by step, its events."""

    start: Start
    series: dict[str, dict[int, float]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def happened(self, kind: str) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.kind == kind]


@dataclass(frozen=True)
class Fleet:
    """All runs of the fleet by name, and their exit codes."""

    exits: dict[str, int]
    runs: dict[str, Recorded]
    home: Path


def read_run(folder: Path) -> Recorded:
    records = [record for path in sorted(folder.glob("*.rvj")) for record in journal.read(path).records]
    start = next(record for record in records if isinstance(record, Start))
    run = Recorded(start)
    for record in records:
        if isinstance(record, Event):
            run.events.append(record)
        if isinstance(record, Rows):
            for row in range(record.count):
                _, step, *values = struct.unpack_from(f"<dq{len(record.keys)}d", record.body, row * record.row_bytes)
                for key, value in zip(record.keys, values, strict=True):
                    run.series.setdefault(key, {})[step] = value
    return run


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    home = tmp_path_factory.mktemp("fleet")
    subprocess.run([sys.executable, "-c", LOCAL_SCRIPT, str(home)], check=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", FLEET_SCRIPT, str(home), json.dumps(entries(home))],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    exits = json.loads(done.stdout.splitlines()[-1])
    runs = {run.start.name: run for run in map(read_run, (home / "journal").iterdir())}
    return Fleet(exits=exits, runs=runs, home=home)


def after_onset(series: dict[int, float]) -> list[float]:
    return [value for step, value in sorted(series.items()) if step > ONSET]


@pytest.mark.parametrize("name", ["pretrain", "sft", "reward", "dpo", "ppo", "grpo", "dpo-lora", "dpo-real"])
def test_a_recipe_runs_to_its_end_and_logs_every_step(fleet: Fleet, name: str) -> None:
    assert fleet.exits[name] == 0, (fleet.home / "fleet" / f"{name}.log").read_text()[-3000:]
    run = fleet.runs[name]
    recipe = name.partition("-")[0]
    assert run.happened("trainer")[0]["kind"] == recipe
    assert run.happened("finish")[0]["status"] == "finished"
    assert not run.happened("fault")
    assert run.start.config["injected_fault"] is None
    logged = run.series["objective/kl" if recipe == "ppo" else "loss"]
    assert sorted(logged) == list(range(1, STEPS + 1))
    assert all(math.isfinite(value) for value in run.series["grad_norm"].values())


@pytest.mark.parametrize("name", ["sft", "dpo", "ppo", "grpo", "dpo-lora", "dpo-real"])
def test_the_margin_on_held_out_pairs_is_read_at_the_start_and_at_the_end(fleet: Fleet, name: str) -> None:
    margin = fleet.runs[name].series["probe/margin"]
    assert margin[0] == 0
    assert margin[STEPS] != 0


def test_a_run_on_a_model_of_its_own_saves_it(fleet: Fleet) -> None:
    assert (fleet.home / "out" / "model.safetensors").is_file()
    assert fleet.runs["dpo-real"].start.config["toy"] is False


def test_the_ramped_learning_rate_grows_by_eight_percent_a_step_from_the_onset(fleet: Fleet) -> None:
    rates = after_onset(fleet.runs["ramp"].series["learning_rate"])
    growth = [later / earlier for earlier, later in itertools.pairwise(rates)]
    assert growth == pytest.approx([1.08] * len(growth))
    assert fleet.runs["ramp"].start.config["max_grad_norm"] == 0


def test_a_zero_learning_rate_leaves_the_margin_where_it_was(fleet: Fleet) -> None:
    run = fleet.runs["still"]
    assert set(run.series["learning_rate"].values()) == {0.0}
    assert run.series["probe/margin"][STEPS] == 0


def test_a_broken_weight_shows_as_nan_gradients_while_the_filter_logs_a_loss_of_zero(fleet: Fleet) -> None:
    run = fleet.runs["nan"]
    assert all(math.isnan(value) for value in after_onset(run.series["grad_norm"]))
    assert set(after_onset(run.series["loss"])) == {0.0}
    assert fleet.exits["nan"] == 0


def test_a_slow_loader_shows_as_waiting_for_data(fleet: Fleet) -> None:
    waits = fleet.runs["slow"].series["perf/data_wait_s"]
    assert max(waits[step] for step in range(2, ONSET)) < 0.2
    assert max(after_onset(waits)) >= 0.5


@pytest.mark.parametrize("name", ["crash", "ppo-crash"])
def test_a_crash_leaves_its_exception_and_a_failing_exit_code(fleet: Fleet, name: str) -> None:
    run = fleet.runs[name]
    assert fleet.exits[name] == 1
    assert run.happened("exception")[0]["message"] == "injected crash: this row cannot be read"
    assert run.happened("finish")[0]["status"] == "crashed"
    assert max(run.series["perf/step_time_s"]) <= ONSET + 1


def test_a_hang_stops_the_steps_and_ends_only_by_being_killed(fleet: Fleet) -> None:
    run = fleet.runs["hang"]
    assert fleet.exits["hang"] == -9
    assert max(run.series["loss"]) <= ONSET + 1
    assert not run.happened("finish")


def test_a_constant_reward_leaves_groups_without_spread(fleet: Fleet) -> None:
    assert set(fleet.runs["constant-grpo"].series["frac_reward_zero_std"].values()) == {1.0}
    assert set(fleet.runs["constant-ppo"].series["objective/scores"].values()) == {1.0}


def test_the_reward_hack_drops_the_penalty_and_pays_for_one_word(fleet: Fleet) -> None:
    run = fleet.runs["hack"]
    assert run.start.config["kl_coef"] == 0
    scores = run.series["objective/scores"]
    assert all(score >= 0 for score in scores.values())


def test_faults_are_written_into_the_config_of_the_run(fleet: Fleet) -> None:
    found = {name: run.start.config["injected_fault"] for name, run in fleet.runs.items()}
    assert found["flipped"] == "flipped_labels"
    assert found["hang"] == "hang"


def test_names_of_the_fleet_are_those_of_its_runs(fleet: Fleet) -> None:
    assert set(fleet.runs) == {Entry(**row).name for row in entries(fleet.home)}
