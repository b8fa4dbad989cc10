"""A folder of labelled logs as runs, and `runvitals bench rules` on it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runvitals.cli import app
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.scoring.judges import EngineJudge
from runvitals.diagnostics.types import Happening, Pulse
from runvitals.errors import SettingsError
from runvitals.labelled_runs import read_labelled_runs
from tests.diagnostics.faults import supervised

LLMC = "step {step}/20 | loss {loss} (+1.24z)| norm {norm} (+0.9z)| lr 6.00e-04 | 100 ms | 40% bf16 MFU | 9 tok/s\n"


def recorded(folder: Path, name: str, events: list[list[Any]], **meta: object) -> None:
    """A recorded run of 60 healthy rows."""
    logs = [{"t": 1e9 + step, "step": step, "logs": row} for step, row in enumerate(supervised(60, 2), 1)]
    told = {"name": name, "trainer": "SFTTrainer", **meta}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"meta": told, "events": events, "logs": logs}))


def manifest(folder: Path, *lines: str, head: str = "file,source_repo,kind,label,severity") -> None:
    """A manifest.csv with these lines."""
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_text("\n".join([head, *lines]) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest with four kinds of logs, and recorded runs beside it."""
    public = tmp_path / "public"
    manifest(
        public,
        "state.json,a/a,sft,healthy,none",
        "llmc.log,b/b,pretrain,nan,broken",
        "dicts.log,b/b,sft,healthy,none",
        "lines.jsonl,c/c,sft,unclear,unknown",
        "empty.log,c/c,sft,unclear,unknown",
        "gone.log,c/c,sft,unclear,unknown",
    )
    history = [{**row, "step": step} for step, row in enumerate(supervised(60, 1), 1)]
    (public / "state.json").write_text(json.dumps({"max_steps": 60, "log_history": history}))
    lines = [LLMC.format(step=s, loss="nan" if s > 9 else 5.0, norm="nan" if s > 9 else 1.0) for s in range(1, 21)]
    (public / "llmc.log").write_text("hello\n" + "".join(lines))
    (public / "dicts.log").write_text(
        "{'loss': 1.5, 'grad_norm': nan, 'epoch': 0.1}\nnoise\n{'loss': '1.4', 'epoch': 0.2}\n"
        "{'train_runtime': 3.0, 'train_loss': 1.4, 'epoch': 1.0}\n"
    )
    (public / "lines.jsonl").write_text('{"current_steps": 5, "loss": 0.6, "lr": 1e-4}\n{"cut": \n')
    (public / "empty.log").write_text("CUDA out of memory\n")
    recorded(tmp_path / "made", "sft_healthy", [["on_train_begin", 0.0], ["on_train_end", 9.0]])
    recorded(tmp_path / "made", "crash", [["exception", "exception RuntimeError: CUDA error: illegal address", 9.0]])
    recorded(tmp_path / "made", "kill9", [["on_train_begin", 0.0]])
    return tmp_path


def test_each_format_is_read_with_its_label(folder: Path) -> None:
    runs = {run.name: run for run in read_labelled_runs(folder)[0]}
    assert {name: (run.severity, run.fault, run.onset_step, len(run.rows)) for name, run in runs.items()} == {
        "state.json": ("none", "", None, 60),
        "llmc.log": ("broken", "divergence", 10, 20),
        "dicts.log": ("none", "", None, 2),
        "lines.jsonl": ("unknown", "", None, 1),
        "sft_healthy": ("none", "", None, 60),
        "crash": ("broken", "stall", 60, 60),
        "kill9": ("broken", "stall", 60, 60),
    }
    assert runs["lines.jsonl"].rows[0].values == {"loss": 0.6, "learning_rate": 1e-4}
    assert math.isnan(runs["dicts.log"].rows[0].values["grad_norm"] or 0.0)
    assert runs["dicts.log"].rows[1].values["loss"] == 1.4


def test_validation_losses_of_console_logs_are_evaluations(tmp_path: Path) -> None:
    manifest(tmp_path, "llmc.log,a,pretrain,nan,broken", "modded.log,a,pretrain,healthy,none")
    (tmp_path / "llmc.log").write_text("val loss nan\n" + LLMC.format(step=3, loss=5.0, norm=1.0) + "val loss 4.5\n")
    (tmp_path / "modded.log").write_text("s:0 tel:11.0\ns:0 trl:10.9 lr:0.1 norm:1.5\n")
    llmc, modded = read_labelled_runs(tmp_path)[0]
    assert [(row.step, next(iter(row.values))) for row in llmc.rows] == [
        (0, "eval_loss"),
        (3, "loss"),
        (3, "eval_loss"),
    ]
    assert (llmc.onset_step, llmc.rows[2].values) == (0, {"eval_loss": 4.5})
    assert [row.values for row in modded.rows] == [
        {"eval_loss": 11.0},
        {"loss": 10.9, "grad_norm": 1.5, "learning_rate": 0.1},
    ]


