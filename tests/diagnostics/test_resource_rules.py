"""Slow steps, bottlenecks, memory, heat and uneven devices: what fires and what must not."""

from __future__ import annotations

import random
from collections.abc import Iterable

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.types import Alert, Row, RunContext


def alerts(rows: Iterable[Row], rule: str, *, max_steps: int | None = None) -> list[Alert]:
    """The alerts of one rule of the catalogue."""
    engine = Engine(default_rules(), RunContext(run_id="run", trainer="sft", max_steps=max_steps))
    for row in rows:
        engine.feed(row)
    assert [state for state in engine.states() if state.error] == []
    return [alert for alert in engine.alerts() if alert.rule == rule]


def steps(times_s: Iterable[float], **more: float) -> list[Row]:
    """Rows of steps that take so long; the step time is not logged and must be read from the clock."""
    rows, now_s = [], 1e9
    for step, time_s in enumerate(times_s):
        now_s += time_s
        rows.append(Row(time_s=now_s, step=step, values={"loss": 2.0 - 0.001 * step, **more}))
    return rows


def machine(count: int, values: dict[str, float], *, step: bool = True) -> list[Row]:
    """One step, then samples of the machine every 5 s."""
    first = [Row(time_s=1e9, step=1, values={"loss": 1.0})] if step else []
    return first + [Row(time_s=1e9 + 5.0 * n, step=None, values=dict(values)) for n in range(count)]


def test_steps_three_times_as_long_are_a_warning_soon() -> None:
    found = alerts(steps([1.0] * 60 + [3.0] * 40), "throughput_drop")
    assert [alert.severity for alert in found] == ["warning"]
    assert 62 <= (found[0].fired_step or 0) <= 80


def test_steps_that_vary_by_a_third_are_none() -> None:
    draw = random.Random(2)
    assert alerts(steps(draw.uniform(0.8, 1.2) for _ in range(800)), "throughput_drop") == []


def test_a_loop_around_nothing_has_no_step_that_could_slow_down() -> None:
    assert alerts(steps([5e-6] * 60 + [1e-4] * 40), "throughput_drop") == []
    assert alerts(steps([5e-6] * 60 + [5e-3] * 40), "throughput_drop") != []


def test_single_stalls_are_no_slow_down() -> None:
    assert alerts(steps(30.0 if step % 10 == 9 else 1.0 for step in range(400)), "throughput_drop") == []


def test_longer_sequences_are_no_slow_down() -> None:
    rows, now_s, tokens = [], 1e9, 0.0
    for step in range(200):
        length = 1000.0 if step < 100 else 4000.0
        now_s, tokens = now_s + length / 1000, tokens + length
        rows.append(Row(time_s=now_s, step=step, values={"loss": 1.0, "num_tokens": tokens}))
    assert alerts(rows, "throughput_drop") == []


def single_steps(times_s: Iterable[float], *, every: int, tokens_a_step: Iterable[float] | None = None) -> list[Row]:
    """A row of its time for each step, and a loss every so many steps."""
    rows, now_s, tokens = [], 1e9, 0.0
    work = iter(tokens_a_step or [])
    for step, time_s in enumerate(times_s, 1):
        now_s += time_s
        tokens += next(work, 100.0)
        rows.append(Row(time_s=now_s, step=step, values={"perf/step_time_s": time_s}))
        if step % every == 0:
            rows.append(Row(time_s=now_s, step=step, values={"loss": 1.0, "num_tokens": tokens}))
    return rows


def test_slow_steps_are_told_by_their_own_times_though_the_loss_is_logged_every_500() -> None:
    (found,) = alerts(single_steps([1.0] * 1000 + [3.0] * 60, every=500), "throughput_drop")
    assert found.severity == "warning" and 1000 < (found.fired_step or 0) <= 1030


def test_a_busy_machine_of_some_seconds_is_no_slow_down() -> None:
    assert alerts(single_steps([0.05] * 200 + [0.3] * 60 + [0.05] * 200, every=10), "throughput_drop") == []


def test_whether_a_step_is_short_is_told_from_its_best_stretch() -> None:
    """A third of a second came to two thirds for the rest of a healthy PPO run: another process on the machine."""
    (found,) = alerts(single_steps([0.33] * 60 + [0.7] * 150, every=1, tokens_a_step=[0.0] * 210), "throughput_drop")
    assert found.severity == "info"


