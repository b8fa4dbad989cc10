"""The Compare page as Streamlit runs it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from runvitals.dashboard import compare_views, head
from runvitals.dashboard.chart_files import points_csv
from runvitals.dashboard.compare_body import Reader, frame
from runvitals.dashboard.compare_csv import thin_spans, thin_wants
from runvitals.dashboard.compare_judge import Reading
from runvitals.dashboard.compare_read import member
from runvitals.dashboard.compare_state import Shown, of_query
from runvitals.dashboard.compare_values import readings
from runvitals.dashboard.compare_yardstick import yardstick_of
from runvitals.dashboard.differences import settings_table
from runvitals.store import Store
from runvitals.store.types import Batch, RunInfo, SeriesPoints


def opened(app: AppTest, store: Store, *names: str) -> dict[str, Any]:
    ids = {run.name: run.id for run in store.runs()}
    app.query_params["compare"] = ",".join(ids[name] for name in names)
    app.run()
    assert not app.exception
    found = [element.proto for element in app.get("bidi_component")]
    assert [proto.component_name for proto in found] == ["runvitals.charts"]
    return dict(json.loads(found[0].json))


THREE = ("dpo-7b-clean-lr3e5", "dpo-7b-uf-b01", "ppo-7b-helpful-kl01")


def blocks(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {block["id"]: block for section in data["frame"]["body"]["sections"] for block in section["blocks"]}


def test_the_first_run_of_the_link_is_the_baseline_and_all_keep_their_colours(app: AppTest, watched: Store) -> None:
    head = opened(app, watched, *THREE)["frame"]["body"]["head"]
    assert [entry["name"] for entry in head["entries"]] == list(THREE)
    assert [entry["dash"] for entry in head["entries"]] == ["solid", "6px 3px", "2px 3px"]
    assert len({entry["color"] for entry in head["entries"]}) == 3


def test_runs_of_several_trainers_share_the_held_out_margin(app: AppTest, watched: Store) -> None:
    margin = blocks(opened(app, watched, *THREE))["margin"]
    assert margin["title"] == "Margin on held-out pairs"
    assert [line["clock"] for line in margin["series"]] == ["0", "1", "2"]


def test_a_signal_that_a_run_never_logged_is_said_so_and_not_zero(app: AppTest, watched: Store) -> None:
    data = opened(app, watched, *THREE)
    rows = {row["title"]: row for row in data["words"]["body"]["blocks"]["table"]["rows"]}
    assert rows["Margin"]["cells"][2] == {"text": "not logged", "missing": True}


def test_only_signals_with_a_direction_are_better_or_worse(app: AppTest, watched: Store) -> None:
    rows = {row["title"]: row for row in opened(app, watched, *THREE)["words"]["body"]["blocks"]["table"]["rows"]}
    assert rows["Held-out margin"]["cells"][1]["verdict"] == "worse"
    assert "best" in rows["Held-out margin"]["cells"][1]["note"]
    assert rows["Gradient norm"]["cells"][1]["verdict"] == ""


def test_unequal_settings_are_listed_and_equal_ones_only_counted(app: AppTest, watched: Store) -> None:
    differs = blocks(opened(app, watched, *THREE))["differs"]
    assert all(len(set(row["values"])) > 1 for row in differs["rows"])
    assert differs["rows"][0] == {"name": "trainer", "values": ["dpo", "dpo", "ppo"]}


def test_runs_that_part_say_at_which_step(app: AppTest, watched: Store) -> None:
    parted = opened(app, watched, "dpo-7b-clean-lr3e5", "dpo-7b-uf-b01")["words"]["body"]["charts"]["loss"]["parted"]
    assert len(parted) == 1 and parted[0]["label"] == f"≠ {math.ceil(parted[0]['place'])}"


def test_unknown_runs_in_the_link_are_left_out(app: AppTest, watched: Store) -> None:
    app.query_params["compare"] = "nothing,here"
    app.run()
    assert not app.exception


def test_runs_that_nobody_chose_are_said_to_be_picked(watched: Store) -> None:
    runs = [replace(run, project="demo") for run in watched.runs()[:2]]
    found = Reader().compare(watched, runs, Shown())
    picked = frame(found, [], picked=True)["head"]["sentence"]
    assert picked == "the newest 2 runs of demo, as none were chosen; the first is the baseline"
    assert frame(found, [])["head"]["sentence"] == "2 runs, the first is the baseline"


def test_a_length_that_epochs_set_is_shown_as_it_came_out() -> None:
    one, two = (
        RunInfo(
            id=name, project="p", name=name, trainer="ppo", status="finished", phase="", health="healthy", created_s=0.0,
            ended_s=None, beat_s=None, last_step=None, last_step_s=None, max_steps=steps, color=0, config={"max_steps": wanted},
            info={}, rules=(), finding="", alerts=0, revision=0,
        )
        for name, steps, wanted in (("a", 150, -1), ("b", 300, 300))
    )  # fmt: skip
    assert settings_table([one, two]).rows == [{"name": "max_steps", "values": ["150", "300"]}]


def test_nested_settings_are_flattened_and_paths_of_this_machine_left_out() -> None:
    def run(name: str, config: dict[str, Any]) -> RunInfo:
        return RunInfo(
            id=name, project="p", name=name, trainer="dpo", status="finished", phase="", health="healthy", created_s=0.0,
            ended_s=None, beat_s=None, last_step=None, last_step_s=None, max_steps=None, color=0, config=config, info={},
            rules=(), finding="", alerts=0, revision=0,
        )  # fmt: skip

    one = run("a", {"beta": 0.1, "dataset": {"revision": "x"}, "output_dir": "/here", "fp16": True})
    two = run("b", {"beta": 0.1, "dataset": {"revision": "y"}, "output_dir": "/there"})
    found = settings_table([one, two])
    assert found.rows == [{"name": "dataset.revision", "values": ["x", "y"]}]
    assert found.some == [{"name": "fp16", "values": ["true", "—"]}]
    assert (found.unequal, found.equal) == (2, 2)


def choose(app: AppTest, store: Store, names: tuple[str, ...], **query: str) -> dict[str, Any]:
    for name, value in query.items():
        app.query_params[name] = value
    return opened(app, store, *names)


def rows_of(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in data["words"]["body"]["blocks"]["table"]["rows"]}


def many(store: Store, sample: ModuleType, runs: int, *others: Any) -> tuple[str, ...]:
    """Seeds of three settings, and other samples behind them."""
    samples = tuple(
        sample.Sample(
            name=f"run-{number}", trainer="dpo", kind="clean", step=60 + number % 2, max_steps=100, age_s=1_000, status="finished",
            probe=1.0 + number, config={"learning_rate": 10.0 ** -(1 + number % 3), "seed": number, "optim": {"name": "sgd"}},
        )
        for number in range(runs)
    )  # fmt: skip
    sample.fill(store, now_s=time.time(), samples=(*samples, *others))
    sample.beat(store, now_s=time.time())
    return tuple(one.name for one in samples)


def test_the_seventh_run_and_all_after_it_are_one_thin_grey_line_each(
    app: AppTest, store: Store, sample: ModuleType
) -> None:
    names = many(store, sample, 12)
    data = opened(app, store, *names)
    loss = blocks(data)["loss"]["series"]
    assert [line["style"] for line in loss] == ["faint"] + ["line"] * 6
    assert loss[0]["label"] == "6 more"
    assert blocks(data)["loss"]["crowded"], "seven entries take two lines, or the last of the six is cut"
    faint = data["curves"]["body"]["faint|loss"]
    assert [whose for whose, _, _ in faint["runs"]] == [f"run-{number}" for number in range(6, 12)]
    assert all(faint["mean"][stop] is None for _, _, stop in faint["runs"]), (
        "a gap after each, or one line runs into the next"
    )
    assert all(None not in faint["mean"][start:stop] for _, start, stop in faint["runs"])
    assert len(faint["step"]) == len(faint["mean"]) == faint["runs"][-1][2] + 1
    # The runs in colour come as live series; the others are not sent a second time.
    assert {series.split("|")[0] for series in data["charts"]["series"]} == {"0", "1", "2", "3", "4", "5"}


def test_the_file_of_a_chart_has_the_points_of_grey_runs_too_within_the_range_in_view(
    store: Store, sample: ModuleType
) -> None:
    many(store, sample, 8)
    runs = sorted(store.runs(), key=lambda run: run.name)
    told = {"series": [{"id": "0|loss"}, {"id": "faint|loss"}]}
    for axis, low, high in (("step", 11, 20), ("share", 0.105, 0.2), ("since", 0.0, 1e9)):
        found = Reader().compare(store, runs, of_query({"compare": "", "x": axis}))
        thin = thin_wants(found.members, told)
        assert [want.run_id for want in thin] == [run.id for run in runs[6:]]
        view = {"start": 0, "stop": 1, "start_s": low, "stop_s": high}
        spans = thin_spans(found.members, found.curves, thin, {**told, "spans": {"axis": view}}, axis)
        lines = [line.split(",") for line in points_csv(store, thin, spans).splitlines()[1:]]
        steps = {name: [int(line[3]) for line in lines if line[0] == name] for name in ("run-6", "run-7")}
        wanted = {"step": range(11, 21), "share": range(11, 21), "since": None}[axis]
        for number in (6, 7):
            logged = store.read(runs[number].id, thin[0].key).steps.tolist()
            assert steps[f"run-{number}"] == (logged if wanted is None else list(wanted))
    assert thin_spans(found.members, found.curves, thin, told, "step") == {}, "no range: the whole run"
    for illegible in (None, {}, {"series": 3}, {"series": [7, {"id": "faint|nothing"}]}):
        assert thin_wants(found.members, illegible) == []


def test_no_two_runs_in_colour_look_alike(app: AppTest, store: Store, sample: ModuleType) -> None:
    names = many(store, sample, 21)
    # Colours come again with the eleventh run.
    entries = opened(app, store, names[0], names[10], names[20], names[1])["frame"]["body"]["head"]["entries"]
    looks = [(entry["color"], entry["dash"]) for entry in entries]
    assert len(set(looks)) == 4 and len({color for color, _ in looks}) == 2


def test_many_runs_are_summed_up_by_value(app: AppTest, store: Store, sample: ModuleType) -> None:
    differs = blocks(opened(app, store, *many(store, sample, 9)))["differs"]
    rows = {row["name"]: row for row in differs["rows"]}
    assert differs["summed"]
    assert rows["learning_rate"]["values"] == [["0.1", 3, True], ["0.01", 3, False], ["0.001", 3, False]]
    assert rows["seed"]["more"] == 1


def test_runs_beyond_fifty_are_left_out_and_said_to_be() -> None:
    shown = of_query({"compare": ",".join(f"r{number}" for number in range(53))})
    assert len(shown.run_ids) == 50 and shown.dropped == 3


def test_groups_are_columns_with_mean_spread_and_number(app: AppTest, store: Store, sample: ModuleType) -> None:
    names = many(store, sample, 6)
    ids = {run.name: run.id for run in store.runs()}
    data = choose(app, store, names, group="learning_rate")
    assert [entry["name"] for entry in data["frame"]["body"]["head"]["entries"]] == [
        "learning_rate 0.1",
        "learning_rate 0.001",
        "learning_rate 0.01",
    ]
    cell = rows_of(data)["probe_margin"]["cells"][0]
    lasts = [store.read(ids[name], "probe/margin").values[-1] for name in ("run-0", "run-3")]
    assert cell["value"] == pytest.approx(np.mean(lasts), rel=1e-6)
    assert cell["note"] == "n 2"
    # One of the two runs ends a step before the other: from there on the mean is dotted and over one run.
    assert data["words"]["body"]["charts"]["loss"]["sizes"]["g0"].startswith("n 2, 1 from")
    series = data["curves"]["body"]
    assert set(series["g0|loss"]["count"]) == {2} and 1 in series["g0|loss|fewer"]["count"]


def test_values_are_read_at_any_common_step(app: AppTest, watched: Store) -> None:
    ids = {run.name: run.id for run in watched.runs()}
    data = choose(app, watched, THREE, at="100")
    loss = watched.read(ids[THREE[0]], "loss", stop=100).values[-10:]
    assert rows_of(data)["loss"]["cells"][0]["value"] == pytest.approx(loss.mean())
    assert "up to step 100" in data["words"]["body"]["sections"]["against"]["sentence"]


def test_a_run_that_ended_before_the_step_has_no_value_there(app: AppTest, watched: Store) -> None:
    cell = rows_of(choose(app, watched, THREE, at="195"))["loss"]["cells"][0]
    assert cell == {"text": "ends at 186", "missing": True}


def test_the_best_is_that_of_the_whole_run_and_only_where_there_is_one(app: AppTest, watched: Store) -> None:
    ids = {run.name: run.id for run in watched.runs()}
    rows = rows_of(choose(app, watched, THREE, at="best"))
    assert rows["loss"]["cells"][0]["value"] == pytest.approx(watched.read(ids[THREE[0]], "loss").values.min())
    # A signal without a direction has no best, and a row that would say so in every cell is left out.
    assert "grad_norm" not in rows


def test_a_loss_of_another_trainer_is_neither_better_nor_worse(app: AppTest, store: Store, sample: ModuleType) -> None:
    other = sample.Sample(name="sft", trainer="sft", kind="sft", step=60, max_steps=100, age_s=1_000, status="finished")
    data = opened(app, store, *many(store, sample, 2, other), "sft")
    cells = rows_of(data)["loss"]["cells"]
    assert cells[2]["verdict"] == "" and "delta" in cells[2]
    assert "sft" not in data["words"]["body"]["charts"]["loss"]["verdict"]


def test_illegible_words_in_the_address_are_as_if_not_said() -> None:
    assert of_query({"x": "sideways", "spread": "?", "at": "-3", "group": ""}) == Shown()
    assert of_query({"at": "99999999999999999999"}).at == "last"


def test_the_axis_of_the_address_places_groups_on_it(app: AppTest, store: Store, sample: ModuleType) -> None:
    data = choose(app, store, many(store, sample, 4), group="learning_rate", x="share")
    assert data["frame"]["body"]["head"]["axis"] == "share"
    assert max(data["curves"]["body"]["g0|loss"]["step"]) <= 1.0


def test_settings_stand_against_the_outcome_with_reasons_for_what_has_none(
    app: AppTest, store: Store, sample: ModuleType
) -> None:
    found = choose(app, store, many(store, sample, 6), outcome="loss", against="optim.name")["words"]["body"]["blocks"]
    assert found["outcome"]["signal"] == "loss"
    # A setting that does not differ is no axis.
    assert [axis["name"] for axis in found["outcome"]["axes"]] == ["learning_rate", "seed"]
    rate = found["outcome"]["axes"][0]
    assert rate["log"] and rate["places"][:3] == pytest.approx([0.96, 0.5, 0.04])
    assert all(run["value"] is not None and run["why"] == "" for run in found["outcome"]["runs"])


def test_a_saved_view_is_told_and_deleted_by_name(store: Store) -> None:
    compare_views.take(store, {"name": " sweep ", "query": "compare=a,b&group=beta"}, now_s=1.0)
    compare_views.take(store, {"name": "sweep", "query": "compare=a,c"}, now_s=2.0)
    assert compare_views.told(store) == {"views": [{"name": "sweep", "query": "compare=a,c"}]}
    for illegible in ({}, {"name": ""}, {"name": "x", "query": "y" * 9000}):
        compare_views.take(store, illegible, now_s=3.0)
    compare_views.take(store, {"name": "sweep", "delete": True}, now_s=4.0)
    assert compare_views.told(store) == {"views": []}


@pytest.mark.parametrize(
    ("probes", "said"),
    [
        ([{"pairs": 64, "pairs_digest": "a", "beta": 0.1}] * 2, "one yardstick: the same 64 pairs for all runs"),
        ([{"pairs": 64}, {"pairs": 64}], "64 pairs each"),
        ([{"pairs": 64, "beta": 0.1}, {"pairs": 64, "beta": 0.2}], "not one yardstick: the probes differ in beta"),
        ([{"pairs": 64, "pairs_digest": "a"}, {"pairs": 64, "pairs_digest": "b"}], "not one yardstick: the probes differ in pairs"),
        ([{}, "hostile"], ""),
    ],
)  # fmt: skip
def test_margins_are_one_yardstick_only_where_they_were_measured_alike(
    watched: Store, probes: list[Any], said: str
) -> None:
    runs = [
        replace(run, config={"probe": probe})
        for run, probe in zip((r for r in watched.runs() if r.name in THREE[:2]), probes, strict=True)
    ]
    members = [member(watched, run, ("probe_margin",)) for run in runs]
    assert yardstick_of(members, dict.fromkeys(range(2), "probe_margin")) == said


def test_a_link_to_runs_that_are_not_here_says_how_many() -> None:
    assert head.unknown("run", ["a"])["text"].startswith("a is not in this store.")
    told = head.unknown("run", [f"x{number}" for number in range(38)])
    assert told["title"] == "No such runs"
    assert told["text"].startswith("x0, x1, x2 and 35 more are not in this store.")


def test_a_mean_over_readings_that_are_far_apart_is_no_surer_than_they_are(store: Store) -> None:
    steps = np.arange(1, 101, dtype=np.int64)
    for run_id, last in (("calm", 1.0), ("blown", -200_000.0)):
        values = np.ones(100)
        values[-1] = last
        series = {
            key: SeriesPoints(steps=steps, times_s=100.0 + steps, values=given)
            for key, given in (("probe/margin", values), ("probe/margin_se", np.full(100, 0.037)))
        }
        start = {"project": "p", "name": run_id, "config": {}, "info": {}, "time_s": 100.0, "resumed": False}
        store.append(
            Batch(
                run_id=run_id,
                writer_id="w",
                first_seq=0,
                last_seq=100,
                position={},
                series=series,
                start=start,
                rows=100,
            )
        )
        one = member(store, store.run(run_id), ("probe_margin",))
        found = readings(store, one, "last", {})["probe_margin"]
        assert isinstance(found, Reading)
        assert found.error == pytest.approx(0.037) if run_id == "calm" else found.error > 10_000


def test_keys_of_runs_that_have_not_changed_are_not_read_again(
    store: Store, sample: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(store, sample, 2)
    asked: list[str] = []
    keys = store.keys
    monkeypatch.setattr(store, "keys", lambda run_id, **how: asked.append(run_id) or keys(run_id, **how))
    reader, shown = Reader(), of_query({})
    reader.compare(store, store.runs(), shown)
    assert len(asked) == 2
    reader.compare(store, store.runs(), replace(shown, at="best"))
    assert len(asked) == 2
    changed = store.runs()[0].id
    store.set_run(changed, last_step=61)
    reader.compare(store, store.runs(), shown)
    assert asked[2:] == [changed]


def test_one_run_alone_is_not_said_to_be_equal_to_itself(app: AppTest, store: Store, sample: ModuleType) -> None:
    names = many(store, sample, 2)
    alone = blocks(opened(app, store, names[0]))["differs"]
    assert alone["sentence"] == "" and "second run" in alone["foot"]
