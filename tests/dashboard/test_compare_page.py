"""The Compare page as Streamlit runs it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from streamlit.testing.v1 import AppTest

from runvitals.dashboard.compare_body import Reader, frame
from runvitals.dashboard.compare_state import Shown
from runvitals.dashboard.differences import settings_table
from runvitals.store import Store
from runvitals.store.types import RunInfo


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
