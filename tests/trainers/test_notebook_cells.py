from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from runvitals.trainers.notebook import shell, when_cell_fails


class Events:
    """As IPython's event manager: callbacks by event name."""

    def __init__(self) -> None:
        self.callbacks: dict[str, list[Any]] = {"post_run_cell": []}

    def register(self, name: str, function: Any) -> None:
        self.callbacks[name].append(function)

    def unregister(self, name: str, function: Any) -> None:
        self.callbacks[name].remove(function)

    def end_cell(self, error: BaseException | None) -> None:
        for function in list(self.callbacks["post_run_cell"]):
            function(SimpleNamespace(error_in_exec=error))


def test_a_cell_that_ends_by_an_exception_is_told() -> None:
    events, failures = Events(), list[BaseException]()
    when_cell_fails(SimpleNamespace(events=events), failures.append)
    events.end_cell(None)
    error = ValueError("in the cell")
    events.end_cell(error)

    assert failures == [error]


def test_the_watch_can_be_taken_away_more_than_once() -> None:
    events, failures = Events(), list[BaseException]()
    remove = when_cell_fails(SimpleNamespace(events=events), failures.append)
    remove()
    remove()
    events.end_cell(ValueError())

    assert failures == []


def test_a_plain_script_has_no_shell() -> None:
    assert shell() is None
