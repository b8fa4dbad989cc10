"""The map of devices, ranks and hosts: what it can show, what its cells hold, and whom it names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from runvitals.dashboard.rank_hosts import on_hosts
from runvitals.dashboard.run_devices import MOST_DEVICES, MOST_HOSTS, device_sections
from runvitals.dashboard.run_map import CELLS, MISSING, MOST_ROWS, NOT_A_NUMBER, Measure, map_json, measures
from runvitals.store.types import Envelope, Latest, RunInfo, WriterState

SPAN_S = (1000.0, 1000.0 + CELLS)
"""A cell is a second."""


def envelope(times_s: list[float], values: list[float]) -> Envelope:
    """Exact points along time; a value that is no finite number counts as one."""
    times, numbers = np.array(times_s), np.array(values, dtype=float)
    finite = np.isfinite(numbers)
    means = np.where(finite, numbers, np.nan)
    return Envelope(
        x=times, steps=np.full(times.size, -1), times_s=times, low=means, high=means, mean=means, last=means,
        count=np.ones(times.size, dtype=np.int64), nonfinite=(~finite).astype(np.int64),
        kinds=np.where(finite, 0, 1).astype(np.uint8), exact=True,
    )  # fmt: skip


def power(values: Mapping[str, list[float]]) -> dict[str, object]:
    """The map of GPU power, each GPU with one value a second."""
    measure = next(one for one in measures(list(values)) if one.id == "gpu_power_w")
    curves = {key: envelope([1000.5 + second for second in range(len(of))], of) for key, of in values.items()}
    return map_json(measure, lambda keys: {key: curves[key] for key in keys}, span_s=SPAN_S, zero_s=900.0)


def chosen(of: str, keys: list[str]) -> list[Measure]:
    return [measure for measure in measures(keys) if measure.of == of]


def test_devices_of_all_nodes_are_rows_in_the_order_in_which_people_count() -> None:
    keys = ["gpu/10/power_w", "gpu/2/power_w", "node/b/gpu/0/power_w", "node/a/gpu/1/power_w", "gpu/2/temperature_c"]
    (measure,) = chosen("device", keys)
    assert [(row.group, row.label) for row in measure.rows] == [
        ("", "GPU 2"),
        ("", "GPU 10"),
        ("a", "GPU 1"),
        ("b", "GPU 0"),
    ]
    assert measure.unit == "W", "a temperature that one device alone has is no map"


def test_what_ranks_spend_themselves_comes_first_and_the_hosts_are_not_crowded_out() -> None:
    own = ("perf/step_time_s", "perf/data_wait_s", "perf/forward_time_s", "perf/optimizer_time_s")
    device = ("utilization", "memory_used_gib", "power_w", "temperature_c", "sm_clock_mhz", "throttled")
    host = (
        "cpu_percent",
        "memory_used_gib",
        "disk_read_mib_s",
        "disk_write_mib_s",
        "net_sent_mib_s",
        "net_received_mib_s",
    )
    keys = [*own, *(f"rank/1/{key}" for key in own)]
    keys += [f"{node}gpu/0/{key}" for key in device for node in ("", "node/b/")]
    keys += [f"{node}host/{key}" for key in host for node in ("", "node/b/")]
    found = measures(keys)
    assert [measure.id for measure in found[:3]] == [
        "rank/perf/data_wait_s",
        "rank/perf/forward_time_s",
        "gpu_utilization",
    ]
    assert found[-1].id == "host_net_received_mib_s"


def writer(rank: int, host: str, beat_s: float = 1.0) -> WriterState:
    info = {"rank": rank, "host": host}
    return WriterState(run_id="r", writer_id=f"{host}-{rank}", last_seq=1, position={}, info=info, beat_s=beat_s)


def test_ranks_stand_under_the_host_that_each_was_on_last() -> None:
    (measure,) = chosen("rank", ["perf/data_wait_s", "rank/1/perf/data_wait_s", "rank/2/perf/data_wait_s"])
    writers = [writer(0, "a"), writer(2, "b", beat_s=9.0), writer(1, "a"), writer(2, "a", beat_s=5.0)]
    assert [row.group for row in on_hosts(measure, writers).rows] == ["a", "a", "b"]


def test_ranks_of_one_host_need_no_heading() -> None:
    (measure,) = chosen("rank", ["perf/data_wait_s", "rank/1/perf/data_wait_s"])
    assert on_hosts(measure, [writer(0, "a"), writer(1, "a")]) == measure


def test_ranks_are_compared_by_every_key_that_more_than_one_logged() -> None:
    keys = [
        "loss",
        "mine",
        "perf/step_time_s",
        "rank/2/perf/step_time_s",
        "rank/10/perf/step_time_s",
        "rank/1/mine",
        "rank/1/alone",
    ]
    found = chosen("rank", keys)
    assert [measure.title for measure in found] == ["Step time", "mine"], "known signals come first"
    assert [row.key for row in found[0].rows] == [
        "perf/step_time_s",
        "rank/2/perf/step_time_s",
        "rank/10/perf/step_time_s",
    ]


def test_hosts_are_rows_where_there_are_several() -> None:
    keys = ["host/cpu_percent", "node/b/host/cpu_percent", "host/memory_used_gib"]
    (measure,) = chosen("host", keys)
    assert [row.label for row in measure.rows] == ["first host", "b"]
    assert measures(["host/cpu_percent", "gpu/0/power_w", "loss"]) == ()


def test_cells_go_from_lowest_to_highest_and_what_is_missing_or_no_number_is_told_apart() -> None:
    steady, broken = [100.0] * CELLS, [300.0] * CELLS
    broken[50] = float("nan")
    found = power({"gpu/0/power_w": steady, "gpu/1/power_w": broken, "gpu/2/power_w": [200.0] * 10})
    first, second, third = (row["cells"] for row in found["rows"])
    assert (found["low"], found["high"]) == (100.0, 300.0)
    assert set(first) == {0} and set(second) == {255, NOT_A_NUMBER} and second[50] == NOT_A_NUMBER
    assert third[5] == 128 and set(third[20:]) == {MISSING}
    assert [row["now"] for row in found["rows"]] == [100.0, 300.0, 200.0]
    assert (found["from_s"], found["to_s"]) == (100.0, 100.0 + CELLS), "in seconds since the run began"


def test_samples_that_come_less_often_than_cells_leave_no_holes_but_a_pause_does() -> None:
    keys = ["gpu/0/power_w", "gpu/1/power_w"]
    measure = measures(keys)[0]
    seldom = envelope([1000.5, 1003.5, 1006.5, 1060.5], [1.0, 2.0, 3.0, 4.0])
    found = map_json(measure, lambda asked: dict.fromkeys(asked, seldom), span_s=SPAN_S, zero_s=1000.0)
    cells = found["rows"][0]["cells"]
    assert cells[:7] == [0, 0, 0, 85, 85, 85, 170]
    assert set(cells[40:60]) == {MISSING}


def test_the_row_that_stands_apart_is_named_with_both_numbers() -> None:
    generator = np.random.default_rng(0)
    healthy = {f"gpu/{place}/power_w": (600 + generator.normal(0, 3, CELLS)).tolist() for place in range(7)}
    assert power(healthy)["sentence"] == ""
    sick = healthy | {"node/b/gpu/3/power_w": (420 + generator.normal(0, 3, CELLS)).tolist()}
    assert power(sick)["sentence"].startswith("GPU 3 of b stands apart: mean 42")
    assert power(sick)["sentence"].endswith(" W")
    assert "the others 60" in power(sick)["sentence"] or "the others 59" in power(sick)["sentence"]


def test_of_many_rows_the_furthest_stay() -> None:
    keys = [f"rank/{rank}/loss" for rank in range(1, 1000)]
    measure = measures(keys)[0]
    curves = {key: envelope([1000.5], [5.0 if "/777/" in key else 1.0]) for key in keys}
    found = map_json(measure, lambda asked: {key: curves[key] for key in asked}, span_s=SPAN_S, zero_s=1000.0)
    assert (len(found["rows"]), found["left"]) == (MOST_ROWS, 999 - MOST_ROWS)
    assert "rank 777" in {row["label"] for row in found["rows"]}


@pytest.mark.parametrize("gpus", [8, 64])
def test_small_multiples_have_an_end_and_say_so(gpus: int) -> None:
    keys = dict.fromkeys(
        [
            *(f"gpu/{place}/utilization" for place in range(gpus)),
            *(f"node/h{host}/host/cpu_percent" for host in range(6)),
        ],
        Latest(step=-1, time_s=1.0, value=1.0, best_min=0.0, best_max=1.0, count=5, nonfinite=0),
    )
    drawn = device_sections(RUN, keys)
    assert [section.id for section in drawn] == ["gpus", *(f"host:h{host}" for host in range(MOST_HOSTS))]
    assert len(drawn[0].items) == min(gpus, MOST_DEVICES)
    assert ("on the map" in drawn[0].sentence) == (gpus > MOST_DEVICES)
    assert "4 of 6 hosts" in drawn[1].sentence
    assert all(fact["meaning"] for section in drawn for item in section.items for fact in item["about"])


RUN = RunInfo(
    id="r1", project="p", name="a run", trainer="sft", status="running", phase="train", health="healthy",
    created_s=1000.0, ended_s=None, beat_s=None, last_step=50, last_step_s=1100.0, max_steps=100, color=0, config={},
    info={}, rules=(), finding="", alerts=0, revision=1,
)  # fmt: skip
