"""What watchers that live say is wrong: with receivers that take no messages, with the rules file, with a run's journals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runvitals.dashboard.formatter import age, count
from runvitals.store.types import WatcherInfo

_LONGEST_TEXT = 300
_LONGEST_NAME = 60


def watcher_notices(at_work: Sequence[WatcherInfo], *, now_s: float) -> list[dict[str, str]]:
    """The notices of all pages, one for the receivers and one for the rest; none where all is well."""
    found = []
    failing = failing_receivers(at_work)
    if failing:
        several = f"{count(len(failing))} receivers take no notifications"
        title = several if len(failing) > 1 else f"{_name(failing[0])} takes no notifications"
        text = "; ".join(_why(one, now_s, name=len(failing) > 1) for one in failing)
        said = f"{_cut(text)}. Alerts still show here, and are sent as soon as they are taken again."
        found.append({"key": "receivers", "severity": "warning", "title": title, "text": said})
    messages = sorted({info.message for info in at_work if info.message})
    if messages:
        title = "The watcher says that something is wrong"
        found.append({"key": "message", "severity": "warning", "title": title, "text": _cut(" · ".join(messages))})
    return found


def failing_receivers(at_work: Iterable[WatcherInfo]) -> list[Mapping[str, Any]]:
    """The receivers that take no messages; one that fails two watchers is named once."""
    failing = {_name(one): one for info in at_work for one in info.receivers if one.get("state") == "failing"}
    return [failing[name] for name in sorted(failing)]


def receivers(at_work: Iterable[WatcherInfo]) -> int:
    """How many receivers there are besides the console."""
    return len({_name(one) for info in at_work for one in info.receivers} - {"console"})


def _why(receiver: Mapping[str, Any], now_s: float, *, name: bool) -> str:
    since_s, next_s = receiver.get("failing_since_s"), receiver.get("next_s")
    since = f" for {age(now_s - since_s)}" if isinstance(since_s, int | float) else ""
    then = f", asked again in {age(max(next_s - now_s, 0.0))}" if isinstance(next_s, int | float) else ""
    who = f"{_name(receiver)}: " if name else "It "
    return f"{who}{receiver.get('problem', '')}{since}{then}"


def _name(receiver: Mapping[str, Any]) -> str:
    return str(receiver.get("label", ""))[:_LONGEST_NAME]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
