"""Trains runs of another kind than the corpus: `python benchmarks/corpus/few_words.py OUT [--seeds 31-34] [--jobs 2]`.

A handful of questions with short answers, one in ten of them noise, and pairs of which one in twenty has its label flipped: batches of 4 to 16
then differ by what nobody can learn, and a healthy loss has several levels. Plain transformers and TRL, without the recorder: what the rules read
is OUT/<name>.json, the `trainer_state.json` of each run, listed in OUT/manifest.csv. `runvitals bench rules --runs OUT` scores them.
What is there already is not trained again. A run takes ten to thirty seconds.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

KINDS = ("pretrain", "sft", "dpo")
BATCHES = (4, 8, 16)
STEPS = 250
RATES = {"pretrain": 2e-3, "sft": 2e-3, "dpo": 5e-4}
ANSWERS = {
    "what is the color of sky ?": "blue",
    "what is the color of grass ?": "green",
    "two plus two equals ?": "four",
    "hello !": "hello",
}
NOISE = ("good", "bad", "nice", "rude", "yes", "no", "red", "three", "five", "cat", "dog", "runs", "sleeps", "bye")
MARKS = ("<pad>", "<eos>", "<unk>")
WORDS = sorted({*NOISE, "please", "thanks", ".", *" ".join([*ANSWERS, *ANSWERS.values()]).split()})


def main() -> int:
    """Trains what is missing, each run in a process of its own; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", default="31-34", help="from-to")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one core each")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        train(options.out, options.one)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    first, last = map(int, options.seeds.split("-"))
    seeds = range(first, last + 1)
    names = [f"{kind}-b{batch}-s{seed}-healthy" for kind, batch, seed in product(KINDS, BATCHES, seeds)]
    names += [f"dpo-b{batch}-s{seed}-shuffled" for batch, seed in product(BATCHES, seeds)]
    missing = [name for name in names if not (options.out / f"{name}.json").exists()]
    print(f"{len(names)} runs, {len(names) - len(missing)} there already")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}

    def run(name: str) -> bool:
        command = [sys.executable, __file__, str(options.out), "--one", name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        print(f"{name}  {'ok' if done.returncode == 0 else done.stderr[-500:]}", flush=True)
        return done.returncode == 0

    with ThreadPoolExecutor(options.jobs) as jobs:
        well = list(jobs.map(run, missing))
    there = sorted(path.stem for path in options.out.glob("*.json"))
    with (options.out / "manifest.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(("file", "kind", "severity", "label", "source_repo"))
        for name in there:
            kind, _, _, variant = name.split("-")
            healthy = variant == "healthy"
            source = "few words, " + "-".join(name.split("-")[:2])
            writer.writerow((f"{name}.json", kind, "none" if healthy else "broken", "" if healthy else "dpo", source))
    return 0 if all(well) else 1


def train(out: Path, name: str) -> None:
    """One run, whose state is put into place when it has ended."""
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    kind, batch, seed, variant = name.split("-")
    draw = random.Random(name)
    torch.manual_seed(draw.randrange(2**31))
    vocabulary = {word: place for place, word in enumerate((*MARKS, *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
    shape = {"n_positions": 64, "n_embd": 48, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1}
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(vocabulary), pad_token_id=0, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **shape)
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        model = GPT2LMHeadModel.from_pretrained(folder)  # TRL makes its reference model from where the policy came from
        arguments: dict[str, Any] = {
            "output_dir": folder, "max_steps": STEPS, "per_device_train_batch_size": int(batch[1:]), "seed": int(seed[1:]),
            "learning_rate": RATES[kind], "lr_scheduler_type": "cosine", "warmup_steps": 10, "logging_steps": 1,
            "save_strategy": "no", "report_to": [], "use_cpu": True, "disable_tqdm": True,
        }  # fmt: skip
        rows = Dataset.from_list([_row(kind, variant, draw) for _ in range(800)])
        trainer = _trainer(kind, model, tokenizer, rows, arguments)
        trainer.train()
        state = Path(folder) / "trainer_state.json"
        trainer.state.save_to_json(str(state))
        shutil.move(state, out / f"{name}.json")


def _row(kind: str, variant: str, draw: random.Random) -> dict[str, str]:
    question = draw.choice(list(ANSWERS))
    answer = ANSWERS[question] if draw.random() < 0.9 else draw.choice(NOISE)
    if kind == "pretrain":
        return {"text": f"{question} {answer} {draw.choice(NOISE)} ."}
    if kind == "sft":
        return {"prompt": f"{question} ", "completion": f"{answer} {draw.choice(('please', 'thanks', '.'))}"}
    good = f"{ANSWERS[question]} {draw.choice(('please', 'thanks'))} ."
    poor = f"{draw.choice(('bad', 'rude', 'no'))} {draw.choice(('bye', 'sleeps'))} ."
    flipped = draw.random() < (0.5 if variant == "shuffled" else 0.05)
    chosen, rejected = (poor, good) if flipped else (good, poor)
    return {"prompt": f"{question} ", "chosen": chosen, "rejected": rejected}


def _trainer(kind: str, model: Any, tokenizer: Any, rows: Any, arguments: dict[str, Any]) -> Any:
    if kind == "sft":
        from trl import SFTConfig, SFTTrainer

        return SFTTrainer(model, SFTConfig(max_length=32, **arguments), train_dataset=rows, processing_class=tokenizer)
    if kind == "dpo":
        from trl import DPOConfig, DPOTrainer

        settings = DPOConfig(beta=0.1, max_length=48, **arguments)
        return DPOTrainer(model, args=settings, train_dataset=rows, processing_class=tokenizer)
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    tokens = rows.map(lambda row: tokenizer(row["text"], truncation=True, max_length=32), remove_columns=["text"])
    collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    return Trainer(model, TrainingArguments(**arguments), train_dataset=tokens, data_collator=collator)


if __name__ == "__main__":
    raise SystemExit(main())
