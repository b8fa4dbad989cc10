"""Every rule of ours on hostile runs: a watcher that follows live, one that was restarted, one that comes late and a back-test say the same."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.diagnostics.catalogue import default_rules
from runvitals.diagnostics.replay import replay
from runvitals.diagnostics.types import Row, RunContext
from runvitals.stored_rows import stored_stream
from tests.diagnostics.test_whole_catalogue import rows_of
from tests.watch.conftest import after_its_beat

KINDS = ("sft", "dpo", "ppo", "grpo")
TIMED = {rule.spec.name for rule in default_rules() if rule.spec.timed}

Told = list[tuple[Any, ...]]
Piece = tuple[float, int, int | None, str | Mapping[str, float | None]]


def hostile(seed: int, kind: str, leaps_s: Sequence[float], least_s: float, ranks: int) -> list[Piece]:
    """What one or two ranks say: seconds since the piece before, rank, step, and a row or the kind of an event.

    Steps go back, the clock stands still and leaps, values are of any kind, and what the second rank logs differs.
    """
    draw = random.Random(f"{kind} {seed}")
    pieces: list[Piece] = []
    back = 0
    for place, record in enumerate(rows_of(seed, kind, 120)):
        waited_s = draw.choice((least_s, 1.0, 1.0, 1.0, 2.5)) if draw.random() < 0.96 else draw.choice(leaps_s)
        if place in (50, 90) and draw.random() < 0.5:
            back += 20
            pieces.append((1.0, 0, None, "resume"))
        step = None if record.step is None else max(0, record.step - back)
        pieces.append((waited_s, 0, step, record.values if isinstance(record, Row) else record.kind))
        if ranks > 1 and draw.random() < 0.3:
            pieces.append(
                (0.0, 1, step, {"loss": draw.choice((float("nan"), 1e9)), "gpu/0/utilization": draw.random()})
            )
        if ranks > 1 and draw.random() < 0.95:
            pieces.append((0.0, 1, step, {"perf/step_time_s": 9.0, "perf/data_wait_s": draw.choice((4.0, 8.0))}))
    return pieces


def told(
    scene: Any, pieces: Sequence[Piece], kind: str, sizes: Sequence[int], monkeypatch: Any, *, restart: bool
) -> tuple[Told, Told]:
    """What is said of the pieces, which come so many at a time, and what a back-test of the stored run says."""
    runs = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        options = Options(run_id="the-run", sample=False, heartbeat_s=3600.0, clock=scene.clock)
        runs.append(after_its_beat(Run(scene.journals, "p", name="hostile", config={"beta": 0.1}, options=options)))
    runs[0].event("trainer", {"kind": kind, "max_steps": 120})
    watcher = scene.watcher(notifiers=[])
    done = turn = 0
    while done < len(pieces):
        size = sizes[turn % len(sizes)]
        for waited_s, rank, step, what in pieces[done : done + size]:
            scene.clock.now_s += waited_s
            if isinstance(what, str):
                runs[rank].event(what, {}, step=step)
            else:
                runs[rank].log(dict(what), step=step)
        done, turn = done + size, turn + 1
        watcher.run_once()
        if restart:
            watcher.close()
            watcher = scene.watcher(notifiers=[])
    for run in runs:
        run.finish()
    watcher.run_once()
    watcher.close()
    (info,) = scene.store.runs()
    assert [state for state in info.rules if state.get("error")] == []
    context = RunContext(run_id=info.id, trainer=info.trainer, config=info.config, started_s=info.created_s)
    again = replay(stored_stream(scene.store, info.id), context, default_rules()).alerts()
    live = [(row.id, row.severity, row.state, row.fired_step) for row in scene.store.alerts(run_id=info.id)]
    return sorted(live, key=str), sorted(((one.id, one.severity, one.state, one.fired_step) for one in again), key=str)


CLOCKS = {
    "two ranks, a clock that stands still and leaps ahead": {"leaps_s": (0.5, 400.0), "least_s": 0.0, "ranks": 2},
    # Ranks whose clocks go back one after the other have no order in common, so here it is one.
    "a clock that also goes back": {"leaps_s": (-30.0, 400.0, -3600.0, 86_400.0), "least_s": 0.0, "ranks": 1},
}


@pytest.mark.parametrize("kind", ("sft", "grpo"))
@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_the_same_run_gets_the_same_alerts_however_it_is_watched(
    tmp_path: Path, scene_in: Any, monkeypatch: pytest.MonkeyPatch, kind: str, clock: Any
) -> None:
    pieces = hostile(1, kind, **clock)
    late, _ = told(scene_in(tmp_path / "late"), pieces, kind, [len(pieces)], monkeypatch, restart=False)
    assert late
    assert told(scene_in(tmp_path / "live"), pieces, kind, [1, 6], monkeypatch, restart=False)[0] == late
    assert told(scene_in(tmp_path / "restarts"), pieces, kind, [29], monkeypatch, restart=True)[0] == late


@pytest.mark.parametrize("kind", KINDS)
def test_a_back_test_says_what_the_watcher_said(
    tmp_path: Path, scene_in: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pieces = hostile(2, kind, leaps_s=(0.001, 400.0), least_s=0.001, ranks=2)
    live, back_test = told(scene_in(tmp_path), pieces, kind, [40], monkeypatch, restart=False)
    assert live
    assert [row for row in back_test if row[0].split(":")[1] not in TIMED] == [
        row for row in live if row[0].split(":")[1] not in TIMED
    ]
