"""Reading the store: what it cannot do becomes a line on the page."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from runvitals.dashboard import head
from runvitals.dashboard.checks import checks
from runvitals.dashboard.component import plain
from runvitals.dashboard.data import Problem, Watching, read, shown_health, watching
from runvitals.dashboard.run_subject import MARGIN_SIGNALS
from runvitals.dashboard.sparks import spark, spark_json
from runvitals.dashboard.watcher import GRACE_S, Beside
from runvitals.errors import StoreUnreachable
from runvitals.settings import Settings
from runvitals.store import Store
from runvitals.store.types import Envelope, WatcherInfo


def test_a_foreign_file_becomes_a_problem_that_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "letters.db"
    other.write_text("Dear reader, this is no database at all, only a long letter. " * 40)
    monkeypatch.setenv("RUNVITALS_STORE", f"sqlite:///{other}")
    found = read(lambda store: store.runs(), now_s=1.0)
    assert isinstance(found, Problem)
    assert found.kind == "foreign"
    assert "letters.db" in found.text


def test_an_illegal_setting_becomes_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNVITALS_STORE", "mysql://host/db")
    found = read(lambda store: store.runs(), now_s=1.0)
    assert isinstance(found, Problem)
    assert found.kind == "settings"


def test_a_store_that_went_away_is_left_alone_for_five_seconds(store: Store) -> None:
    asked: list[float] = []

    def away(opened: Store) -> None:
        asked.append(1.0)
        raise StoreUnreachable("db.example does not answer")

    first = read(away, now_s=100.0)
    assert isinstance(first, Problem)
    assert first.kind == "unreachable"
    assert "Trying again in 5 s" in first.text
    assert isinstance(read(away, now_s=104.0), Problem)
    assert len(asked) == 1
    assert read(lambda opened: opened.runs(), now_s=105.0) == []


def test_a_store_file_that_is_away_is_not_made_anew_and_is_found_when_it_is_back(store: Store) -> None:
    assert read(lambda opened: opened.runs(), now_s=100.0) == []
    home = Settings.from_environment().home
    home.rename(home.with_name("away"))
    for now_s in (101.0, 104.0, 107.0, 113.0):
        found = read(lambda opened: opened.runs(), now_s=now_s)
        assert isinstance(found, Problem)
        assert found.kind == "unreachable"
    assert not home.exists()
    home.with_name("away").rename(home)
    assert read(lambda opened: opened.runs(), now_s=119.0) == []


def test_an_unknown_run_becomes_a_problem(store: Store) -> None:
    found = read(lambda opened: opened.run("nobody"), now_s=1.0)
    assert isinstance(found, Problem)
    assert found.kind == "unknown_run"


def test_a_watcher_is_alive_for_ten_seconds_after_its_pass(store: Store) -> None:
    assert watching(store, now_s=100.0) == Watching(alive=False, silent_s=None, watcher=None)
    store.watcher_beat(
        WatcherInfo(id="w", host="h", pid=1, started_s=50.0, pass_s=100.0, behind_bytes=0, rules=15, message="")
    )
    assert watching(store, now_s=109.0).alive
    late = watching(store, now_s=111.0)
    assert not late.alive
    assert late.silent_s == pytest.approx(11.0)


def test_a_watcher_whose_clock_is_ahead_is_not_alive_for_ever(store: Store) -> None:
    def beat(name: str, pass_s: float) -> None:
        store.watcher_beat(
            WatcherInfo(id=name, host="gpu7", pid=1, started_s=0.0, pass_s=pass_s, behind_bytes=0, rules=15)
        )

    beat("a little ahead", 105.0)
    assert watching(store, now_s=100.0).alive
    beat("far ahead", 400.0)
    assert watching(store, now_s=100.0).alive, "the other one still watches"
    found = watching(store, now_s=130.0)
    assert (found.alive, found.ahead_s, found.silent_s) == (False, 270.0, 25.0)
    look = head.Look(watching=found, beside=False, firing=(), open=0, worst=None)
    pulse = head.pulse(look, now_s=130.0, every_s=2.0)
    assert pulse["watch"] == {"alive": False, "ahead_s": 270.0}
    assert "4 min ahead" in pulse["notices"][0]["title"]
    assert "gpu7" in pulse["notices"][0]["text"]
    assert {one["name"]: one["answer"] for one in checks(store, found, Settings.from_environment())}[
        "Watcher"
    ] == "clock"


def test_a_live_run_nobody_watches_is_never_healthy(watched: Store) -> None:
    runs = {run.name: run for run in watched.runs()}
    clean, ended = runs["dpo-7b-clean-lr3e5"], runs["sft-7b-base"]
    assert shown_health(clean, watched=True) == "healthy"
    assert shown_health(clean, watched=False) == "unknown"
    assert shown_health(ended, watched=False) == "healthy"


class FakeProcess:
    """A child that lives until told otherwise."""

    def __init__(self) -> None:
        self.status: int | None = None

    def poll(self) -> int | None:
        return self.status


def test_a_watcher_is_started_once_after_the_grace_and_again_where_it_ended() -> None:
    started: list[FakeProcess] = []

    def start(settings: Settings) -> FakeProcess:
        started.append(FakeProcess())
        return started[-1]

    beside, settings = Beside(), Settings.from_environment()

    def look(now_s: float, alive: bool) -> int:
        beside.look(alive=alive, settings=settings, now_s=now_s, start=start)  # type: ignore[arg-type]
        return len(started)

    assert look(0.0, alive=False) == 0
    assert look(GRACE_S - 1, alive=True) == 0
    assert look(GRACE_S, alive=False) == 0
    assert look(2 * GRACE_S, alive=False) == 1
    assert beside.running
    assert look(9 * GRACE_S, alive=False) == 1
    started[0].status = 1
    assert look(9 * GRACE_S + 1, alive=False) == 2


def test_what_json_cannot_say_becomes_words() -> None:
    given = {"a": np.array([1.0, math.nan]), "b": [math.inf, -math.inf], "c": np.float64(2.0), "d": (None, True, "x")}
    assert plain(given) == {"a": [1.0, "NaN"], "b": ["Infinity", "-Infinity"], "c": 2.0, "d": [None, True, "x"]}


def _envelope(values: list[float]) -> Envelope:
    mean = np.array(values)
    n = len(values)
    whole = np.arange(n, dtype=np.int64)
    return Envelope(
        x=whole.astype(float), steps=whole, times_s=mean, low=mean, high=mean, mean=mean, last=mean,
        count=whole, nonfinite=whole, kinds=np.zeros(n, dtype=np.uint8), exact=True,
    )  # fmt: skip


def test_a_spark_is_flat_where_only_noise_moves() -> None:
    assert spark(_envelope([1.0, 1.001, 0.999]), span=0.04) == [[0, 50], [50, 52], [100, 48]]


def test_a_spark_fills_its_height_where_the_curve_moves_and_breaks_at_nan() -> None:
    points = spark(_envelope([0.0, math.nan, 5.0]), span=0.04)
    assert points == [[0, 0], None, [100, 100]]
    assert spark_json(points) == [0, 0, None, 100, 100]


def test_a_spark_of_nothing_is_nothing() -> None:
    assert spark(None, span=1.0) == []
    assert spark(_envelope([math.nan, math.inf]), span=1.0) == []


def test_held_out_pairs_come_before_training_pairs() -> None:
    assert MARGIN_SIGNALS[0] == "probe_margin"
    assert MARGIN_SIGNALS[-1] == "reward_margin"
