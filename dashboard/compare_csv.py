"""The points of thin grey runs for a chart's CSV file: the live feed holds only those in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runvitals.dashboard.compare_charts import CHARTS, Plan, signals_for
from runvitals.dashboard.compare_read import Curve, Member, length
from runvitals.dashboard.compare_state import MOST_IN_COLOUR, Axis
from runvitals.dashboard.live_charts import Want
from runvitals.dashboard.sights import Span, spans_of


def thin_wants(members: Sequence[Member], told: object, plan: Plan = CHARTS) -> list[Want]:
    """The series of the grey runs that the chart shows which `told` asks for; none where it asks illegibly, or shows no grey line."""
    series = told.get("series") if isinstance(told, Mapping) else None
    asked = {str(one.get("id")) for one in series if isinstance(one, Mapping)} if isinstance(series, list) else set()
    found = []
    for name, wanted in plan:
        if f"faint|{name}" in asked:
            found += [
                Want(
                    id=f"faint|{name}",
                    run_id=members[place].run.id,
                    key=members[place].chosen[signal],
                    timed=members[place].timed(members[place].chosen[signal]),
                    zero_s=0.0,
                    clock=f"grey{place}",
                )
                for place, signal in signals_for(members, wanted).items()
                if place >= MOST_IN_COLOUR
            ]
    return found


def thin_spans(
    members: Sequence[Member], curves: Sequence[Mapping[str, Curve]], wants: Sequence[Want], told: Any, axis: Axis
) -> dict[str, Span]:
    """The steps of each grey run that lie in the range in view; {} where `told` has no range. A run outside of it has none.

    On the axes of time and tokens a range is known to the bucket: 400 over the whole run.
    """
    view = spans_of(told.get("spans") or {}).get("axis") if isinstance(told, Mapping) else None
    if view is None:
        return {}
    places = {f"grey{place}": place for place in range(MOST_IN_COLOUR, len(members))}
    found: dict[str, Span] = {}
    for want in wants:
        one, curve = members[places[want.clock]], curves[places[want.clock]].get(want.key)
        steps = None if curve is None else _steps(one, curve, axis, view)
        if steps is not None:
            found[want.clock] = Span(start=steps[0], stop=steps[1], start_s=0.0, stop_s=0.0)
    return found


def _steps(one: Member, curve: Curve, axis: Axis, view: Span) -> tuple[float, float] | None:
    """The range of the page's axis in this run's steps; the axis' own places are in `start_s` and `stop_s`, unrounded."""
    unit = {"step": 1.0, "share": length(one.run)}.get(axis)
    if unit is not None:
        return view.start_s * unit, view.stop_s * unit
    inside = np.flatnonzero((curve.x >= view.start_s) & (curve.x <= view.stop_s))
    if not inside.size:
        return None
    before = curve.steps[inside[0] - 1] + 1 if inside[0] else curve.steps[0]
    return float(min(before, curve.steps[inside[0]])), float(curve.steps[inside[-1]])
