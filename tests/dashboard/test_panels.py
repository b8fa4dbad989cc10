"""Which charts a run's page has."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from runvitals.dashboard.panel_json import chart_json
from runvitals.dashboard.panel_others import MOST_OTHERS, Asked
from runvitals.dashboard.panel_plans import Chart
from runvitals.dashboard.panels import folded, pinned, sections
from runvitals.dashboard.run_body import clock_key, frame, wants
from runvitals.store import Store
from runvitals.store.types import Batch, Latest, RunInfo, SeriesPoints


def run(trainer: str = "dpo", **config: object) -> RunInfo:
    return RunInfo(
        id="r1", project="p", name="a run", trainer=trainer, status="running", phase="train", health="healthy",
        created_s=1000.0, ended_s=None, beat_s=None, last_step=50, last_step_s=1100.0, max_steps=100, color=12, config=config,
        info={}, rules=(), finding="", alerts=0, revision=1,
    )  # fmt: skip


def keys(*names: str, count: int = 50, step: int = 50) -> dict[str, Latest]:
    one = Latest(step=step, time_s=1100.0, value=1.0, best_min=0.0, best_max=1.0, count=count, nonfinite=0)
    return dict.fromkeys(names, one)


def charts(of: RunInfo, logged: dict[str, Latest]) -> dict[str, list[str]]:
    return {section.id: [chart.id for chart in section.charts] for section in sections(of, logged)}


def test_only_signals_that_were_logged_have_charts() -> None:
    found = charts(run(), keys("loss", "rewards/margins", "rewards/chosen", "rewards/rejected"))
    assert found == {"margin": ["reward_margin", "chosen_rejected"], "optimisation": ["loss"]}


def test_a_policy_trainer_gets_policy_charts_and_no_training_margin() -> None:
    found = charts(run("ppo"), keys("objective/scores", "objective/kl", "probe/margin", "loss"))
    assert found["policy"] == ["reward", "sequence_kl"]
    assert found["probe"] == ["probe_margin"]
    assert "margin" not in found


def test_without_any_margin_the_page_says_what_to_do() -> None:
    first = sections(run("dpo"), keys("loss"))[0]
    assert first.charts == ()
    assert "margin probe" in first.missing


def test_a_run_that_logged_nothing_has_no_sections() -> None:
    assert sections(run(), {}) == []


def test_a_page_without_a_row_says_what_will_come_or_that_nothing_will() -> None:
    for status, said in (("running", "after its first step"), ("crashed", "ended before its first row")):
        (section,) = frame(replace(run(), status=status), {}, [], None)["sections"]
        (note,) = section["blocks"]
        assert note["kind"] == "note" and said in note["text"]


def test_metrics_of_the_users_own_are_drawn_and_summaries_of_one_row_are_not() -> None:
    logged = keys("loss", "my/metric") | keys("train_runtime", count=1)
    assert charts(run("sft"), logged)["others"] == ["key:my/metric"]


def spans(logged: dict[str, Latest], section: str) -> list[int]:
    drawn = next(one for one in sections(run("sft"), logged) if one.id == section)
    return [chart.span for chart in drawn.charts]


def test_no_row_of_charts_is_left_half_empty() -> None:
    assert spans(keys("loss", "grad_norm", "learning_rate", "mean_token_accuracy", "nll_loss"), "optimisation") == [
        4,
        4,
        4,
        6,
        6,
    ]
    rates = ("perf/tokens_per_s", "perf/samples_per_s", "mfu")
    for many in range(4):
        logged = keys("perf/step_time_s", "perf/data_wait_s", *rates[:many])
        assert sum(spans(logged, "throughput")) == 12


def parts(of: RunInfo, logged: dict[str, Latest]) -> Chart:
    drawn = next(one for one in sections(of, logged) if one.id == "throughput")
    return drawn.charts[0]


def test_where_ranks_log_their_forward_pass_the_rest_of_a_step_is_backward_and_waiting() -> None:
    logged = keys(*(f"perf/{part}" for part in ("step_time_s", "data_wait_s", "forward_time_s", "optimizer_time_s")))
    assert [line.label for line in parts(run("sft"), logged).lines] == [
        "forward",
        "data wait",
        "optimiser",
        "backward, wait for ranks",
    ]
    assert "key:perf/forward_time_s" not in charts(run("sft"), logged).get("others", [])


def test_the_parts_of_a_step_are_stacked_and_what_was_not_logged_is_said() -> None:
    some = parts(run("sft"), keys("perf/step_time_s", "perf/data_wait_s"))
    assert [line.label for line in some.lines] == ["data wait", "forward, backward, optimiser"]
    assert some.absent == "not logged: optimiser, eval, save"
    whole = keys(
        *(f"perf/{part}" for part in ("step_time_s", "data_wait_s", "optimizer_time_s", "eval_time_s", "save_time_s"))
    )
    every = parts(run("sft"), whole)
    assert [line.label for line in every.lines] == ["data wait", "optimiser", "forward, backward", "eval", "save"]
    assert [line.total for line in every.lines] == [False, False, True, False, False], (
        "what comes after the step lies beside it"
    )
    assert every.absent == ""


def test_a_policys_parts_are_generation_and_update() -> None:
    ppo = parts(run("ppo"), keys("perf/step_time_s", "perf/generation_time_s"))
    assert [line.label for line in ppo.lines] == ["generate", "update"]
    grpo = parts(run("grpo"), keys("perf/step_time_s", "perf/data_wait_s"))
    assert grpo.lines[-1].label.startswith("generate") and "generation" in grpo.absent


def test_a_step_whose_parts_nobody_logged_is_one_curve() -> None:
    alone = parts(run("ppo"), keys("perf/step_time_s"))
    assert (alone.id, alone.stack, [line.total for line in alone.lines]) == ("step_time_s", False, [False])


def test_chosen_rejected_and_margin_share_a_chart_in_three_colours_whatever_the_runs_own_is() -> None:
    logged = keys("rewards/margins", "rewards/chosen", "rewards/rejected")
    for color in range(10):
        of = replace(run(), color=color)
        margin = next(one for one in sections(of, logged) if one.id == "margin")
        chart = next(one for one in margin.charts if one.id == "chosen_rejected")
        series = chart_json(chart, of, logged)["series"]
        assert [line["label"] for line in series] == ["chosen", "rejected", "margin"]
        assert len({line["color"] for line in series}) == 3


def test_a_key_that_needs_two_lines_takes_them_from_the_plot() -> None:
    logged = keys("loss", "eval_loss", "grad_norm", "learning_rate", "mean_token_accuracy", "eval_mean_token_accuracy")
    section = next(one for one in sections(run(), logged) if one.id == "optimisation")
    drawn = {chart.id: chart_json(chart, run(), logged) for chart in section.charts}
    crowded = {name for name, chart in drawn.items() if chart["crowded"]}
    assert crowded == {"loss"}, "train, eval and ln 2"
    assert drawn["loss"]["height"] == drawn["grad_norm"]["height"] - 20


def test_a_margin_alone_is_not_drawn_twice() -> None:
    assert charts(run("reward"), keys("margin"))["margin"] == ["reward_margin"]


def test_each_metric_carries_its_meaning_unit_range_and_direction() -> None:
    logged = keys("loss", "my/metric")
    loss = next(one for one in sections(run(), logged) if one.id == "optimisation").charts[0]
    (fact,) = chart_json(loss, run(), logged)["about"]
    assert fact["unit"] == "nat" and fact["better"] == "lower" and fact["meaning"] and fact["healthy"]
    mine = next(one for one in sections(run(), logged) if one.id == "others").charts[0]
    (fact,) = chart_json(mine, run(), logged)["about"]
    assert fact["title"] == "my/metric" and "no rule reads it" in fact["meaning"]


def test_pins_stand_at_the_top_and_what_a_run_lacks_is_counted() -> None:
    logged = keys("loss", "my/metric", "rank/3/loss")
    top = pinned(["loss", "key:my/metric", "key:rank/3/loss", "key:gone", "loss"], logged, sections(run(), logged))
    assert top is not None
    assert [chart.id for chart in top.charts] == ["pin:loss", "pin:key:my/metric", "pin:key:rank/3/loss"]
    assert [chart_json(chart, run(), logged)["title"] for chart in top.charts] == ["Loss", "my/metric", "rank/3/loss"]
    assert top.sentence == "1 more is pinned and not logged by this run"
    assert pinned([], logged, []) is None


def test_copies_of_ranks_and_samples_of_machines_are_no_metrics_of_the_users_own() -> None:
    logged = keys("loss", "mine", "rank/1/mine", "rank/1/loss", "node/b/host/cpu_percent", "host/cpu_percent")
    assert charts(run("sft"), logged)["others"] == ["key:mine"]


def test_of_ten_thousand_keys_a_few_are_drawn_and_all_are_counted() -> None:
    logged = keys("loss", *(f"layer/{number}/norm" for number in range(10_000)))
    others = sections(run("sft"), logged)[-1]
    assert (len(others.charts), others.folds) == (MOST_OTHERS, 10_000)
    assert others.sentence == "9\u2009952 more are not drawn"


def test_metrics_of_the_users_own_are_turned_over_part_by_part_and_narrowed_by_words() -> None:
    logged = keys("loss", *(f"layer/{number}/{kind}" for number in range(100) for kind in ("norm", "Max")))

    def shown(**asked: Any) -> tuple[list[str], int, int]:
        section = sections(run("sft"), logged, Asked(size=4, **asked))[-1]
        return [chart.id.removeprefix("key:layer/") for chart in section.charts], section.first, section.found

    assert shown() == (["0/norm", "0/Max", "1/norm", "1/Max"], 0, 200)
    assert shown(part=1)[0] == ["2/norm", "2/Max", "3/norm", "3/Max"]
    assert shown(part=999)[1] == shown(part=49)[1] == 196
    assert shown(words="MAX layer/9") == (["9/Max", "90/Max", "91/Max", "92/Max"], 0, 11)
    assert shown(words="max layer/9", part=5) == (["97/Max", "98/Max", "99/Max"], 8, 11)
    assert shown(words="nothing like it") == ([], 0, 0)


def test_a_section_that_is_open_and_holds_nothing_with_these_words_is_still_open() -> None:
    found = sections(run("sft"), keys("loss", "mine"), Asked(words="yours"))
    assert [one.folded for one in (found[-1], folded(found)[-1])] == [False, True]


def test_a_pinned_metric_has_its_evaluations_whichever_part_of_the_others_is_shown() -> None:
    logged = keys("loss", *(f"a/{number}" for number in range(9)), "mine", "eval_mine")
    for part in (0, 9):
        top = pinned(["key:mine"], logged, sections(run(), logged, Asked(part=part, size=2)))
        assert top is not None
        assert [(line.key, line.style) for line in top.charts[0].lines] == [("mine", "line"), ("eval_mine", "rings")]


def test_ln_2_is_drawn_for_preference_losses_only() -> None:
    logged = keys("loss")
    for trainer, labels in (("dpo", ["ln 2"]), ("sft", [])):
        section = next(one for one in sections(run(trainer), logged) if one.id == "optimisation")
        references = chart_json(section.charts[0], run(trainer), logged)["references"]
        assert [reference["label"] for reference in references] == labels


def test_the_clip_line_comes_from_the_runs_settings() -> None:
    logged = keys("grad_norm")
    section = next(one for one in sections(run(), logged) if one.id == "optimisation")
    chart = chart_json(section.charts[0], run(max_grad_norm=0.5), logged)
    assert chart["references"] == [{"value": 0.5, "label": "clip", "text": "0.500"}]
    assert chart["log"] and "log scale" in chart["unit"]


def test_the_runs_colour_is_reused_from_the_eleventh_on() -> None:
    logged = keys("loss")
    section = next(one for one in sections(run(), logged) if one.id == "optimisation")
    assert chart_json(section.charts[0], run(), logged)["series"][0]["color"] == "#A248A2"


def test_gpus_and_host_appear_only_where_sampled_and_are_read_by_time() -> None:
    logged = keys("loss") | keys("gpu/0/utilization", "gpu/0/memory_used_gib", "host/cpu_percent", step=-1)
    body = frame(run(), logged, sections(run(), logged), None)
    assert [section["id"] for section in body["sections"]][-2:] == ["gpus", "host"]
    timed = {want.key: want.timed for want in wants(run(), logged, sections(run(), logged))}
    assert timed["gpu/0/utilization"] and timed["host/cpu_percent"] and not timed["loss"]
    assert "gpus" not in [s["id"] for s in frame(run(), keys("loss"), [], None)["sections"]]


def test_the_clock_is_the_densest_of_the_series_that_every_step_logs() -> None:
    assert clock_key(keys("loss", count=10) | keys("learning_rate", count=90)) == "learning_rate"
    assert clock_key({}) == ""


def test_settings_that_are_no_numbers_draw_no_line_and_leave_the_page_legal_json(app: AppTest, store: Store) -> None:
    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON, and the page would stay empty")

    points = SeriesPoints(
        steps=np.arange(4), times_s=np.arange(4) + 1000.0, values=np.array([1.0, np.nan, np.inf, -np.inf])
    )
    config = {"max_grad_norm": math.inf, "target_kl": math.nan, "beta": math.inf, "learning_rate": math.nan}
    start = {"project": "p", "name": "odd", "config": config, "info": {"pid": 1}, "time_s": 1000.0}
    series = dict.fromkeys(("loss", "grad_norm", "objective/kl", "rewards/margins"), points)
    store.append(
        Batch(run_id="r", writer_id="w", first_seq=1, last_seq=4, position={}, start=start, series=series, rows=4)
    )
    app.query_params["run"] = "r"
    app.run()
    assert not app.exception
    (page,) = app.get("bidi_component")
    told = json.loads(page.proto.json, parse_constant=refuse)
    blocks = [block for section in told["frame"]["body"]["sections"] for block in section["blocks"]]
    assert next(block for block in blocks if block["id"] == "grad_norm")["references"] == []
