"""What the live-chart component is told: everything once, then only what is new."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from typing import Any

import numpy as np
import pytest

from runvitals.dashboard.chart_files import points_csv
from runvitals.dashboard.envelopes import PACKED_FROM
from runvitals.dashboard.live_charts import BUCKETS, LEFT_LONG_AGO, REPEATED, Feed, Want
from runvitals.dashboard.sights import Sight, Span, Zoom
from runvitals.store import Store
from runvitals.store.types import Batch, SeriesPoints

ZERO_S = 1_000.0


def log(store: Store, first: int, values: list[float], *, key: str = "loss") -> None:
    steps = np.arange(first, first + len(values), dtype=np.int64)
    points = SeriesPoints(steps=steps, times_s=ZERO_S + steps.astype(float), values=np.array(values, dtype=float))
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": ZERO_S, "resumed": False}
    store.append(
        Batch(
            run_id="r",
            writer_id=f"w-{key}-{first}",
            first_seq=0,
            last_seq=len(values),
            position={},
            series={key: points},
            start=start,
            rows=len(values),
        )
    )


def want(key: str = "loss") -> Want:
    return Want(id=key, run_id="r", key=key, timed=False, zero_s=ZERO_S)


def zoom_to(start: float, stop: float, *, n: int, again: int = 0) -> Zoom:
    return Zoom(id="z", again=again, spans={"run": Span(start=start, stop=stop, start_s=start, stop_s=stop)}, n=n)


def numbers(column: str | list[float | None]) -> list[float]:
    """A column of values as the browser reads it."""
    return np.frombuffer(b64decode(column), dtype="<f4").tolist() if isinstance(column, str) else column  # type: ignore[return-value]


def test_the_first_message_holds_all_and_the_next_only_what_is_new(store: Store) -> None:
    log(store, 0, [1.0, 2.0])
    feed = Feed(epoch="e")
    whole = feed.message(store, [want()], None)
    assert whole["whole"] and whole["series"]["loss"] == {"step": [0, 1], "time": [0.0, 1.0], "mean": [1.0, 2.0]}
    log(store, 2, [3.0])
    new = feed.message(store, [want()], None)
    assert not new["whole"]
    assert new["points"] == {"loss": {"from": 0, "columns": {"step": [2], "time": [2.0], "mean": [3.0]}}}


def test_points_go_on_after_the_clock_of_the_training_host_was_set_back(store: Store) -> None:
    log(store, 0, [1.0, 2.0])
    feed = Feed(epoch="e")
    feed.message(store, [want()], None)
    steps = np.array([2, 3], dtype=np.int64)
    earlier = SeriesPoints(steps=steps, times_s=np.array([ZERO_S - 600, ZERO_S - 599]), values=np.array([5.0, 6.0]))
    store.append(
        Batch(run_id="r", writer_id="back", first_seq=0, last_seq=2, position={}, series={"loss": earlier}, rows=2)
    )
    columns = feed.message(store, [want()], None)["points"]["loss"]["columns"]
    assert (columns["step"], columns["mean"]) == ([2, 3], [5.0, 6.0])


def test_steps_that_go_back_are_drawn_anew_and_what_they_superseded_is_told_apart(store: Store) -> None:
    log(store, 0, [1.0, 2.0, 9.0, math.nan])
    feed = Feed(epoch="e")
    assert "superseded" not in feed.message(store, [want()], None)
    log(store, 2, [3.0])  # another process, from a checkpoint at step 2
    again = feed.message(store, [want()], None)
    assert again["whole"]
    assert (again["series"]["loss"]["step"], again["series"]["loss"]["mean"]) == ([0, 1, 2], [1.0, 2.0, 3.0])
    assert again["superseded"]["loss"] == {"step": [2, 3], "time": [2.0, 3.0], "mean": [9.0, None], "kinds": [0, 1]}
    log(store, 3, [4.0])
    new = feed.message(store, [want()], None)
    assert not new["whole"] and new["points"]["loss"]["columns"]["step"] == [3]


def test_a_zoom_brings_superseded_steps_too(store: Store) -> None:
    log(store, 0, [1.0, 2.0, 9.0, 8.0])
    log(store, 2, [3.0, 4.0])
    zoom = zoom_to(2, 3, n=100, again=0)
    feed = Feed(epoch="e")
    fine = feed.message(store, [want()], zoom)["zoom"]
    assert fine["series"]["loss"]["mean"][-2:] == [3.0, 4.0]
    assert fine["superseded"]["loss"]["mean"] == [9.0, 8.0]


def test_points_that_come_while_the_whole_is_made_are_told_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    log(store, 0, [1.0])
    feed = Feed(epoch="e")
    drawn = Store.drawn

    def late(*given: Any, **named: Any) -> Any:
        found = drawn(*given, **named)
        log(store, 1, [2.0])
        return found

    monkeypatch.setattr(Store, "drawn", late)
    assert feed.message(store, [want()], None)["series"]["loss"]["mean"] == [1.0]
    assert feed.message(store, [want()], None)["points"]["loss"]["columns"]["mean"] == [2.0]


def test_points_are_repeated_so_that_a_lost_message_loses_nothing(store: Store) -> None:
    log(store, 0, [0.0])
    feed = Feed(epoch="e")
    feed.message(store, [want()], None)
    for step in range(1, 4):
        log(store, step, [float(step)])
        message = feed.message(store, [want()], None)
    assert message["points"]["loss"]["columns"]["mean"] == [1.0, 2.0, 3.0]
    for _ in range(REPEATED + 1):
        message = feed.message(store, [want()], None)
    assert message["points"] == {}
    assert message["base"] == message["seq"] - REPEATED - 1


def test_a_resync_sends_everything_under_a_new_epoch(store: Store) -> None:
    log(store, 0, [1.0])
    feed = Feed(epoch="e")
    first = feed.message(store, [want()], None)
    feed.resync()
    again = feed.message(store, [want()], None)
    assert again["whole"] and again["epoch"] != first["epoch"]


def test_a_new_series_on_the_page_sends_everything(store: Store) -> None:
    log(store, 0, [1.0])
    feed = Feed(epoch="e")
    feed.message(store, [want()], None)
    log(store, 0, [5.0], key="grad_norm")
    assert set(feed.message(store, [want(), want("grad_norm")], None)["series"]) == {"loss", "grad_norm"}


def test_values_that_are_no_numbers_survive_as_kinds_and_the_message_is_json(store: Store) -> None:
    log(store, 0, [1.0, math.nan, math.inf, -math.inf])
    feed = Feed(epoch="e")
    columns = feed.message(store, [want()], None)["series"]["loss"]
    assert columns["mean"] == [1.0, None, None, None]
    assert columns["kinds"] == [0, 1, 2, 4]
    log(store, 4, [math.nan])
    new = feed.message(store, [want()], None)
    assert new["points"]["loss"]["columns"]["kinds"] == [1]
    json.dumps(new, allow_nan=False)


def test_a_long_run_is_sent_as_an_envelope_and_a_zoom_gives_single_points(store: Store) -> None:
    values = np.zeros(5_000)
    values[2_500] = 9.0
    log(store, 0, values.tolist())
    feed = Feed(epoch="e")
    whole = feed.message(store, [want()], None)["series"]["loss"]
    assert len(whole["step"]) <= BUCKETS
    assert max(numbers(whole["high"])) == 9.0, "no spike disappears"
    zoom = zoom_to(2_450, 2_550, n=600, again=0)
    answer = feed.message(store, [want()], zoom)["zoom"]
    assert answer["id"] == "z"
    fine = answer["series"]["loss"]
    assert "count" not in fine
    assert numbers(fine["mean"])[fine["step"].index(2_500)] == 9.0
    assert fine["step"][0] <= 2_450 and fine["step"][-1] >= 2_550
    later = feed.message(store, [want()], zoom)
    assert "zoom" not in later, "an answer is sent once"
    assert later["answered"] == {"id": "z", "again": 0}, "and told of, for it may have been overtaken"
    lost = zoom_to(2_450, 2_550, n=600, again=1)
    assert "zoom" in feed.message(store, [want()], lost), "and again where the browser asks again"


SPAN = {"start": 0, "stop": 1, "start_s": 0, "stop_s": 1}


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"id": "z"},
        {"id": "z", "again": 0, "n": 9},
        {"id": "z", "again": 0, "n": 9, "spans": {"run": SPAN | {"start": "x"}}},
        {"id": "z", "again": 0, "n": 9, "spans": {"run": SPAN | {"stop": math.inf}}},
        {"id": "z", "again": 0, "n": 9, "spans": [SPAN]},
        "nonsense",
    ],
)
def test_a_zoom_that_says_nothing_legible_is_none(state: object) -> None:
    assert Zoom.of_state(state) is None


def test_a_zoom_cannot_ask_for_more_than_a_screen_can_show() -> None:
    asked = {"id": "z", "again": 0, "spans": {"run": SPAN}, "n": 10**9}
    found = Zoom.of_state(asked)
    assert found is not None and found.n == 4_000


def test_a_zoom_asks_each_run_for_its_own_range(store: Store) -> None:
    log(store, 0, [1.0, 2.0, 3.0, 4.0])
    log(store, 0, [5.0, 6.0, 7.0, 8.0], key="grad_norm")
    other = Want(id="other", run_id="r", key="grad_norm", timed=False, zero_s=ZERO_S, clock="1")
    spans = {"run": Span(start=3, stop=3, start_s=3, stop_s=3)}
    fine = Feed(epoch="e").message(store, [want()], Zoom(id="z", again=0, spans=spans, n=100))["zoom"]
    assert fine["series"]["loss"]["step"] == [2, 3], "with a step of air"
    absent = Feed(epoch="e").message(store, [other], Zoom(id="z", again=0, spans=spans, n=100))["zoom"]
    assert absent["series"] == {}, "nothing of this run lies in the range"


def test_a_file_is_told_of_in_a_few_messages_and_then_no_more(store: Store) -> None:
    log(store, 0, [1.0])
    feed = Feed(epoch="e")
    feed.message(store, [want()], None)
    feed.offer({"id": "1", "name": "loss.csv", "url": "/media/x"})
    told = ["file" in feed.message(store, [want()], None) for _ in range(REPEATED + 2)]
    assert told == [True] * REPEATED + [False] * 2


def test_a_csv_holds_every_digit_and_says_what_is_no_number(store: Store) -> None:
    values = [0.1 + 0.2, math.nan, -math.inf, 4.0]
    log(store, 0, values)
    lines = points_csv(store, [want()], None).splitlines()
    assert lines[0] == "run,run_id,key,step,time_s,value"
    assert lines[1] == "n,r,loss,0,1000.0,0.30000000000000004"
    assert [line.split(",")[-1] for line in lines[2:]] == ["NaN", "-Inf", "4.0"]
    part = points_csv(store, [want()], {"run": Span(start=1, stop=2, start_s=1, stop_s=2)}).splitlines()
    assert [line.split(",")[3] for line in part[1:]] == ["1", "2"]
    assert points_csv(store, [want()], {}).splitlines() == lines[:1], "a run outside the range has no lines"


def test_a_name_that_begins_like_a_formula_stays_text_in_a_spreadsheet(store: Store) -> None:
    log(store, 0, [1.0], key="=1+1")
    assert ",'=1+1," in points_csv(store, [want("=1+1")], None)


def test_many_values_are_float32_with_nan_where_there_is_no_number_and_those_beyond_it_stay_words(store: Store) -> None:
    values = [0.1 * number for number in range(PACKED_FROM)]
    values[3:5] = [math.nan, math.inf]
    log(store, 0, values)
    log(store, 0, [1e300, *values[1:]], key="huge")
    series = Feed(epoch="e").message(store, [want(), want("huge")], None)["series"]
    found = numbers(series["loss"]["mean"])
    assert found[:3] == pytest.approx([0.0, 0.1, 0.2]) and found[-1] == pytest.approx(6.3)
    assert math.isnan(found[3]) and math.isnan(found[4]) and series["loss"]["kinds"][2:6] == [0, 1, 2, 0]
    assert series["huge"]["mean"][0] == 1e300


def test_what_several_series_have_in_common_is_said_once(store: Store) -> None:
    for key in ("loss", "grad_norm"):
        log(store, 0, [1.0, 2.0], key=key)
    log(store, 5, [1.0], key="eval_loss")
    wants = [want(), want("grad_norm"), want("eval_loss")]
    feed = Feed(epoch="e")
    whole = feed.message(store, wants, None)
    assert whole["grids"] == [{"step": [0, 1], "time": [0.0, 1.0]}]
    assert whole["series"]["loss"] == whole["series"]["grad_norm"] == {"grid": 0, "mean": [1.0, 2.0]}
    assert whole["series"]["eval_loss"] == {"step": [5], "time": [5.0], "mean": [1.0]}
    for key in ("loss", "grad_norm"):
        log(store, 2, [3.0], key=key)
    new = feed.message(store, wants, None)
    assert new["grids"] == [{"step": [2], "time": [2.0]}]
    assert new["points"]["grad_norm"] == {"from": 0, "columns": {"grid": 0, "mean": [3.0]}}


def sight(*keys: str, name: str = "s") -> Sight:
    return Sight(id=name, blocks=keys, ids=frozenset(keys))


def test_a_series_out_of_sight_is_neither_read_nor_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("loss", "grad_norm"):
        log(store, 0, [1.0, 2.0], key=key)
    feed, wants = Feed(epoch="e"), [want(), want("grad_norm")]
    read: list[str] = []
    for name in ("since", "drawn"):
        plain = getattr(Store, name)

        def noted(self: Store, run_id: str, keys: list[str], *given: Any, plain: Any = plain, **named: Any) -> Any:
            read.extend(keys)
            return plain(self, run_id, keys, *given, **named)

        monkeypatch.setattr(Store, name, noted)
    whole = feed.message(store, wants, None, sight("loss"))
    assert set(whole["series"]) == {"loss"} and whole["blocks"] == ["loss"] and whole["sighted"] == "s"
    for key in ("loss", "grad_norm"):
        log(store, 2, [3.0], key=key)
    new = feed.message(store, wants, zoom_to(0, 1, n=100), sight("loss"))
    assert set(new["points"]) == set(new["zoom"]["series"]) == {"loss"}
    assert "grad_norm" not in json.dumps(new) and "grad_norm" not in read


def test_a_series_that_comes_into_sight_is_told_whole_and_then_only_what_is_new(store: Store) -> None:
    for key in ("loss", "grad_norm"):
        log(store, 0, [1.0, 2.0], key=key)
    feed, wants = Feed(epoch="e"), [want(), want("grad_norm")]
    feed.message(store, wants, None, sight("loss"))
    came = feed.message(store, wants, None, sight("loss", "grad_norm", name="t"))
    assert not came["whole"] and came["sighted"] == "t"
    assert came["fresh"][0]["series"]["grad_norm"]["mean"] == [1.0, 2.0]
    log(store, 2, [3.0], key="grad_norm")
    new = feed.message(store, wants, None, sight("loss", "grad_norm", name="t"))
    assert new["fresh"] == came["fresh"] and new["base"] < came["seq"], "said twice, for the first may be overtaken"
    assert new["points"] == {"grad_norm": {"from": 0, "columns": {"step": [2], "time": [2.0], "mean": [3.0]}}}
    later = feed.message(store, wants, None, sight("loss", "grad_norm", name="t"))
    assert "fresh" not in later and later["base"] == came["seq"], "a browser that missed both asks anew"


def test_a_series_that_comes_back_goes_on_where_it_was_left_in_one_message(store: Store) -> None:
    for key in ("loss", "grad_norm"):
        log(store, 0, [0.0], key=key)
    feed, wants = Feed(epoch="e"), [want(), want("grad_norm")]
    feed.message(store, wants, None, sight("loss", "grad_norm"))
    for step in range(1, 2 * REPEATED + 4):
        log(store, step, [float(step)], key="grad_norm")
        assert "grad_norm" not in feed.message(store, wants, None, sight("loss"))["points"]
    back = feed.message(store, wants, None, sight("loss", "grad_norm"))
    assert back["points"]["grad_norm"]["from"] == 0 and "fresh" not in back
    assert back["points"]["grad_norm"]["columns"]["step"] == list(range(1, 2 * REPEATED + 4))


def test_a_series_that_was_away_for_long_is_told_anew(store: Store) -> None:
    for key in ("loss", "grad_norm"):
        log(store, 0, [0.0], key=key)
    feed, wants = Feed(epoch="e"), [want(), want("grad_norm")]
    feed.message(store, wants, None, sight("loss", "grad_norm"))
    log(store, 1, [1.0], key="grad_norm")
    for _ in range(LEFT_LONG_AGO + 1):
        feed.message(store, wants, None, sight("loss"))
    back = feed.message(store, wants, None, sight("loss", "grad_norm"))
    assert back["fresh"][0]["series"]["grad_norm"]["mean"] == [0.0, 1.0] and back["points"] == {}


def test_what_comes_into_sight_of_a_zoom_has_its_finer_points_in_the_same_message(store: Store) -> None:
    for key in ("loss", "grad_norm"):
        log(store, 0, [float(number) for number in range(5_000)], key=key)
    feed, wants, zoom = Feed(epoch="e"), [want(), want("grad_norm")], zoom_to(100, 150, n=600)
    feed.message(store, wants, None, sight("loss"))
    assert set(feed.message(store, wants, zoom, sight("loss"))["zoom"]["series"]) == {"loss"}
    came = feed.message(store, wants, zoom, sight("loss", "grad_norm"))
    assert came["zoom"]["more"] and set(came["zoom"]["series"]) == {"grad_norm"}
    assert "count" not in came["zoom"]["series"]["grad_norm"], "single points"
    after = feed.message(store, wants, zoom, sight("loss", "grad_norm"))
    assert "zoom" not in after and after["base"] == came["seq"]


FRAME = {
    "clocks": {"run": {"steps": "loss", "tokens": None}},
    "sections": [
        {
            "blocks": [
                {"id": "curve", "kind": "chart", "series": [{"id": "margin", "error": "margin_se"}]},
                {"id": "words", "kind": "note"},
                {
                    "id": "small",
                    "kind": "small",
                    "items": [{"series": "gpu", "bar": ["a", "b"], "feet": [{"series": "w"}]}],
                },
            ]
        }
    ],
}


def test_the_browser_names_blocks_and_the_frame_knows_their_series() -> None:
    told = Sight.of_state({"id": "7", "blocks": ["small", "gone"], "axis": ["lr"]}, FRAME)
    assert told == Sight(id="7", blocks=("small",), ids=frozenset({"gpu", "a", "b", "w", "lr", "loss"}))


@pytest.mark.parametrize("state", [None, "x", {}, {"blocks": "curve", "axis": []}, {"blocks": ["curve"]}])
def test_before_the_browser_has_told_anything_legible_the_first_charts_are_taken(state: object) -> None:
    assert Sight.of_state(state, FRAME) == Sight(
        id="", blocks=("curve",), ids=frozenset({"margin", "margin_se", "loss"})
    )