def test_steps_twice_as_long_are_a_warning_after_a_minute_and_three_times_as_long_after_half_of_one() -> None:
    (twice,) = alerts(single_steps([1.0] * 60 + [2.3] * 60, every=10), "throughput_drop")
    (thrice,) = alerts(single_steps([1.0] * 60 + [3.5] * 60, every=10), "throughput_drop")
    assert [twice.severity, thrice.severity] == ["warning", "warning"]
    slow_for_40_s = [1.0] * 60 + [2.3] * 20 + [1.0] * 60
    assert {alert.severity for alert in alerts(single_steps(slow_for_40_s, every=10), "throughput_drop")} <= {"info"}


def test_single_steps_of_longer_sequences_are_no_slow_down() -> None:
    times = [1.0] * 200 + [4.0] * 200
    longer = [1000.0] * 200 + [4000.0] * 200
    assert alerts(single_steps(times, every=10, tokens_a_step=longer), "throughput_drop") == []


def test_evaluations_between_rows_are_no_slow_down() -> None:
    rows, now_s = [], 1e9
    for step in range(200):
        now_s += 1.0
        rows.append(Row(time_s=now_s, step=step, values={"loss": 1.0}))
        if step % 2:
            now_s += 60.0
            rows.append(Row(time_s=now_s, step=step, values={"eval_loss": 1.0}))
    assert alerts(rows, "throughput_drop") == []


def test_places_in_a_file_are_no_clock() -> None:
    steps_at = [*range(0, 600, 10), *range(600, 660)]
    rows = [Row(time_s=float(place), step=step, values={"loss": 1.0}) for place, step in enumerate(steps_at)]
    assert alerts(rows, "throughput_drop") == []


def test_short_steps_need_three_times() -> None:
    assert {a.severity for a in alerts(steps([0.01] * 60 + [0.025] * 60), "throughput_drop")} == {"info"}
    assert {a.severity for a in alerts(steps([0.01] * 60 + [0.05] * 60), "throughput_drop")} == {"warning"}


def test_data_wait_is_named_as_the_bottleneck() -> None:
    logged = {"perf/step_time_s": 1.0, "perf/data_wait_s": 0.7}
    found = alerts(steps([1.0] * 60, **logged), "bottleneck")
    assert found[0].severity == "warning" and "bound by data" in found[0].sentence
    assert found[0].causes[0].likelihood == "likely"
    assert alerts(steps([1.0] * 60, **{**logged, "perf/data_wait_s": 0.1}), "bottleneck") == []


def test_rollout_and_cpu_are_named() -> None:
    rollout = alerts(steps([1.0] * 60, step_time=10.0, **{"timing_s/gen": 8.0}), "bottleneck")
    assert rollout[0].severity == "info" and "bound by rollout" in rollout[0].sentence
    values = {"gpu/0/utilization": 12.0, "host/cpu_percent": 97.0}
    found = alerts(machine(200, values), "bottleneck")
    assert "bound by CPU" in found[0].sentence
    assert alerts(machine(200, {**values, "gpu/0/utilization": 95.0}), "bottleneck") == []
    assert alerts(machine(200, values, step=False), "bottleneck") == []


def test_busy_gpus_at_low_power_wait_for_each_other() -> None:
    values = {f"gpu/{n}/{name}": value for n in (0, 1) for name, value in
              (("utilization", 99.0), ("power_w", 200.0), ("power_limit_w", 700.0))}  # fmt: skip
    assert "communication" in alerts(machine(200, values), "bottleneck")[0].sentence


def memory(course: Iterable[float], *, total: float = 64.0) -> list[Row]:
    """Samples of the process's memory along a course."""
    first = [Row(time_s=1e9, step=1, values={"loss": 1.0})]
    return first + [
        Row(time_s=1e9 + 5.0 * n, step=None, values={"host/process_memory_gib": gib, "host/memory_total_gib": total})
        for n, gib in enumerate(course)
    ]


def leaking(
    gib: Iterable[float], *, others_gib: float = 8.0, mapped: bool = False, steps_a_sample: int = 30
) -> list[Row]:
    """Samples of the process's and the machine's memory, with training rows between them. mapped: pages of files, not of the process."""
    rows = []
    for n, used in enumerate(gib):
        now_s = 1e9 + 5.0 * n
        machine = others_gib if mapped else others_gib + used
        sampled = {"host/process_memory_gib": used, "host/memory_used_gib": machine, "host/memory_total_gib": 64.0}
        rows.append(Row(time_s=now_s, step=n * steps_a_sample, values={"loss": 1.0}))
        rows.append(Row(time_s=now_s + 1.0, step=None, values=sampled))
    return rows


