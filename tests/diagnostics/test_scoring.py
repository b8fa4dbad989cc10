"""The scoring harness: events, shares, intervals, families and the comparison at an equal rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.scoring.controls import AlwaysFires, NeverFires, RandomlyFires
from runvitals.diagnostics.scoring.equal_rate import at_equal_rate
from runvitals.diagnostics.scoring.judges import EngineJudge, MeterJudge
from runvitals.diagnostics.scoring.report import as_plain, compare
from runvitals.diagnostics.scoring.score import score, share, weighted
from runvitals.diagnostics.scoring.types import Firing, Label, LabelledRun, Point
from runvitals.diagnostics.types import Pulse, Row
from tests.diagnostics.faults import faulty_runs, supervised, to_rows


def run_of(
    name: str, severity: Label, losses: Sequence[float], *, source: str = "", onset: int | None = None, fault: str = ""
) -> LabelledRun:
    """A run with these losses at steps 0, 1, …, one second apart."""
    rows = tuple(Row(time_s=100.0 + step, step=step, values={"loss": loss}) for step, loss in enumerate(losses))
    return LabelledRun(
        name=name,
        source=source or name,
        kind="sft",
        severity=severity,
        items=rows,
        onset_step=onset,
        fault=fault,
        timed=True,
    )


@dataclass(frozen=True)
class Scripted:
    """A judge that fires at the steps it is told to, by run: (step, family, severity)."""

    script: dict[str, list[tuple[int, str, str]]]
    name: str = "scripted"
    source: str = ""

    def firings(self, run: LabelledRun) -> list[Firing]:
        return [
            Firing(rule=f"{family}_rule", family=family, step=step, time_s=100.0 + step, severity=severity)  # type: ignore[arg-type]
            for step, family, severity in self.script.get(run.name, [])
        ]


@dataclass(frozen=True)
class LossMeter:
    """Scores each row by its loss."""

    name: str = "loss"
    source: str = ""

    def points(self, run: LabelledRun) -> list[Point]:
        return [Point(rule="loss", step=r.step, time_s=r.time_s, score=r.values["loss"] or 0.0) for r in run.rows]


FLAT = [0.5] * 10
HEALTHY = run_of("healthy", "none", FLAT)
BROKEN = run_of("broken", "broken", FLAT, onset=4, fault="divergence")


def test_caught_run_counts_once_however_often_the_detector_fires() -> None:
    often = Scripted(
        {"broken": [(5, "divergence", "warning"), (6, "divergence", "critical"), (7, "policy", "warning")]}
    )
    result = score(often, [HEALTHY, BROKEN], families=("divergence", "policy"))
    assert (result.broken_caught.value, result.precision, result.false_warnings) == (1.0, 1.0, 0)
    assert result.families[0].caught == 1


def test_firing_before_the_onset_is_false_and_catches_nothing() -> None:
    result = score(Scripted({"broken": [(3, "divergence", "warning")]}), [BROKEN], families=("divergence",))
    assert result.broken_caught.value == 0.0
    assert result.precision == 0.0
    assert result.missed == ("broken",)
    assert result.false_by_run == {"broken": ("divergence_rule@3",)}
    assert (result.families[0].recall, result.families[0].precision) == (0.0, 0.0)


def test_delay_is_counted_from_the_onset_in_steps_and_seconds() -> None:
    result = score(Scripted({"broken": [(9, "divergence", "warning")]}), [BROKEN], families=("divergence",))
    assert (result.delay_steps, result.delay_s) == (5, 5.0)
    assert (result.families[0].delay_steps, result.families[0].delay_s) == (5, 5.0)


def test_firing_between_two_rows_counts_by_its_time_and_one_after_the_last_row_is_right() -> None:
    @dataclass(frozen=True)
    class AtTimes:
        times_s: tuple[float, ...]
        name: str = "at times"
        source: str = ""

        def firings(self, run: LabelledRun) -> list[Firing]:
            return [Firing(rule="r", family="stall", step=None, time_s=time_s) for time_s in self.times_s]

    killed = run_of("killed", "broken", FLAT, onset=12)  # logged up to step 9, killed at 12
    assert score(AtTimes((108.5,)), [killed]).missed == ("killed",)
    after = score(AtTimes((112.0,)), [killed])
    assert (after.caught, after.delay_s) == (("killed",), 3.0)
    assert math.isnan(after.delay_steps)
    assert score(AtTimes((102.5,)), [BROKEN]).missed == ("broken",)
    assert score(AtTimes((103.5,)), [BROKEN]).caught == ("broken",)


def test_causes_tell_what_was_caught_by_whom_and_what_was_left_unscored() -> None:
    runs = [
        replace(run_of("a", "broken", FLAT, onset=4, fault="divergence"), cause="nan"),
        replace(run_of("b", "broken", FLAT, onset=4, fault="divergence"), cause="nan"),
        replace(run_of("c", "broken", FLAT, onset=4, fault="divergence"), cause="nan"),
        replace(run_of("d", "unknown", FLAT), cause="lr_x10"),
        replace(run_of("e", "none", FLAT), cause="resumed"),
        HEALTHY,
    ]
    said = {
        "a": [(5, "divergence", "warning"), (7, "policy", "warning")],
        "b": [(9, "policy", "warning")],
        "e": [(5, "meta", "warning")],
    }
    by_cause = {one.cause: one for one in score(Scripted(said), runs).causes}
    nan = by_cause["nan"]
    assert (nan.broken, nan.caught, nan.named) == (3, 2, 1)
    assert (nan.delay_steps, nan.longest_steps) == (3, 5)
    assert nan.rules == (("policy_rule", 2), ("divergence_rule", 1))
    assert (by_cause["lr_x10"].broken, by_cause["lr_x10"].unscored) == (0, 1)
    assert (by_cause["resumed"].quiet, by_cause["resumed"].warned) == (1, 1)
    assert list(by_cause) == ["lr_x10", "nan", "resumed"]


def test_fault_of_two_families_is_caught_by_either_and_counted_under_the_first() -> None:
    slow = run_of("slow", "broken", FLAT, onset=4, fault="stall/resource")
    said = Scripted({"slow": [(5, "resource", "warning")]})
    stall, resource = score(said, [slow], families=("stall", "resource")).families
    assert (stall.faults, stall.caught, resource.faults, resource.caught) == (1, 1, 0, 0)
    other = Scripted({"slow": [(5, "fit", "warning")]})
    assert score(other, [slow], families=("stall",)).families[0].caught == 0


def test_run_without_a_known_onset_is_caught_but_has_no_delay() -> None:
    unknown = run_of("broken", "broken", FLAT)
    result = score(Scripted({"broken": [(9, "divergence", "warning")]}), [unknown])
    assert result.broken_caught.value == 1.0
    assert math.isnan(result.delay_steps)


def test_false_warnings_are_counted_a_thousand_healthy_steps() -> None:
    result = score(Scripted({"healthy": [(1, "a", "warning"), (5, "b", "critical")]}), [HEALTHY, BROKEN])
    assert (result.false_warnings, result.healthy_steps, result.false_per_1000_steps) == (2, 10, 200.0)
    assert (result.healthy_warned.value, result.healthy_critical.value) == (1.0, 1.0)


def test_flat_run_may_not_be_warned_of_and_a_benign_anomaly_not_called_critical() -> None:
    flat, benign = run_of("flat", "flat", FLAT), run_of("benign", "benign-anomaly", FLAT)
    result = score(Scripted({"flat": [(1, "a", "warning")], "benign": [(1, "a", "warning")]}), [flat, benign])
    assert (result.flat_warned.value, result.benign_critical.value) == (1.0, 0.0)
    worse = score(Scripted({"benign": [(1, "a", "critical")]}), [flat, benign])
    assert (worse.flat_warned.value, worse.benign_critical.value) == (0.0, 1.0)


def test_runs_of_unknown_fate_are_not_scored() -> None:
    unknown = run_of("unknown", "unknown", FLAT)
    result = score(Scripted({"unknown": [(1, "a", "critical")]}), [unknown])
    assert result.false_by_run == {}
    assert math.isnan(result.healthy_warned.value) and math.isnan(result.precision)


def test_by_product_of_another_fault_is_neither_right_nor_false_for_its_family() -> None:
    result = score(Scripted({"broken": [(5, "policy", "warning")]}), [BROKEN], families=("divergence", "policy"))
    divergence, policy = result.families
    assert result.broken_caught.value == 1.0
    assert (divergence.recall, policy.faults, policy.false) == (0.0, 0, 0)
    assert math.isnan(policy.precision) and math.isnan(policy.recall)


def test_sources_weigh_the_same_however_many_runs_they_have() -> None:
    assert weighted([("a", True), ("b", False), ("b", False), ("b", False)]) == 0.5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=12))
def test_interval_holds_the_share_of_runs_that_all_agree_and_stays_in_bounds(hits: list[tuple[str, bool]]) -> None:
    runs = [run_of(str(place), "none", [1.0], source=source) for place, (source, _) in enumerate(hits)]
    fires = {str(place): [(0, "a", "warning")] for place, (_, hit) in enumerate(hits) if hit}
    found = score(Scripted(fires), runs).healthy_warned  # type: ignore[arg-type]
    assert found.value == weighted(hits)
    assert 0.0 <= found.low <= found.high <= 1.0
    if len({hit for _, hit in hits}) == 1:
        assert found.low == found.value == found.high


def test_share_of_nothing_is_undefined() -> None:
    empty = share([], lambda one: True)
    assert math.isnan(empty.value) and empty.count == 0


def test_meter_fires_where_its_score_comes_to_one_and_again_only_after_it_fell() -> None:
    found = MeterJudge(LossMeter()).firings(run_of("x", "none", [0.5, 1.0, 2.0, 0.9, 1.5]))
    assert [firing.step for firing in found] == [1, 4]


def test_equal_rate_finds_the_lowest_threshold_that_warns_no_more_healthy_runs() -> None:
    healthy = [run_of(f"h{peak}", "none", [peak]) for peak in (1.0, 2.0, 3.0, 4.0)]
    broken = [run_of(f"b{peak}", "broken", [peak]) for peak in (2.5, 3.5, 4.5, math.inf)]
    runs = [*healthy, *broken]
    assert at_equal_rate(LossMeter(), runs, rate=0.0).broken_caught == 0.5
    quarter = at_equal_rate(LossMeter(), runs, rate=0.25)
    assert (quarter.threshold, quarter.healthy_warned, quarter.broken_caught) == (3.0, 0.25, 0.75)
    assert at_equal_rate(LossMeter(), runs, rate=1.0).broken_caught == 1.0


def test_equal_rate_looks_at_a_broken_run_from_its_onset_on() -> None:
    early = run_of("early", "broken", [9.0, 1.0], onset=1)
    assert at_equal_rate(LossMeter(), [run_of("h", "none", [2.0]), early], rate=0.0).broken_caught == 0.0


def test_controls_are_what_they_say() -> None:
    long = run_of("long", "none", [1.0] * 4000)
    assert len(MeterJudge(AlwaysFires()).firings(long)) == 4000
    assert MeterJudge(NeverFires()).firings(long) == []
    rows = sum(point.score >= 1.0 for point in RandomlyFires(0.1).points(long))
    assert rows == pytest.approx(400, rel=0.2)
    assert RandomlyFires(0.1).points(long) == RandomlyFires(0.1).points(long)


def test_engine_as_a_judge_catches_each_fault_by_its_family_and_warns_no_healthy_run() -> None:
    family_of = {rule.spec.name: rule.spec.family for rule in default_rules()}
    broken = [
        LabelledRun(
            name=fault.rule,
            source=fault.rule,
            kind=fault.trainer,
            severity="broken",
            items=fault.rows,
            fault=family_of[fault.rule],
            onset_step=fault.onset + 1,
        )
        for fault in faulty_runs(seed=4)
        if fault.rule != "loss_spike"  # information only
    ]
    healthy = [
        LabelledRun(name=f"h{seed}", source="h", kind="sft", severity="none", items=to_rows(supervised(300, seed)))
        for seed in range(3)
    ]
    result = score(EngineJudge(default_rules()), [*broken, *healthy], families=("divergence", "policy"))
    assert result.missed == ()
    assert result.false_by_run == {}
    assert (result.macro_recall, result.macro_precision) == (1.0, 1.0)


def test_rules_on_time_are_asked_only_where_the_run_has_times() -> None:
    rows = to_rows(supervised(60, seed=1))
    dead = Pulse(now_s=rows[-1].time_s + 5, beat_s=rows[-1].time_s, phase="train", alive=False)
    for timed, rules in ((True, {"run_crashed"}), (False, set())):
        run = LabelledRun(name="x", source="x", kind="sft", severity="broken", items=(*rows, dead), timed=timed)
        assert {firing.rule for firing in EngineJudge(default_rules()).firings(run)} == rules


def test_report_is_plain_json_without_nan() -> None:
    report = compare([HEALTHY, BROKEN, run_of("nan", "broken", [1.0, math.nan, math.nan])], default_rules())

    def check(value: object) -> None:
        assert not (isinstance(value, float) and not math.isfinite(value))
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(inner)

    plain = as_plain(report)
    check(plain)
    assert plain["runs"] == {"broken": 2, "none": 1}
    assert {"control: always fires", "ZClip 2.5"} <= {other["name"] for other in plain["others"]}
