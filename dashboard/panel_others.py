"""The curves that a run's page has no plan for: the user's own metrics, by the part, and narrowed by words of their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runvitals.dashboard import panel_plans as plans
from runvitals.dashboard.panel_plans import Chart, Line
from runvitals.dashboard.signal_keys import picks, unclaimed
from runvitals.diagnostics.signals import SIGNALS, canonical
from runvitals.store.types import Latest

MOST_OTHERS = 48
"""Charts of such curves where nobody asks for a part: a run that logs thousands is not to be drowned in them."""

OTHERS_A_PART = 24
"""Charts that the page shows at a time: six rows, whether the run has fifty such curves or ten thousand."""

KEY = "key:"
"""What the id of a chart of one key begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which of them to draw. words: each must be in the name or the key. part: from 0; beyond the last one the last is meant."""

    words: str = ""
    part: int = 0
    size: int = MOST_OTHERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """charts: of the part asked for. total: how many there are. found: how many have the words. first: place of the first chart, from 0."""

    charts: tuple[Chart, ...]
    total: int
    found: int
    first: int


def others(keys: Mapping[str, Latest], shown: set[str], asked: Asked) -> Others | None:
    """What is drawn nowhere else, or None where there is nothing. shown: keys that are. Summaries of one row are no curves."""
    left = {}
    for key, signal in unclaimed(keys):
        latest = keys[key]
        if latest.count > 1 and latest.step >= 0 and key not in shown and signal not in plans.ELSEWHERE:
            left[signal or key] = key
    if not left:
        return None
    # An evaluation's curve stands as rings on the chart of its training twin where there is one.
    rings = {name: left[f"eval_{name}"] for name in left if f"eval_{name}" in left}
    twins = {f"eval_{name}" for name in rings}
    names = [name for name in left if name not in twins]
    found = _having(asked.words, {name: left[name] for name in names})
    last = max(0, len(found) - 1) // asked.size
    first = min(max(0, asked.part), last) * asked.size
    drawn = tuple(_with_rings(_of_key(left[name]), rings.get(name)) for name in found[first : first + asked.size])
    return Others(charts=drawn, total=len(names), found=len(found), first=first)


def evaluated_key(key: str, keys: Mapping[str, Latest]) -> Chart:
    """The chart of one key, with its evaluations where some were logged, wherever in the section it stands."""
    signal = canonical(key)
    twin = picks(keys).get(f"eval_{signal}") if signal else f"eval_{key}"
    return _with_rings(_of_key(key), twin if twin in keys and twin != key else None)


def _of_key(key: str) -> Chart:
    """The chart of one key alone."""
    signal = canonical(key)
    known = SIGNALS.get(signal) if signal else None
    named = known is not None and not key.startswith(("rank/", "node/", "gpu"))
    return Chart(
        id=f"{KEY}{key}",
        title=known.title if known is not None and named else key,
        unit=known.unit if known else "",
        kind=known.kind if known else "plain",
        lines=(Line(signals=(signal or key,), key=key),),
    )


def _having(words: str, left: Mapping[str, str]) -> list[str]:
    """The names of those that have all words, as the page's search takes them: in the key or the title, whatever the case."""
    wanted = words.lower().split()
    if not wanted:
        return list(left)
    found = []
    for name, key in left.items():
        known = SIGNALS.get(name)
        text = f"{known.title} {key}".lower() if known else key.lower()
        if all(word in text for word in wanted):
            found.append(name)
    return found


def _with_rings(chart: Chart, key: str | None) -> Chart:
    """The chart with the evaluations that are logged under the key as rings."""
    if key is None:
        return chart
    rings = Line(signals=(canonical(key) or key,), key=key, label="eval", style="rings")
    return replace(chart, lines=(replace(chart.lines[0], label="train"), rings))
