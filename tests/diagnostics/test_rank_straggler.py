"""`rank_straggler`: which rank keeps the others waiting, told from what each spends itself, since all steps are equally long."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.engine import Engine
from runvitals.diagnostics.rank_rows import rank_row, timed
from runvitals.diagnostics.rules.rank_straggler import RULE
from runvitals.diagnostics.types import Alert, Happening, Row, RunContext

STEP_S = 2.0
Times = Callable[[int, int, random.Random], dict[str, float]]
"""Rank, step and a source of noise → the rank's own times."""


def own(data_wait_s: float = 0.02, forward_s: float = 0.5, noise: float = 0.05) -> Times:
    """Ranks that are all alike."""
    return lambda rank, step, draw: {
        "perf/data_wait_s": data_wait_s * draw.lognormvariate(0, noise),
        "perf/forward_time_s": forward_s * draw.lognormvariate(0, noise),
    }


def slow(
    rank: int, *, seconds: float, part: str = "data_wait_s", steps: range = range(10**6), noise: float = 0.05
) -> Times:
    """One that takes longer by so many seconds."""

    def times(who: int, step: int, draw: random.Random) -> dict[str, float]:
        made = own(noise=noise)(who, step, draw)
        made[f"perf/{part}"] += seconds if who == rank and step in steps else 0.0
        return made

    return times


def run_of(ranks: int, times: Times, *, steps: int = 250, seed: int = 0, step_s: float = STEP_S) -> list[list[Row]]:
    """For each step the rows of all ranks in order. Every rank's step is as long as the slowest one's."""
    draw = random.Random(seed)
    made, now_s = [], 1e9
    for step in range(1, steps + 1):
        each = [times(rank, step, draw) for rank in range(ranks)]
        longest_s = max(sum(one.values()) for one in each)
        now_s += step_s + longest_s
        rows = [Row(time_s=now_s, step=step, values={**each[0], "perf/step_time_s": step_s + longest_s})]
        for rank in range(1, ranks):
            logged = {**each[rank], "perf/step_time_s": step_s + longest_s}
            row = rank_row(now_s, step, rank, {f"rank/{rank}/{key}": value for key, value in logged.items()})
            assert row is not None
            rows.append(row)
        made.append(rows)
    return made


def judged(stream: Sequence[Row | Happening]) -> Engine:
    engine = Engine([RULE], RunContext(run_id="run", trainer="sft"))
    for one in stream:
        if isinstance(one, Row):
            engine.feed(one)
        else:
            engine.happen(one)
    assert engine.states()[0].error == ""
    return engine


def alerts(made: Sequence[Sequence[Row]]) -> list[Alert]:
    return judged([row for rows in made for row in rows]).alerts()


def test_rank_that_waits_for_its_data_is_named_with_its_share_of_the_step() -> None:
    (alert,) = alerts(run_of(4, slow(2, seconds=0.4)))
    assert alert.severity == "warning"
    assert alert.sentence.startswith("Rank 2 of 4 takes 0.926 s of a step for its batch and its forward pass")
    assert alert.evidence is not None
    numbers = {number.label: number.value for number in alert.evidence.numbers}
    assert numbers["Share of a step that all wait for rank 2"] == pytest.approx(100 * 0.4 / 2.9, rel=0.1)
    assert numbers["Rank 2, data wait"] == pytest.approx(0.42, rel=0.05)
    assert alert.causes[0].likelihood == "likely"
    assert "data" in alert.causes[0].text


def test_rank_with_a_slow_device_is_told_from_its_forward_pass() -> None:
    (alert,) = alerts(run_of(2, slow(1, seconds=0.4, part="forward_time_s")))
    assert alert.sentence.startswith("Rank 1 of 2")
    assert "device" in alert.causes[0].text


def test_the_first_rank_may_be_the_slow_one() -> None:
    (alert,) = alerts(run_of(3, slow(0, seconds=0.4)))
    assert alert.sentence.startswith("Rank 0 of 3")


