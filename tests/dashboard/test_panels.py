"""Which charts a run's page has."""

from __future__ import annotations

from runvitals.dashboard.panels import chart_json, sections
from runvitals.dashboard.run_body import clock_key, frame, wants
from runvitals.store.types import Latest, RunInfo


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


def test_metrics_of_the_users_own_are_drawn_and_summaries_of_one_row_are_not() -> None:
    logged = keys("loss", "my/metric") | keys("train_runtime", count=1)
    assert charts(run("sft"), logged)["others"] == ["key:my/metric"]


def test_no_row_of_charts_is_left_half_empty() -> None:
    many = keys("loss", "grad_norm", "learning_rate", "mean_token_accuracy", "perf/step_time_s")
    drawn = next(section for section in sections(run("sft"), many) if section.id == "optimisation")
    assert [chart.span for chart in drawn.charts] == [4, 4, 4, 6, 6]


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
