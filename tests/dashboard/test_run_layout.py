"""What a reader arranged on a run's page, and the keys that the page knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runvitals.dashboard.panels import MOST_PINS
from runvitals.dashboard.run_facts import facts
from runvitals.dashboard.run_keys import RunKeys, search_json
from runvitals.dashboard.run_layout import LONGEST, Layout
from runvitals.dashboard.verdicts import section_words
from runvitals.diagnostics.user_rules.user_rules import read_user_rules
from runvitals.store import Store
from runvitals.store.types import Batch, Envelope, Health, RunInfo, SeriesPoints


def test_an_address_and_the_browser_tell_the_same_layout() -> None:
    wanted = Layout(pins=("loss", "key:a/b"), open=frozenset({"others"}), measure="gpu_power_w")
    assert Layout.of_query({"pin": ["loss", "key:a/b", "loss"], "open": ["others"], "map": ["gpu_power_w"]}) == wanted
    assert Layout.told({"pin": ["loss", "key:a/b"], "open": ["others"], "map": "gpu_power_w"}) == wanted
    assert Layout.of_query({}) == Layout()
    narrowed = Layout(open=frozenset({"others"}), also="layer norm", part=2)
    assert Layout.of_query({"open": ["others"], "also": ["layer norm"], "part": ["3"]}) == narrowed
    assert Layout.told({"pin": [], "open": ["others"], "map": "", "also": "layer norm", "part": "3"}) == narrowed


@pytest.mark.parametrize("part", ["0", "-3", "1", "x", "9" * 400, "²", "1.5", ""])
def test_a_part_that_is_none_is_the_first(part: str) -> None:
    assert Layout.of_query({"part": [part]}).part == 0


@pytest.mark.parametrize("said", [None, "pins", 5, ["loss"]])
def test_what_is_no_layout_is_none(said: object) -> None:
    assert Layout.told(said) is None


def test_what_cannot_be_a_name_is_left_out_and_pins_have_an_end() -> None:
    told = Layout.told(
        {"pin": ["ok", 7, None, "", "x" * (LONGEST + 1), *map(str, range(100))], "open": "others", "map": ["a"]}
    )
    assert told is not None
    assert told.pins[0] == "ok" and len(told.pins) == MOST_PINS
    assert (told.open, told.measure) == (frozenset(), "")


class CountingStore:
    """Counts how often the keys of its store are read."""

    def __init__(self, store: Store) -> None:
        self._store, self.reads = store, 0

    def keys(self, run_id: str) -> object:
        self.reads += 1
        return self._store.keys(run_id)


def append(store: Store, first: int, *keys: str) -> None:
    one = SeriesPoints(steps=np.array([first]), times_s=np.array([1000.0 + first]), values=np.array([1.0]))
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": 1000.0, "resumed": False}
    series = dict.fromkeys(keys, one)
    store.append(
        Batch(run_id="r", writer_id="w", first_seq=first, last_seq=first, position={}, series=series, start=start if not first else None, rows=1)
    )  # fmt: skip


def test_keys_are_read_again_only_where_the_run_changed(store: Store) -> None:
    append(store, 0, "loss")
    keys, counting = RunKeys(), CountingStore(store)
    assert set(keys.read(counting, store.run("r"), now_s=0.0)) == {"loss"}
    before = keys.digest
    keys.read(counting, store.run("r"), now_s=1e6)
    assert counting.reads == 1
    append(store, 1, "loss", "mine")
    assert set(keys.read(counting, store.run("r"), now_s=2e6)) == {"loss", "mine"}
    assert keys.digest != before


def test_keys_that_are_dear_to_read_are_not_read_at_every_refresh(store: Store) -> None:
    append(store, 0, "loss")
    keys, counting = RunKeys(), CountingStore(store)
    keys.read(counting, store.run("r"), now_s=0.0)
    for second in range(1, 6):
        append(store, second, "loss")
        keys.read(counting, store.run("r"), now_s=second * 1e-9)
    assert counting.reads == 1, "a billionth of a second later nobody can have earned another read"


def test_the_search_knows_keys_by_their_signals_names_too() -> None:
    found = search_json(dict.fromkeys(("lr", "my/metric", "rewards/margins")))  # type: ignore[arg-type]
    named = [found["signals"][place][0] if place >= 0 else "" for place in found["of"]]
    assert dict(zip(found["keys"], named, strict=True)) == {
        "lr": "Learning rate",
        "my/metric": "",
        "rewards/margins": "Margin",
    }


def flat(value: float, size: int = 20) -> Envelope:
    steps, values = np.arange(size), np.full(size, value)
    return Envelope(
        x=steps.astype(float), steps=steps, times_s=1000.0 + steps, low=values, high=values, mean=values, last=values,
        count=np.ones(size, dtype=np.int64), nonfinite=np.zeros(size, dtype=np.int64), kinds=np.zeros(size, dtype=np.uint8),
        exact=True,
    )  # fmt: skip


def test_throughput_says_where_the_time_goes(watched: Store) -> None:
    run = watched.runs()[0]
    series = {
        "step_time_s": flat(4.0),
        "data_wait_s": flat(1.0),
        "optimizer_time_s": flat(0.4),
        "evaluation_time_s": flat(65.0, 2),
    }
    said = section_words(run, series)["throughput"].sentence
    assert (
        said
        == "a step takes 4.0 s, 25 % of it waits for data, 10 % of it is the optimiser's, an evaluation takes 1 min 05 s"
    )
    assert section_words(run, {})["throughput"].sentence == ""


def test_the_strip_tells_samples_where_nobody_counts_tokens_and_no_time_left_for_a_run_that_stands_still(
    watched: Store,
) -> None:
    run = next(run for run in watched.runs() if run.status == "running" and run.max_steps)

    def told(name: str, status: str = "running", **series: Envelope) -> dict[str, object]:
        of = replace(run, status=status)  # type: ignore[arg-type]
        shown = facts(
            of, {"step_time_s": flat(2.0), **series}, health="healthy", incidents=(), now_s=run.created_s + 100
        )
        return next(fact for fact in shown if fact["id"] == name)

    assert told("throughput", samples_per_s=flat(3.0))["label"] == "Samples/s"
    assert told("throughput", samples_per_s=flat(3.0), tokens_per_s=flat(900.0))["label"] == "Tokens/s"
    assert "ends_s" in told("left")
    for status in ("stalled", "hung"):
        assert (told("left", status)["text"], told("left", status)["small"]) == ("—", "stands still")


def test_an_unknown_health_says_what_the_rules_miss_where_somebody_watches(watched: Store) -> None:
    states = [
        {"rule": "kl_blowup", "state": "unknown", "reason": "needs kl, 10 points", "error": ""},
        {"rule": "loss_divergence", "state": "unknown", "reason": "needs 20 points of loss, has 7", "error": ""},
    ]
    run = replace(watched.runs()[0], trainer="sft", health="unknown", rules=states)

    def why(of: RunInfo, health: Health = "unknown") -> object:
        return facts(of, {}, health=health, incidents=(), now_s=run.created_s)[0]["why"]

    assert why(run) == "loss_divergence: needs 20 points of loss, has 7"
    assert why(replace(run, health="healthy")) == "", "nobody watches, which the head of the page says"
    assert why(replace(run, health="healthy"), "healthy") == ""
    assert why(replace(run, rules=())) == "no rule has looked at this run yet"
    failed = {"rule": "own", "state": "unknown", "reason": "the rule itself failed", "error": "KeyError"}
    assert why(replace(run, rules=[*states, failed])) == "own: the rule itself failed"


def test_a_run_that_names_no_phases_is_not_said_to_start_up_for_ever(watched: Store) -> None:
    run = replace(watched.runs()[0], status="running", phase="init")

    def phase(of: RunInfo) -> object:
        return facts(of, {}, health="healthy", incidents=(), now_s=run.created_s)[1]["small"]

    assert phase(replace(run, last_step=None)) == "· init"
    assert phase(replace(run, last_step=7)) == ""
    assert phase(replace(run, last_step=7, phase="eval")) == "· eval"


def test_the_verdict_on_the_margin_obeys_the_users_limits(watched: Store) -> None:
    run = replace(watched.runs()[0], trainer="dpo", config={}, max_steps=100)
    series = {"reward_margin": flat(0.03, 80), "reward_accuracy": flat(0.7, 80)}
    assert section_words(run, series)["margin"].word == "Levelled off"
    user = read_user_rules("[rules.margin_stagnant]\nsurely = 0.8\n", file="runvitals.toml")
    assert section_words(run, series, user.margin_limits(run.project))["margin"].word == "Stagnant"
