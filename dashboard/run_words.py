"""What the search field of the Runs page can complete: keys, and for each key the words that some run has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from runvitals.dashboard.query import CHOICES, NUMBER_KEYS, WORD_KEYS
from runvitals.diagnostics.signals import SIGNALS
from runvitals.store.types import RunInfo

_MOST_WORDS = 200
"""Of one key: more would only be scrolled past."""


def vocabulary(runs: Sequence[RunInfo], settings: Collection[str], rules: Collection[str]) -> dict[str, Any]:
    """Keys as they are typed, with what they mean, and words by key. settings: names of settings. rules: that fire somewhere."""
    meant = {
        "name": "part of the run's name",
        "status": "what the process does",
        "health": "the worst of what the rules say",
        "finding": "part of the first finding",
        "alert": "a rule that fires",
        "needs": "needs:attention: the first group",
        "tag": "a tag",
        "group": "a group of runs",
        "note": "part of a description or a note",
        "is": "archived or deleted runs",
        "step": "the newest step",
        "alerts": "open alerts",
        "age": "since the last step: 30s, 5min, 2h, 3d",
        "started": "since the start: 30s, 5min, 2h, 3d",
        "ended": "since the end: 30s, 5min, 2h, 3d",
    }
    signals = {name: signal.title for name, signal in sorted(SIGNALS.items())} | {
        "margin": "Margin, wherever it comes from"
    }
    keys = [
        *({"key": f"{key}:", "says": meant.get(key, "")} for key in WORD_KEYS),
        *({"key": f"{key}>", "says": meant.get(key, "")} for key in NUMBER_KEYS),
        *({"key": f"config.{name}=", "says": "a setting"} for name in sorted(settings)),
        *({"key": f"{name}<", "says": says} for name, says in signals.items()),
    ]
    found = {
        "trainer": {run.trainer for run in runs},
        "project": {run.project for run in runs},
        "tag": {tag for run in runs for tag in run.tags},
        "group": {run.group for run in runs},
        "alert": set(rules),
    }
    words = {key: sorted(some - {""}, key=str.casefold)[:_MOST_WORDS] for key, some in found.items()}
    return {"keys": keys, "words": {**words, **{key: list(some) for key, some in CHOICES.items()}}}
