"""Signals of a user's own on the Compare page: found, pinned, charted, in the table and an outcome."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from runvitals.dashboard.compare_body import Reader, frame, words
from runvitals.dashboard.compare_pins import key_for, pins_of, title_of_pin
from runvitals.dashboard.compare_search import found, names_of
from runvitals.dashboard.compare_state import MOST_IN_COLOUR, Shown, of_query
from runvitals.dashboard.signal_keys import picks
from runvitals.store import Store
from runvitals.store.types import Batch, SeriesPoints

OWN = "reward/<b>format</b>"


def logged(store: Store, run_id: str, keys: dict[str, float], *, timed: dict[str, float] | None = None) -> None:
    """A run of 60 rows whose keys have one value each; timed: samples without a step, one every second."""
    steps = np.arange(1, 61, dtype=np.int64)

    def points(value: float, at: Any) -> SeriesPoints:
        return SeriesPoints(steps=at, times_s=100.0 + steps, values=np.full(60, value))

    series = {key: points(value, steps) for key, value in keys.items()}
    series |= {key: points(value, np.full(60, -1)) for key, value in (timed or {}).items()}
    number = int(run_id[1:])
    start = {
        "project": "p",
        "name": run_id,
        "config": {"number": number},
        "info": {},
        "time_s": 100.0,
        "resumed": False,
    }
    batch = Batch(
        run_id=run_id, writer_id="w", first_seq=0, last_seq=60, position={}, series=series, start=start, rows=60
    )
    store.append(batch)


def compared(store: Store, pins: tuple[str, ...], **shown: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
    runs = sorted(store.runs(), key=lambda run: int(run.id[1:]))
    comparison = Reader().compare(store, runs, Shown(pins=pins, **shown))
    return frame(comparison, []), words(store, comparison), comparison


def top(framed: dict[str, Any]) -> list[dict[str, Any]]:
    first = framed["sections"][0]
    return first["blocks"] if first["id"] == "pinned" else []


def test_a_pinned_key_is_a_chart_a_row_and_an_outcome(store: Store) -> None:
    for number in range(3):
        logged(store, f"r{number}", {"loss": 1.0, OWN: 1.0 + number})
    framed, told, comparison = compared(store, (f"key:{OWN}",), outcome=f"key:{OWN}")
    (chart,) = top(framed)
    assert chart["title"] == OWN and [line["id"] for line in chart["series"]] == [
        f"{place}|{OWN}" for place in range(3)
    ]
    row = {row["title"]: row for row in told["blocks"]["table"]["rows"]}[OWN]
    assert [cell["text"] for cell in row["cells"]] == ["1.00", "2.00", "3.00"]
    # Nobody knows which way is good for it.
    assert row["cells"][2]["delta"] == "+2.00" and row["cells"][2]["verdict"] == ""
    assert [run["value"] for run in told["blocks"]["outcome"]["runs"]] == [1.0, 2.0, 3.0]
    assert {curve for curves in comparison.curves for curve in curves} >= {"loss", OWN}


def test_a_pin_means_the_same_signal_however_a_run_spells_it(store: Store) -> None:
    logged(store, "r0", {"train/entropy": 2.0})
    logged(store, "r1", {"policy/entropy_avg": 1.0, "entropy": 3.0})
    logged(store, "r2", {"loss": 3.0})
    _, told, _ = compared(store, ("key:train/entropy",))
    row = next(row for row in told["blocks"]["table"]["rows"] if row["title"] == "Entropy")
    assert [cell["text"] for cell in row["cells"]] == ["2.00", "1.00", "not logged"]


def test_one_device_or_rank_is_never_taken_for_another() -> None:
    keys = ["gpu/0/power_w", "loss"]
    assert key_for("key:gpu/0/power_w", keys, picks(keys)) == "gpu/0/power_w"
    assert key_for("key:gpu/3/power_w", keys, picks(keys)) is None
    assert key_for("key:rank/2/loss", keys, picks(keys)) is None
    assert title_of_pin("key:gpu/3/power_w") == "gpu/3/power_w"


def test_a_chart_of_the_page_is_pinned_as_a_copy_and_its_row_stays_one(store: Store) -> None:
    for number in range(2):
        logged(store, f"r{number}", {"loss": 1.0 + number})
    framed, told, _ = compared(store, ("loss", "key:loss"))
    assert [chart["id"] for chart in top(framed)] == ["pin:loss", "pin:key:loss"]
    assert told["charts"]["pin:loss"] == told["charts"]["loss"]
    assert [row["title"] for row in told["blocks"]["table"]["rows"]] == ["Loss"]


def test_pins_that_no_run_logs_are_counted_and_illegible_ones_left_out(store: Store) -> None:
    logged(store, "r0", {"loss": 1.0})
    framed, _, _ = compared(store, ("key:gone", "nonsense"))
    assert top(framed)[0]["text"] == "2 pinned signals are logged by none of these runs."
    assert pins_of(["key:a", 3, "", "key:a", "x" * 501, "key:b"]) == ("key:a", "key:b")
    assert of_query({"pin": ["key:a"]}).pins == ("key:a",)
    assert of_query({"pin": "key:a"}).pins == ("key:a",)
    assert len(pins_of([f"key:{number}" for number in range(99)])) == 24


def test_grey_runs_and_groups_have_pinned_curves_too(store: Store) -> None:
    for number in range(MOST_IN_COLOUR + 2):
        logged(store, f"r{number}", {OWN: float(number)})
    _, _, comparison = compared(store, (f"key:{OWN}",))
    assert [run[0] for run in comparison.series[f"faint|key:{OWN}"]["runs"]] == ["r6", "r7"]
    _, told, comparison = compared(store, (f"key:{OWN}",), group=("number",))
    assert comparison.series[f"g3|key:{OWN}"]["mean"][0] == 3.0
    assert told["charts"][f"pin:key:{OWN}"]["sizes"]["g3"] == "n 1"


@pytest.mark.parametrize(("axis", "last"), [("step", 60.0), ("share", 1.0), ("since", 60.0)])
def test_samples_without_a_step_stand_at_the_step_of_their_time(store: Store, axis: str, last: float) -> None:
    for number in range(MOST_IN_COLOUR + 1):
        logged(store, f"r{number}", {"loss": 1.0}, timed={"gpu/0/power_w": 300.0 + number})
    _, told, comparison = compared(store, ("key:gpu/0/power_w",), axis=axis)
    curve = comparison.curves[6]["gpu/0/power_w"]
    assert curve.x[-1] == pytest.approx(last) and curve.mean[-1] == 306.0
    row = next(row for row in told["blocks"]["table"]["rows"] if row["title"] == "gpu/0/power_w")
    assert [cell["text"] for cell in row["cells"]][-1] == "306"
    _, told, _ = compared(store, ("key:gpu/0/power_w",), at=30)
    row = next(row for row in told["blocks"]["table"]["rows"] if row["title"] == "gpu/0/power_w")
    assert row["cells"][1]["text"] == "logged without steps"


def test_the_search_names_each_signal_once_the_nearest_first(store: Store) -> None:
    logged(store, "r0", {"train/loss": 1.0, "aux/loss_scale": 1.0, "glossary": 1.0, OWN: 1.0})
    logged(store, "r1", {"loss": 1.0, "Reward/Format": 2.0})
    members = compared(store, ())[2].members
    names = names_of(members)
    rows = found(names, " LOSS ", of=2)["rows"]
    assert [(row["key"], row["title"], row["runs"]) for row in rows] == [
        ("train/loss", "Loss", "all runs"),
        ("aux/loss_scale", "aux/loss_scale", "1 of 2 runs"),
        ("glossary", "glossary", "1 of 2 runs"),
    ]
    assert [row["key"] for row in found(names, "format rew", of=2)["rows"]] == [OWN, "Reward/Format"]
    assert found(names, "no such thing", of=2) == {"text": "no such thing", "rows": [], "more": 0}
    assert found(names, "", of=2)["rows"] == []
    assert json.dumps(found(names, "(.*", of=2)["rows"]) == "[]"


def test_of_many_matches_the_best_few_are_told_and_the_rest_counted(store: Store) -> None:
    logged(store, "r0", {f"layer/{number}/norm": 1.0 for number in range(300)} | {"norm": 1.0})
    told = found(names_of(compared(store, ())[2].members), "norm", of=1)
    assert told["rows"][0]["key"] == "norm" and len(told["rows"]) == 12 and told["more"] == 289


def test_a_pin_reads_its_own_curve_and_no_other_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        logged(store, f"r{number}", {"loss": 1.0, OWN: 1.0})
    reader, runs = Reader(), store.runs()
    reader.compare(store, runs, Shown())
    read: list[str] = []
    asked: list[str] = []
    keys = store.keys
    monkeypatch.setattr(store, "keys", lambda run_id, *, only: asked.extend(only) or keys(run_id, only=only))
    envelope = store.envelope
    monkeypatch.setattr(
        store, "envelope", lambda run_id, keys, **how: read.extend(keys) or envelope(run_id, keys, **how)
    )
    reader.compare(store, runs, Shown(pins=(f"key:{OWN}",)))
    assert read == [OWN, OWN] and asked == [OWN, OWN]
    assert "gone" not in reader.compare(store, runs, Shown()).members[0].chosen


def test_the_page_tells_no_names_before_somebody_looks(app: AppTest, store: Store, sample: ModuleType) -> None:
    logged(store, "r0", {"loss": 1.0, OWN: 1.0})
    app.query_params["compare"] = "r0"
    app.query_params["pin"] = [f"key:{OWN}"]
    app.run()
    assert not app.exception
    (element,) = app.get("bidi_component")
    data = json.loads(element.proto.json)
    assert data["frame"]["body"]["sections"][0]["blocks"][0]["title"] == OWN
    assert "signals" not in data


def test_runs_without_a_margin_have_their_loss_as_the_big_chart_and_a_word_on_the_margin_below(store: Store) -> None:
    for number in range(2):
        logged(store, f"r{number}", {"loss": 1.0, "grad_norm": 1.0})
    framed, _, _ = compared(store, ())
    first, second = framed["sections"][:2]
    assert [block["id"] for block in first["blocks"]] == ["loss", "differs"] and first["blocks"][0]["big"]
    assert [line["label"] for line in first["blocks"][0]["series"]] == ["r0", "r1"]
    assert [block["id"] for block in second["blocks"]] == ["grad_norm", "no-margin"]


def test_runs_of_which_nothing_is_known_are_led_to_the_search(store: Store) -> None:
    logged(store, "r0", {"a": 1.0})
    logged(store, "r1", {"b": 1.0})
    framed, _, _ = compared(store, ())
    (section,) = framed["sections"]
    assert "any of the 2 signals" in section["blocks"][0]["text"]
    framed, _, _ = compared(store, ("key:a",))
    assert [section["id"] for section in framed["sections"]] == ["pinned", "margin", "against"]


def test_long_names_are_told_apart_by_what_differs(store: Store) -> None:
    for number, rate in enumerate(("1e-05", "3e-05")):
        logged(store, f"r{number}", {"loss": 1.0})
        store.set_run(f"r{number}", name=f"llama-3-8b-instruct-sweep-of-rates-lr{rate}-warmup")
    labels = [entry["label"] for entry in compared(store, ())[0]["head"]["entries"]]
    assert labels == ["…lr1e-05-warmup", "…lr3e-05-warmup"]
