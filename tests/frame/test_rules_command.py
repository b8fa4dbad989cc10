"""`runvitals rules`: the list, one rule in full, and the check of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runvitals.cli import app
from runvitals.diagnostics.catalogue import default_rules

FILE = """
off = ["loss_plateau"]
[rules.heartbeat_lost]
warning_s = 90
[projects.a.rules.heartbeat_lost]
hold = 3
[own.too_high]
kind = "threshold"
signal = "loss"
above = 5
remedies = ["Call Ada"]
[own.of_b]
kind = "absence"
key = "my/score"
rows = 7
projects = ["b"]
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runvitals.toml").write_text(FILE)
    return tmp_path


def line_of(text: str, name: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(name)]
    return found


def test_list_names_every_rule_without_a_file(tmp_path: Path) -> None:
    result = run("rules", "--home", str(tmp_path))
    assert result.exit_code == 0
    assert [rule.spec.name for rule in default_rules() if rule.spec.name not in result.output] == []
    assert "not there" in result.output


def test_list_says_what_the_file_changes(home: Path) -> None:
    result = run("rules", "--home", str(home), "--project", "a")
    assert result.exit_code == 0
    assert "off" in line_of(result.output, "loss_plateau")
    assert "warning_s 90, hold 3" in line_of(result.output, "heartbeat_lost")
    assert " on" in line_of(result.output, "too_high")
    assert "other projects" in line_of(result.output, "of_b")
    assert " on" in line_of(run("rules", "--home", str(home), "--project", "b").output, "of_b")


def test_one_rule_in_full_with_the_numbers_of_the_project(home: Path) -> None:
    spec = next(rule.spec for rule in default_rules() if rule.spec.name == "heartbeat_lost")
    result = run("rules", "heartbeat_lost", "--home", str(home), "--project", "a")
    assert result.exit_code == 0
    said = " ".join(result.output.split())
    for text in (spec.summary, spec.false_alarms, spec.source, spec.causes[0].text, spec.remedies[0].text):
        assert " ".join(text.split()) in said
    assert "warning_s 90 s (default 60)" in said
    assert "hold 3 (default 1)" in said


def test_limits_of_the_margin_are_listed_like_any_other(home: Path) -> None:
    (home / "runvitals.toml").write_text("[rules.margin_stagnant]\nafter = 0.3\n")
    assert "after 0.3" in line_of(run("rules", "--home", str(home)).output, "margin_stagnant")
    said = " ".join(run("rules", "margin_stagnant", "--home", str(home)).output.split())
    assert "after 0.3 (default 0.2) share of the run before which nothing is said; 0 to 0.95" in said
    assert "nats 0.5 nat" in said


def test_a_rule_that_is_off_shows_the_numbers_that_it_would_have(home: Path) -> None:
    (home / "runvitals.toml").write_text('off = ["loss_spike"]\n[rules.loss_spike]\nhold = 4\n')
    said = " ".join(run("rules", "loss_spike", "--home", str(home)).output.split())
    assert "here off" in said
    assert "hold 4 (default 1)" in said


def test_own_rule_is_explained_too(home: Path) -> None:
    said = run("rules", "too_high", "--home", str(home)).output
    assert "loss above 5" in said
    assert "Call Ada" in said


def test_unknown_rule_gets_a_hint(home: Path) -> None:
    result = run("rules", "loss_spik", "--home", str(home))
    assert result.exit_code != 0
    assert "did you mean loss_spike?" in str(result.exception)


def test_check_counts_what_is_right_and_names_what_is_wrong(home: Path) -> None:
    path = home / "runvitals.toml"
    result = run("rules", "--check", str(path))
    assert result.exit_code == 0
    assert "2 rules of your own, 1 of ours changed, 1 switched off" in result.output
    path.write_text(FILE + "widow = 3\n")
    result = run("rules", "--check", str(path))
    assert result.exit_code == 2
    assert "runvitals.toml:17: own.of_b.widow" in result.output
    assert "right" not in result.output


def test_check_of_a_file_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    assert run("rules", "--check", str(tmp_path / "no.toml")).exit_code != 0


def test_diagnose_judges_by_a_rules_file(home: Path) -> None:
    log = home / "trainer_state.json"
    rows = [{"step": step, "loss": 6.0 - 0.01 * step} for step in range(1, 40)]
    log.write_text(json.dumps({"log_history": rows, "max_steps": 40, "global_step": 39}))
    plain = json.loads(run("diagnose", str(log), "--json").output)
    assert "too_high" not in [alert["rule"] for alert in plain["alerts"]]
    result = run("diagnose", str(log), "--json", "--rules", str(home / "runvitals.toml"))
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert "too_high" in [alert["rule"] for alert in found["alerts"]]
    assert "loss_plateau" not in [rule["rule"] for rule in found["rules"]]
    (home / "runvitals.toml").write_text("x = 1")
    broken = run("diagnose", str(log), "--rules", str(home / "runvitals.toml"))
    assert broken.exit_code == 3
    assert "runvitals.toml:1: x" in broken.output