def test_more_than_a_fifth_of_the_step_is_critical() -> None:
    assert [alert.severity for alert in alerts(run_of(4, slow(3, seconds=1.0)))] == ["critical"]


def test_both_ranks_of_a_slow_node_are_named() -> None:
    def times(rank: int, step: int, draw: random.Random) -> dict[str, float]:
        return slow(rank if rank >= 2 else -1, seconds=0.4)(rank, step, draw)

    (alert,) = alerts(run_of(4, times))
    assert "So does rank" in alert.sentence


@pytest.mark.parametrize("ranks", [2, 3, 8, 40])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ranks_that_are_alike_are_left_alone(ranks: int, noise: float) -> None:
    assert alerts(run_of(ranks, own(noise=noise), seed=ranks)) == []


def test_steps_of_unlike_sequences_even_out() -> None:
    def times(rank: int, step: int, draw: random.Random) -> dict[str, float]:
        return {"perf/data_wait_s": 0.01, "perf/forward_time_s": 0.5 * draw.choice((0.3, 1.0, 2.0))}

    assert alerts(run_of(8, times)) == []


def test_what_costs_less_than_a_twentieth_of_a_step_is_left_alone() -> None:
    assert alerts(run_of(4, slow(1, seconds=0.08), step_s=4.0)) == []
    quick = run_of(2, lambda rank, step, draw: {"perf/data_wait_s": 0.001 + 0.003 * rank})
    assert alerts(quick) == []  # four times as long, and nothing


def test_one_quick_rank_makes_no_stragglers_of_all_others() -> None:
    assert alerts(run_of(8, lambda rank, step, draw: {"perf/forward_time_s": 0.2 if rank == 5 else 0.6})) == []


def test_a_stall_now_and_then_or_in_another_rank_each_time_is_no_straggler() -> None:
    assert alerts(run_of(4, slow(1, seconds=20.0, steps=range(60, 63)))) == []

    def wandering(rank: int, step: int, draw: random.Random) -> dict[str, float]:
        return slow(step // 25 % 4, seconds=0.6)(rank, step, draw)

    assert alerts(run_of(4, wandering)) == []


def test_it_resolves_once_the_rank_keeps_up() -> None:
    (alert,) = alerts(run_of(4, slow(1, seconds=0.6, steps=range(1, 200)), steps=500))
    assert alert.state == "resolved"
    assert alert.onset_step is not None
    assert alert.onset_step < 60


def test_the_first_stretch_is_warm_up() -> None:
    assert alerts(run_of(4, slow(1, seconds=0.6, steps=range(1, 65)), steps=200)) == []


def test_a_resume_begins_anew() -> None:
    before = [row for rows in run_of(4, slow(1, seconds=0.6), steps=70) for row in rows]
    after = [row for rows in run_of(4, own(), steps=70, seed=1) for row in rows]
    again = Happening(time_s=before[-1].time_s + 60, step=None, kind="resume")
    assert judged([*before, again, *after]).alerts() == []


def test_times_of_one_rank_alone_say_nothing() -> None:
    engine = judged([row for rows in run_of(1, own()) for row in rows])
    assert engine.alerts() == []
    assert engine.states()[0].state == "unknown"


def test_steps_alone_say_nothing_as_all_ranks_share_them() -> None:
    engine = judged([row for rows in run_of(4, lambda rank, step, draw: {}) for row in rows])
    assert engine.states()[0].state == "unknown"
    assert "two ranks" in engine.states()[0].reason


def test_a_part_that_one_rank_does_not_log_is_left_out_for_all() -> None:
    def times(rank: int, step: int, draw: random.Random) -> dict[str, float]:
        made = slow(1, seconds=0.4)(rank, step, draw)
        if rank == 0:
            del made["perf/forward_time_s"]
        return made

    (alert,) = alerts(run_of(3, times))
    assert "for its batch, rank" in alert.sentence


def test_a_rank_that_falls_silent_is_left_out_and_the_others_are_judged() -> None:
    made = [rows if place < 40 else rows[:3] for place, rows in enumerate(run_of(4, slow(1, seconds=0.4)))]
    (alert,) = alerts(made)
    assert alert.sentence.startswith("Rank 1 of 3")


def test_very_many_steps_between_reports_are_thinned_and_found_alike() -> None:
    made = run_of(
        3, lambda rank, step, draw: {"perf/data_wait_s": 0.006 if rank == 2 else 0.001}, steps=22_000, step_s=0.01
    )
    engine = judged([row for rows in made for row in rows])
    (alert,) = engine.alerts()
    assert alert.sentence.startswith("Rank 2 of 3")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), late=st.integers(0, 12))
