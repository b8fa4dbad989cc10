"""`runvitals diagnose`: verdict, JSON and exit code on logs with a known fate."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runvitals.cli import app
from runvitals.diagnose import diagnose
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.kind import kind_of_keys
from runvitals.diagnostics.types import Row, RunContext
from tests.diagnostics.faults import reinforced, supervised

KEYS = {
    "sft": {"loss", "grad_norm", "mean_token_accuracy"},
    "dpo": {"loss", "rewards/chosen", "rewards/margins", "logps/chosen"},
    "kto": {"loss", "rewards/chosen", "rewards/margins", "kl"},
    "orpo": {"loss", "rewards/chosen", "log_odds_ratio"},
    "reward": {"loss", "accuracy", "margin", "mean_reward", "min_reward", "max_reward"},
    "grpo": {"loss", "reward", "reward_std", "kl", "completions/mean_length"},
    "ppo": {"objective/kl", "loss/value_avg", "objective/scores"},
    "rloo": {"objective/kl", "loss/policy_avg", "objective/scores"},
    "custom": {"accuracy"},
}


def state_file(folder: Path, values: list[dict[str, Any]], **more: object) -> Path:
    """A trainer_state.json of these rows at steps 1, 2, …"""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "trainer_state.json"
    history = [{**row, "step": step} for step, row in enumerate(values, 1)]
    path.write_text(json.dumps({"max_steps": len(values), "log_history": history, **more}))
    return path


def asked(*arguments: object) -> tuple[int, str, str]:
    """Exit code, output and complaints of `runvitals diagnose`."""
    result = CliRunner().invoke(app, ["diagnose", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def broken(count: int = 160, at: int = 60) -> list[dict[str, Any]]:
    """A supervised run whose loss and gradient are NaN from a row on."""
    values: list[dict[str, Any]] = list(supervised(count, seed=3))
    return [row if place < at else {**row, "loss": math.nan, "grad_norm": math.nan} for place, row in enumerate(values)]


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_kind_is_told_by_the_keys_of_training_or_of_evaluations(kind: str) -> None:
    assert kind_of_keys(KEYS[kind]) == kind
    if kind not in ("ppo", "rloo", "sft", "custom"):
        assert kind_of_keys({f"eval_{key}" for key in KEYS[kind]}) == kind


def test_healthy_run_is_healthy_and_exits_with_0(tmp_path: Path) -> None:
    code, out, _ = asked(state_file(tmp_path / "fine", supervised(160, seed=1)))
    assert code == 0
    assert "● healthy" in out
    assert "not evaluated  run_crashed, heartbeat_lost, progress_stalled" in out


def test_short_run_is_unknown_and_never_healthy(tmp_path: Path) -> None:
    code, out, _ = asked(state_file(tmp_path / "short", supervised(4, seed=1)))
    assert code == 0
    assert "◌ unknown" in out
    assert "● healthy" not in out


def test_nan_is_critical_with_step_evidence_causes_and_remedies(tmp_path: Path) -> None:
    code, out, _ = asked(state_file(tmp_path / "sick", broken()))
    assert code == 2
    for part in ("◆ critical", "non_finite", "began at 61", "evidence", "possible", "try 1"):
        assert part in out, part


def test_json_holds_run_health_and_alerts_as_strict_json(tmp_path: Path) -> None:
    code, out, _ = asked(state_file(tmp_path / "sick", broken()), "--json")
    assert code == 2

    def refuse(word: str) -> None:
        raise AssertionError(word)

    found = json.loads(out, parse_constant=refuse)
    assert (found["run"], found["health"], found["trainer"]) == ("sick", "critical", "sft")
    alert = next(alert for alert in found["alerts"] if alert["rule"] == "non_finite")
    assert (alert["severity"], alert["state"], alert["onset_step"]) == ("critical", "firing", 61)
    assert alert["step"] in (61, 62)
    assert alert["causes"] and alert["remedies"] and alert["evidence"]
    assert {"rule": "heartbeat_lost", "state": "unknown"}.items() <= next(
        rule for rule in found["rules"] if rule["rule"] == "heartbeat_lost"
    ).items()


def test_several_files_give_a_line_each_and_the_worst_code(tmp_path: Path) -> None:
    fine = state_file(tmp_path / "fine" / "checkpoint-160", supervised(160, seed=1))
    sick = state_file(tmp_path / "sick", broken())
    code, out, _ = asked("--json", fine.parent.parent, sick)
    assert code == 2
    assert [json.loads(line)["run"] for line in out.splitlines()] == ["fine", "sick"]


def test_unreadable_file_is_told_and_the_others_are_judged(tmp_path: Path) -> None:
    fine = state_file(tmp_path / "fine", supervised(160, seed=1))
    code, out, complaints = asked(tmp_path / "none.json", fine)
    assert code == 3
    assert "● healthy" in out
    assert "expected a file that can be read" in complaints


def test_unknown_trainer_is_refused(tmp_path: Path) -> None:
    code, _, complaints = asked(state_file(tmp_path, supervised(20, seed=1)), "--trainer", "gpt")
    assert code == 3
    assert "expected one of pretrain, sft" in complaints


def test_named_trainer_decides_which_rules_apply(tmp_path: Path) -> None:
    path = state_file(tmp_path, [{"loss": 0.0, "grad_norm": 0.0} for _ in range(40)])
    assert {alert.rule for alert in diagnose(path, trainer="grpo").alerts} >= {"zero_advantage_groups"}
    assert {alert.rule for alert in diagnose(path, trainer="sft").alerts} >= {"masked_nan"}


def test_nothing_of_the_file_is_markup_or_moves_the_cursor(tmp_path: Path) -> None:
    name = "[red]boo\x1b[31m"
    values = [{**row, "[bold]x[/bold]\x1b[2J": math.nan} for row in broken()]
    code, out, _ = asked(state_file(tmp_path / name, values))
    assert code == 2
    assert "[red]boo[31m" in out
    assert "\x1b" not in out


def test_diagnosis_is_what_the_watcher_would_say_of_the_same_rows(tmp_path: Path) -> None:
    values = reinforced(160, seed=5)
    for since, row in enumerate(values[60:]):
        row["kl"] = (row["kl"] or 0.0) * 1.15**since
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="grpo", max_steps=len(values)))
    for step, row in enumerate(values, 1):
        engine.feed(Row(time_s=1e9 + step, step=step, values=row))
    told = [(alert.rule, alert.severity, alert.fired_step, alert.sentence) for alert in engine.alerts()]
    found = diagnose(state_file(tmp_path / "run", values)).alerts
    assert told
    assert [(alert.rule, alert.severity, alert.fired_step, alert.sentence) for alert in found] == told
