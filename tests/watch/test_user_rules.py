"""The user's rules at work in a watcher, and a broken file that stops nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.user_rules.user_rules import UserRules, read_user_rules
from runvitals.settings import Settings
from runvitals.watch.command import make_watcher
from runvitals.watch.user_rules import LONGEST_FILE, load

ALL_KINDS = """
[own.high]
kind = "threshold"
signal = "loss"
above = 3.0
window = 3
hold = 2
clear = 4

[own.jump]
kind = "change"
key = "my/score"
rise_percent = 30
window = 3
against = 10
clear = 5

[own.odd]
kind = "zscore"
signal = "grad_norm"
above = 5
below = 5
window = 20
clear = 5

[own.climbs]
kind = "trend"
key = "my/score"
rise = 2.0
window = 20
clear = 2

[own.no_score]
kind = "absence"
key = "my/score"
rows = 5

[own.no_score_for_long]
kind = "absence"
key = "my/score"
for_s = 20
"""


def rules(text: str) -> UserRules:
    found = read_user_rules(text, file="runvitals.toml")
    assert found.faults == ()
    return found


OWN = {one.rule.spec.name for one in rules(ALL_KINDS).own}

MISSING = "not logged"
VALUES = st.sampled_from([1.0, 1.1, 0.9, 1.05, 5.0, 40.0, -3.0, 0.0, math.nan, math.inf, 1e308, None])
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES | st.just(MISSING)), min_size=30, max_size=80)


def alerts_of(scene: Any, rows: list[Any], sizes: list[int], *, restart: bool) -> list[tuple[Any, ...]]:
    """What the rules of all kinds say of rows that come so many at a time; `restart`: to a new watcher each time."""
    run = scene.run()
    watcher = scene.watcher(rules=rules(ALL_KINDS))
    done = turn = 0
    while done < len(rows):
        size = sizes[turn % len(sizes)]
        for step, (loss, norm, score) in enumerate(rows[done : done + size], done + 1):
            scene.clock.now_s += 3.0
            run.log({"loss": loss, "grad_norm": norm, **({} if score == MISSING else {"my/score": score})}, step=step)
        done += size
        turn += 1
        watcher.run_once()
        if restart:
            watcher.close()
            watcher = scene.watcher(rules=rules(ALL_KINDS))
    run.finish()
    watcher.run_once()
    watcher.close()
    return sorted(
        (row.rule, row.id.partition(":")[2], row.severity, row.state, row.fired_step, str(row.detail["sentence"]))
        for row in scene.store.alerts(run_id=run.id)
        if row.rule in OWN
    )


@settings(max_examples=6, deadline=None)
@given(rows=ROWS, cuts=st.lists(st.integers(1, 20), min_size=1, max_size=5), restart=st.booleans())
def test_same_rows_give_the_same_alerts_however_they_come(
    tmp_path_factory: pytest.TempPathFactory, scene_in: Any, rows: list[Any], cuts: list[int], restart: bool
) -> None:
    whole = alerts_of(scene_in(tmp_path_factory.mktemp("whole")), rows, [len(rows)], restart=False)
    assert alerts_of(scene_in(tmp_path_factory.mktemp("cut")), rows, [*cuts, 7], restart=restart) == whole


def test_rules_of_every_kind_fire_alike_live_replayed_and_after_restarts(tmp_path: Path, scene_in: Any) -> None:
    rows = [
        (
            5.0 if 40 <= place < 50 else 1.0,
            40.0 if place == 45 else 1.0 + 0.01 * (place % 7),
            MISSING if 60 <= place < 72 else 0.2 * place,
        )
        for place in range(80)
    ]
    found = [
        alerts_of(scene_in(tmp_path / name), rows, sizes, restart=restart)
        for name, sizes, restart in (("replay", [80], False), ("live", [1], False), ("restarts", [11], True))
    ]
    assert {alert[0] for alert in found[0]} == OWN
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_own_rule_fires_reaches_the_store_and_is_told(scene: Any) -> None:
    text = '[own.too_high]\nkind = "threshold"\nsignal = "loss"\nabove = 10\nhold = 2\nseverity = "critical"\n'
    text += 'message = "{signal} went to {value} at {step}"\nremedies = ["Call Ada"]'
    run = scene.run()
    watcher = scene.watcher(rules=rules(text))
    scene.train(run, range(1, 30))
    watcher.run_once()
    assert scene.lines == []
    scene.train(run, range(30, 33), loss=12.0)
    watcher.run_once()
    (row,) = [row for row in scene.store.alerts(run_id=run.id) if row.rule == "too_high"]
    assert (row.state, row.severity, row.signal, row.onset_step, row.fired_step) == (
        "firing",
        "critical",
        "loss",
        30,
        31,
    )
    assert row.detail["sentence"] == "Loss went to 12 at 31"
    assert row.detail["remedies"][0]["text"] == "Call Ada"
    assert scene.store.runs()[0].health == "critical"
    assert any("Loss went to 12 at 31" in line for line in scene.lines)
    run.finish()


def test_switched_off_rule_and_rule_of_another_project_do_not_run(scene: Any) -> None:
    text = '[projects.p]\noff = ["loss_spike"]\n[own.other]\nkind = "threshold"\nsignal = "loss"\nabove = 0\nprojects = ["q"]'
    run = scene.run()
    scene.train(run, range(1, 60))
    scene.watcher(rules=rules(text)).run_once()
    names = {state["rule"] for state in scene.store.runs()[0].rules}
    assert "loss_divergence" in names
    assert not {"loss_spike", "other"} & names
    run.finish()


def test_missing_signal_counts_only_while_the_run_lives(scene: Any) -> None:
    text = '[own.no_eval]\nkind = "absence"\nsignal = "eval_loss"\nfor_s = 100\nseverity = "info"'
    run = scene.run()
    watcher = scene.watcher(rules=rules(text))
    run.log({"eval_loss": 1.0}, step=1)
    scene.train(run, range(2, 90))
    watcher.run_once()
    assert [row.rule for row in scene.store.alerts(run_id=run.id)] == []
    scene.clock.now_s += 50.0  # silence of the whole run is not the signal's
    watcher.run_once()
    assert "no_eval" not in [row.rule for row in scene.store.alerts(run_id=run.id)]
    scene.train(run, range(90, 92))
    watcher.run_once()
    (row,) = [row for row in scene.store.alerts(run_id=run.id) if row.rule == "no_eval"]
    assert row.onset_step == 1
    run.log({"eval_loss": 1.0}, step=92)
    watcher.run_once()
    (row,) = [row for row in scene.store.alerts(run_id=run.id) if row.rule == "no_eval"]
    assert row.state == "resolved"
    run.finish()


def test_broken_file_stops_nothing_and_is_shown(
    tmp_path: Path, scene_in: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = scene_in(tmp_path)
    (tmp_path / "runvitals.toml").write_text("[rules.loss_spike]\nhold = 0\n\n[own.x\n")
    run = scene.run()
    run.event("trainer", {"kind": "sft", "max_steps": 100})
    scene.train(run, range(1, 31))
    scene.train(run, range(31, 36), loss=math.nan)
    make_watcher(Settings.from_environment({}, home=tmp_path), ()).run_once()
    assert "non_finite" in [row.rule for row in scene.store.alerts(run_id=run.id)]
    assert "runvitals.toml:4: expected TOML" in capsys.readouterr().err
    assert "runvitals.toml:4: expected TOML" in scene.store.watchers()[0].message
    run.finish()


def test_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert load(tmp_path / "runvitals.toml") == UserRules()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"off = []\n# caf\xe9\n", "runvitals.toml:2: expected text in UTF-8"),
        (b"#" * (LONGEST_FILE + 1), "expected at most 256 KiB"),
        (b"\x00", "runvitals.toml:1: expected TOML"),
    ],
)
def test_file_of_odd_bytes_is_one_fault(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "runvitals.toml"
    path.write_bytes(content)
    (fault,) = load(path).faults
    assert said in str(fault)


def test_folder_in_place_of_the_file_is_one_fault(tmp_path: Path) -> None:
    (fault,) = load(tmp_path).faults
    assert "expected a file that can be read" in str(fault)