LEAK = [0.4, 0.4, 1.4, 2.7, 4.0, 5.1, 6.2]


def test_fast_leak_is_a_warning_after_a_few_samples() -> None:
    (found,) = alerts(leaking(LEAK), "memory_creep")
    assert (found.severity, found.onset_step) == ("warning", 90)


def test_two_rises_that_are_the_same_for_each_step_are_a_fast_leak() -> None:
    """A short DPO run that leaked 34 MiB a step; the samples are 50 and 58 steps apart."""
    rows = leaking([0.44, 0.67, 2.38, 4.14])
    places = iter((0, 100, 150, 208))
    at_places = [Row(time_s=r.time_s, step=None if r.step is None else next(places), values=r.values) for r in rows]
    (found,) = alerts(at_places, "memory_creep")
    assert (found.severity, found.onset_step) == ("warning", 208)


def test_what_only_looks_like_a_fast_leak_is_none() -> None:
    assert alerts(leaking(LEAK, mapped=True), "memory_creep") == []  # files that are mapped
    assert alerts(leaking(LEAK, steps_a_sample=0), "memory_creep") == []  # an evaluation that gathers outputs
    assert alerts(leaking([0.4, 0.4, 1.4, 1.8, 2.2, 2.4, 2.5, 2.5]), "memory_creep") == []  # a cache that fills
    assert alerts(leaking([0.4, 0.4, 5.0, 5.0, 5.0, 5.0]), "memory_creep") == []  # something loaded at once
    assert alerts(leaking([20.0, 21.0, 22.0, 23.0, 24.0, 25.0]), "memory_creep") == []  # a fifth more
    assert alerts(leaking([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), "memory_creep") == []  # half a GiB


def test_leak_is_a_warning_once_memory_has_doubled() -> None:
    found = alerts(memory(2.0 + 0.01 * n for n in range(600)), "memory_creep")
    assert [alert.severity for alert in found] == ["warning"]
    assert "grown all along" in found[0].sentence


def test_leak_that_fills_the_machine_before_the_end_says_so() -> None:
    rows = memory(30.0 + 0.04 * n for n in range(400))
    found = alerts(rows, "memory_creep", max_steps=10)
    assert found[0].severity == "warning" and "before the end" in found[0].sentence


def test_caches_that_fill_and_noise_are_no_leak() -> None:
    draw = random.Random(1)
    assert alerts(memory(8.0 * (1 - 0.5 ** (n / 60)) + 2 for n in range(900)), "memory_creep") == []
    assert alerts(memory(10.0 + draw.gauss(0, 1.0) for _ in range(900)), "memory_creep") == []
    assert alerts(memory([40.0] * 900), "memory_creep") == []


def test_slow_down_for_heat_is_told_and_a_power_cap_is_not() -> None:
    busy = {"gpu/0/utilization": 99.0, "gpu/0/temperature_c": 70.0, "gpu/0/sm_clock_mhz": 1700.0}
    assert alerts(machine(30, {**busy, "gpu/0/throttled": float(0x40)}), "gpu_throttled")[0].severity == "warning"
    assert alerts(machine(30, {**busy, "gpu/0/temperature_c": 93.0}), "gpu_throttled") != []
    assert alerts(machine(30, {**busy, "gpu/0/throttled": float(0x4)}), "gpu_throttled") == []
    assert alerts(machine(90, busy) + machine(30, {**busy, "gpu/0/sm_clock_mhz": 900.0}), "gpu_throttled") != []


def test_idle_device_that_is_hot_or_slow_is_left_alone() -> None:
    idle = {"gpu/0/utilization": 0.0, "gpu/0/temperature_c": 95.0, "gpu/0/throttled": 64.0}
    assert alerts(machine(40, idle), "gpu_throttled") == []


def test_device_at_half_the_work_is_information_and_an_unused_one_is_none() -> None:
    values = {"gpu/0/utilization": 90.0, "gpu/1/utilization": 40.0}
    assert {alert.severity for alert in alerts(machine(200, values), "rank_imbalance")} == {"info"}
    assert alerts(machine(200, {**values, "gpu/1/utilization": 0.0}), "rank_imbalance") == []
    assert alerts(machine(200, {**values, "gpu/1/utilization": 80.0}), "rank_imbalance") == []
