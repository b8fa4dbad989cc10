"""Back-tests wait in line, one process at a time, and can be cancelled."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runvitals.dashboard.rules_text import snippet, with_numbers
from runvitals.dashboard.trials import MOST_RUNS, MOST_WAITING, Trial, Trials
from runvitals.diagnostics.user_rules.user_rules import read_user_rules
from runvitals.settings import Settings

ECHO = """
import json, sys
asked = json.loads(sys.stdin.readline())
for run in asked["runs"]:
    if run == "wait": sys.stdout.flush(); __import__("threading").Event().wait()
    if run == "die": sys.exit(3)
    print(json.dumps({"kind": "run", "run": run, "rows": 1, "differences": [], "more": 0}), flush=True)
print(json.dumps({"kind": "done"}))
"""


class Starter:
    """Starts the script above in place of a back-test, and keeps what it started."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, settings: Settings) -> subprocess.Popen[str]:
        assert all(process.poll() is not None for process in self.started), "two at a time"
        process = subprocess.Popen(
            [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.started.append(process)
        return process


@pytest.fixture
def starter() -> Starter:
    return Starter()


@pytest.fixture
def trials(starter: Starter) -> Iterator[Trials]:
    made = Trials(start=starter)
    yield made
    made.close()


def ask(trials: Trials, *runs: str) -> Trial:
    given = trials.ask(runs, "", "", settings=Settings.from_environment({}, home=Path("x")), now_s=0.0)
    assert isinstance(given, Trial)
    return given


def settled(trials: Trials) -> None:
    """Waits until the line is empty and nothing runs."""
    thread = trials._thread
    if thread is not None:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_a_back_test_is_done_and_its_results_are_kept(trials: Trials) -> None:
    trial = ask(trials, "a", "b", "a")
    settled(trials)
    assert trial.state == "done"
    assert list(trial.results) == ["a", "b"]
    assert trials.get(trial.id) is trial
    assert trials.get("nobody") is None


def test_one_runs_at_a_time_in_the_order_of_asking(trials: Trials, starter: Starter) -> None:
    asked = [ask(trials, name) for name in "abc"]
    settled(trials)
    assert [trial.state for trial in asked] == ["done"] * 3
    assert len(starter.started) == 3


def test_what_runs_is_ended_by_cancel_and_the_next_begins(trials: Trials, starter: Starter) -> None:
    first = ask(trials, "a", "wait")
    begun = threading.Event()
    while "a" not in first.results:  # the first line of the process
        begun.wait(0.01)
    second = ask(trials, "b")
    assert trials.ahead(second) == 1
    trials.cancel(first.id)
    settled(trials)
    assert first.state == "cancelled"
    assert list(first.results) == ["a"]
    assert second.state == "done"
    assert starter.started[0].returncode != 0


def test_what_waits_is_taken_out_of_the_line(trials: Trials, starter: Starter) -> None:
    first, second = ask(trials, "wait"), ask(trials, "b")
    trials.cancel(second.id)
    trials.cancel(first.id)
    settled(trials)
    assert (first.state, second.state) == ("cancelled", "cancelled")
    assert len(starter.started) <= 1


def test_one_that_is_gone_before_it_read_its_request_is_told_and_the_next_one_runs(
    trials: Trials, starter: Starter
) -> None:
    def gone(settings: Settings) -> subprocess.Popen[str]:
        process = starter(settings)
        process.kill()
        process.wait()
        return process

    trials.start = gone
    first = ask(trials, "a")
    settled(trials)
    trials.start = starter
    second = ask(trials, "b")
    settled(trials)
    assert (first.state, second.state) == ("failed", "done")


def test_a_process_that_ends_early_is_told(trials: Trials) -> None:
    trial = ask(trials, "a", "die")
    settled(trials)
    assert trial.state == "failed"
    assert "exit code 3" in trial.text
    assert list(trial.results) == ["a"]


def test_too_much_is_refused_in_words(trials: Trials) -> None:
    settings = Settings.from_environment({}, home=Path("x"))
    assert "at least one" in str(trials.ask([], "", "", settings=settings, now_s=0.0))
    many = [str(number) for number in range(MOST_RUNS + 1)]
    assert f"At most {MOST_RUNS}" in str(trials.ask(many, "", "", settings=settings, now_s=0.0))
    first = ask(trials, "wait")
    while first.state != "running":
        threading.Event().wait(0.01)
    for _ in range(MOST_WAITING):
        ask(trials, "b")
    assert "try again" in str(trials.ask(["b"], "", "", settings=settings, now_s=0.0))


FILE = """# mine
[rules.loss_spike]
hold = 3      # why
clear = 9

[own.x]
kind = "threshold"
signal = "loss"
above = 1
"""


def test_numbers_are_written_where_the_file_has_the_rule_and_the_rest_stays() -> None:
    text = with_numbers(FILE, "loss_spike", {"hold": 5})
    read = read_user_rules(text, file="f")
    assert not read.faults
    assert read.general.numbers["loss_spike"] == {"hold": 5, "clear": 9}
    assert [one.rule.spec.name for one in read.own] == ["x"]
    assert text.startswith("# mine\n")


def test_a_rule_that_the_file_does_not_name_is_added_at_its_end() -> None:
    text = with_numbers(FILE, "loss_divergence", {"hold": 5}, project="a b")
    assert text.startswith(FILE)
    assert read_user_rules(text, file="f").projects["a b"].numbers["loss_divergence"] == {"hold": 5}


def test_a_file_that_writes_rules_in_another_way_is_not_spoilt() -> None:
    inline = "rules = { loss_spike = { hold = 3 } }\n"
    text = with_numbers(inline, "loss_spike", {"hold": 5})
    assert text == snippet("loss_spike", {"hold": 5})


@pytest.mark.parametrize("value", [5, 0.1, 1e-7, 123456789.0, 1.25])
def test_numbers_are_told_exactly(value: float) -> None:
    import tomllib

    assert tomllib.loads(snippet("r", {"x": value}))["rules"]["r"]["x"] == value
