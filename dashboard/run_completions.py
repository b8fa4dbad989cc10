"""What the policy said, over time: sections of the Run page. Texts go to the browser as text; nothing in them is ever markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runvitals.dashboard import formatter
from runvitals.store import Store

EVENT = "completions"

ANSWERS = "held-out"
ROLLOUTS = "rollout"
_TITLES = {
    ANSWERS: ("Answers to held-out prompts", "what the policy says to the same prompts over time"),
    ROLLOUTS: ("Rollouts", "the best and the worst completion of a prompt, by reward"),
}
_TEXTS = ("prompt", "completion", "chosen", "rejected")
MOST_ROWS = 16
"""Rows that are shown of one set."""

Row = Mapping[str, Any]


@dataclass(slots=True)
class _Source:
    """The sets of one source. chosen: the id of the set that a reader holds; None follows the newest."""

    sets: list[tuple[int, int | None]] = field(default_factory=list)
    """(event id, step) of each, oldest first."""
    chosen: int | None = None
    first: list[Row] = field(default_factory=list)
    shown_id: int = -1
    shown: list[Row] = field(default_factory=list)


class Completions:
    """One browser page's view of a run's completions. Only the rows that are on the screen are kept, whatever the run has told."""

    def __init__(self) -> None:
        self._run_id = ""
        self._last_id = 0
        self._sources: dict[str, _Source] = {}

    def read(self, store: Store, run_id: str) -> None:
        """Takes in what is new."""
        if run_id != self._run_id:
            self._run_id, self._last_id, self._sources = run_id, 0, {}
        for event in store.events(run_id, kinds=(EVENT,), after_id=self._last_id):
            self._last_id = event.id
            rows = _rows(event.data)
            if not rows:
                continue
            source = self._sources.setdefault(str(event.data.get("source") or "logged"), _Source())
            if not source.sets:
                source.first = rows
            source.sets.append((event.id, event.step))
            if source.chosen is None:
                source.shown_id, source.shown = event.id, rows

    def choose(self, store: Store, told: Any) -> None:
        """Follows the browser: `{source, id}`, where the newest set means to follow what comes. What cannot be is left alone."""
        if not isinstance(told, Mapping):
            return
        source = self._sources.get(str(told.get("source")))
        wanted = told.get("id")
        if source is None or wanted not in [number for number, _ in source.sets]:
            return
        source.chosen = None if wanted == source.sets[-1][0] else wanted
        if wanted == source.shown_id:
            return
        found = store.events(self._run_id, kinds=(EVENT,), after_id=wanted - 1, limit=1)
        source.shown_id, source.shown = wanted, _rows(found[0].data) if found else []

    def sections(self) -> list[dict[str, Any]]:
        """One section a source; none where nothing was told."""
        order = sorted(self._sources, key=lambda name: (name != ANSWERS, name != ROLLOUTS, name))
        return [self._section(name, self._sources[name]) for name in order]

    def _section(self, name: str, source: _Source) -> dict[str, Any]:
        title, sentence = _TITLES.get(name, (f"Completions: {name}", "as logged"))
        block = {
            "id": f"completions-{name}",
            "kind": "completions",
            "span": 12,
            "source": name,
            "sets": [{"id": number, "step": step} for number, step in source.sets],
            "shown": source.shown_id,
            "rows": _drawn(source.shown, source.first if source.shown_id != source.sets[0][0] else []),
        }
        return {"id": f"completions-{name}", "title": title, "sentence": sentence, "fold": None, "blocks": [block]}


def _rows(data: Mapping[str, Any]) -> list[Row]:
    rows = data.get("rows")
    return [row for row in rows if isinstance(row, Mapping)][:MOST_ROWS] if isinstance(rows, list) else []


def _drawn(rows: list[Row], first: list[Row]) -> list[dict[str, Any]]:
    """Rows for the browser. `before`: what the first set answered to the same prompt, where that is another set."""
    began = {str(row.get("prompt")): str(row.get("completion", "")) for row in first}
    drawn = []
    for row in rows:
        made: dict[str, Any] = {name: str(row[name]) for name in _TEXTS if row.get(name) is not None}
        if "prompt" in made and made["prompt"] in began:
            made["before"] = began[made["prompt"]]
        made["scores"] = _scores(row)
        cut = row.get("cut")
        made["cut"] = {str(name): int(length) for name, length in cut.items()} if isinstance(cut, Mapping) else {}
        drawn.append(made)
    return drawn


def _scores(row: Row) -> list[tuple[str, str]]:
    """(name, number) pairs: rewards by name, then the advantage."""
    rewards = row.get("rewards")
    named = [*rewards.items()] if isinstance(rewards, Mapping) else []
    named += [("advantage", row["advantage"])] if row.get("advantage") is not None else []
    return [(str(name), _number(value)) for name, value in named]


def _number(value: Any) -> str:
    return formatter.number(value) if isinstance(value, (int, float)) else str(value)