def test_ends_of_recorded_runs_are_told_to_the_rules_on_time(folder: Path) -> None:
    ends = {run.name: run.items[-1] for run in read_labelled_runs(folder)[0] if run.timed}
    crash, kill, fine = ends["crash"], ends["kill9"], ends["sft_healthy"]
    assert isinstance(crash, Happening)
    assert (crash.kind, crash.data["message"]) == ("exception", "CUDA error: illegal address")
    assert isinstance(kill, Pulse) and kill.alive is False
    assert isinstance(fine, Happening) and fine.kind == "finish"


def test_what_cannot_be_scored_is_named_with_its_reason(folder: Path) -> None:
    told = read_labelled_runs(folder)[1]
    assert len(told) == 2
    assert any("empty.log: no row" in line for line in told)
    assert any("gone.log" in line and "No such file" in line for line in told)


def test_meta_of_a_recorded_run_says_label_source_and_onset(tmp_path: Path) -> None:
    recorded(
        tmp_path, "x", [["on_train_end", 1.0]], severity="broken", fault="fit", onset_step=7, source="mine", kind="dpo"
    )
    (run,) = read_labelled_runs(tmp_path)[0]
    assert (run.severity, run.fault, run.onset_step, run.source, run.kind) == ("broken", "fit", 7, "mine", "dpo")


def test_events_among_the_rows_and_a_silence_at_the_end_are_told(tmp_path: Path) -> None:
    events = [
        {"kind": "trainer", "time_s": 1e9, "step": 0, "data": {"kind": "sft"}},
        {"kind": "eval", "time_s": 1e9 + 30.5, "step": 30, "data": {}},
        {"kind": "silence", "time_s": 1e9 + 60, "step": None, "data": {"seconds": 90}},
    ]
    recorded(tmp_path, "sft-hang", events, severity="broken", fault="stall", onset_step=60)  # type: ignore[arg-type]
    (run,) = read_labelled_runs(tmp_path)[0]
    kinds = [
        item.kind if isinstance(item, Happening) else "pulse" if isinstance(item, Pulse) else "" for item in run.items
    ]
    assert (kinds[0], kinds.index("eval"), kinds.count("pulse")) == ("trainer", 31, 90)
    firings = EngineJudge(default_rules()).firings(run)
    assert {firing.rule for firing in firings} == {"progress_stalled"}


def test_run_that_hangs_is_looked_at_from_its_last_step_on_though_its_machine_is_still_sampled(tmp_path: Path) -> None:
    events = [{"kind": "silence", "time_s": 1e9 + 60, "step": None, "data": {"seconds": 150}}]
    recorded(tmp_path, "sft-hang", events, severity="broken", fault="stall", onset_step=60)  # type: ignore[arg-type]
    path = tmp_path / "sft-hang.json"
    recording = json.loads(path.read_text())
    for later_s in range(5, 150, 5):
        recording["logs"].append({"t": 1e9 + 60 + later_s, "step": None, "logs": {"host/cpu_percent": 1.0}})
    path.write_text(json.dumps(recording))
    (run,) = read_labelled_runs(tmp_path)[0]
    times = [item.now_s if isinstance(item, Pulse) else item.time_s for item in run.items]
    assert times == sorted(times)
    (firing,) = EngineJudge(default_rules()).firings(run)
    assert firing.rule == "progress_stalled"
    assert 60 <= firing.time_s - (1e9 + 60) <= 62


def test_wrong_folders_and_labels_are_refused_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder"):
        read_labelled_runs(tmp_path / "none")
    with pytest.raises(SettingsError, match=r"manifest\.csv"):
        read_labelled_runs(tmp_path)
    manifest(tmp_path, "a.log,sft", head="file,kind")
    with pytest.raises(SettingsError, match="lacks severity"):
        read_labelled_runs(tmp_path)
    manifest(tmp_path, "a.log,b,sft,x,fine")
    with pytest.raises(SettingsError, match=r"line 2: expected a severity of none, broken.*got 'fine'"):
        read_labelled_runs(tmp_path)


def test_bench_prints_both_tables_and_names_what_was_missed(folder: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "rules", "--runs", str(folder)])
    assert result.exit_code == 0, result.output
    for part in (
        "runvitals",
        "control: always fires",
        "OLMo-core 6 sigma/128",
        "divergence",
        "missed: none",
        "empty.log",
    ):
        assert part in result.stdout, part


def test_bench_gives_json(folder: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "rules", "--runs", str(folder), "--json"])
    found = json.loads(result.stdout)
    assert found["ours"]["broken_caught"]["value"] == 1.0
    assert found["runs"] == {"broken": 3, "none": 3, "unknown": 1}
    assert len(found["left_out"]) == 2