def test_it_does_not_matter_whose_rows_come_first(seed: int, late: int) -> None:
    """A watcher may find the rows of a rank some steps after those of the first."""
    made = run_of(3, slow(1, seconds=0.5, noise=0.2), steps=160, seed=seed)
    in_order = judged([row for rows in made for row in rows]).alerts()
    apart = []
    for place in range(len(made) + late):
        apart += made[place][:1] if place < len(made) else []
        apart += made[place - late][1:] if place >= late else []
    found = judged(apart).alerts()
    assert [(one.id, one.severity, one.sentence) for one in found] == [
        (one.id, one.severity, one.sentence) for one in in_order
    ]
    assert in_order


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), min_size=3, max_size=3),
    st.integers(2, 5),
)
def test_numbers_of_any_kind_break_nothing(values: list[float | None], ranks: int) -> None:
    stream = []
    for step in range(200):
        stream.append(
            Row(
                time_s=1e9 + 2 * step, step=step, values={"perf/step_time_s": 2.0, "perf/data_wait_s": values[step % 3]}
            )
        )
        for rank in range(1, ranks):
            row = rank_row(1e9 + 2 * step, step, rank, {f"rank/{rank}/perf/data_wait_s": values[(step + rank) % 3]})
            stream += [row] if row is not None else []
    judged(stream)


def test_only_times_of_other_ranks_are_read() -> None:
    assert timed("rank/3/perf/data_wait_s") == (3, "rank/data_wait_s")
    assert [
        timed(key) for key in ("rank/3/loss", "perf/data_wait_s", "rank/0/perf/data_wait_s", "rank/x/perf/step_time_s")
    ] == [None] * 4
    assert rank_row(1.0, 5, 2, {"rank/2/loss": 1.0, "rank/2/perf/data_wait_s": float("nan")}) is None
    assert rank_row(1.0, None, 2, {"rank/2/perf/data_wait_s": 1.0}) is None


def test_no_other_rule_says_anything_of_another_ranks_times() -> None:
    made = run_of(3, own(), steps=60)
    alone = Engine(default_rules(), RunContext(run_id="run", trainer="sft"))
    together = Engine(default_rules(), RunContext(run_id="run", trainer="sft"))
    for rows in made:
        for place, row in enumerate(rows):
            together.feed(row)
            if place == 0:
                alone.feed(row)
    different = {ours.rule for ours, theirs in zip(alone.states(), together.states(), strict=True) if ours != theirs}
    assert different <= {"rank_straggler"}


def test_a_rank_that_makes_steps_ten_times_longer_is_told_however_quick_they_were() -> None:
    for before in (0, 600, 2000):
        rows: list[Row] = []
        for step in range(1, before + 401):
            late = step > before
            now_s = 1e9 + 0.1 * min(step, before) + 1.0 * max(0, step - before)
            share = {"perf/data_wait_s": 0.01 + step % 7 * 1e-4, "perf/forward_time_s": 0.03}
            step_s = {"perf/step_time_s": 1.0 if late else 0.1}
            rows.append(Row(time_s=now_s, step=step, values={**share, **step_s}))
            other = {**share, **step_s, "perf/data_wait_s": 0.9 if late else 0.01}
            row = rank_row(now_s, step, 1, {f"rank/1/{key}": value for key, value in other.items()})
            assert row is not None
            rows.append(row)
        (found,) = judged(rows).alerts()
        assert (found.severity, found.state) == ("critical", "firing")
        assert found.fired_step is not None and before < found.fired_step < before + 250
