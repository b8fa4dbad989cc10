"""`runvitals alerts`: muted alerts are marked, answers are counted, and all of it goes out as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runvitals.cli import app
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import AlertRow, Batch, Mute


def firing(number: int, rule: str) -> AlertRow:
    return AlertRow(
        id=f"a{number}", run_id="r", rule=rule, signal="loss", severity="warning", state="firing", incident=f"a{number}",
        onset_step=1, onset_s=1.0, fired_step=2, fired_s=2.0, resolved_step=None, resolved_s=None,
        detail={"title": "A title", "sentence": "What is seen."},
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(Settings.from_environment({}, home=tmp_path).store)
    start = {"project": "p", "name": "one", "config": {}, "info": {}, "time_s": 0.0, "resumed": False}
    opened.append(Batch(run_id="r", writer_id="w", first_seq=1, last_seq=1, position={}, start=start))
    opened.put_alerts([firing(1, "loss_spike"), firing(2, "loss_spike"), firing(3, "loss_divergence")])
    return opened


def said(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["alerts", "--home", str(home), *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_answers_are_counted_by_rule(store: Store, tmp_path: Path) -> None:
    assert "Nobody has answered yet" in said(tmp_path, "--answers")
    store.feedback("a1", "real", 5.0)
    store.feedback("a2", "false_alarm", 5.0)
    store.feedback("a3", "unsure", 5.0)
    spike, divergence = said(tmp_path, "--answers").splitlines()[1:]
    assert spike.split()[0] == "loss_spike" and spike.split()[-5:] == ["1", "1", "0", "50", "%"]
    assert divergence.split()[0] == "loss_divergence" and divergence.split()[-1] == "—"
    assert json.loads(said(tmp_path, "--answers", "--json")) == {
        "loss_spike": {"real": 1, "false_alarm": 1},
        "loss_divergence": {"unsure": 1},
    }


def test_alerts_go_out_as_json_with_what_people_did(store: Store, tmp_path: Path) -> None:
    store.acknowledge("a1", "seen", 7.0, "Ann")
    store.feedback("a1", "real", 8.0, "Ann")
    lines = {told["id"]: told for told in map(json.loads, said(tmp_path, "--json").splitlines())}
    assert lines.keys() == {"a1", "a2", "a3"}
    assert lines["a1"]["name"] == "one"
    assert lines["a1"]["people"]["answer"] == "real"
    assert lines["a1"]["people"]["acknowledged_by"] == "Ann"
    assert [entry["kind"] for entry in lines["a1"]["history"]] == ["firing", "acknowledged", "feedback"]


def test_a_muted_alert_is_listed_as_muted(store: Store, tmp_path: Path) -> None:
    now_s = time.time()
    store.add_mute(Mute(rule="loss_divergence", since_s=now_s, until_s=now_s + 3600))
    assert said(tmp_path).count("firing, muted") == 1
