from __future__ import annotations

from typing import Any

import pytest

from runvitals.trainers.guard import Guard, guarded


def fail() -> None:
    raise ValueError("broken")


def test_a_failure_is_reported_once_and_counted_each_time() -> None:
    reports: list[dict[str, Any]] = []
    guard = Guard(reports.append)
    for _ in range(2):
        guard.call("rows", fail)

    assert [(report["where"], report["count"]) for report in reports] == [("rows", 1)]
    assert reports[0]["message"] == "ValueError: broken"
    assert guard.counts["rows"] == 2


def test_a_part_that_keeps_failing_is_switched_off_and_that_is_told() -> None:
    reports: list[dict[str, Any]] = []
    guard = Guard(reports.append)
    for _ in range(10):
        guard.call("rows", fail)

    assert guard.counts["rows"] == 3
    assert [report["disabled"] for report in reports] == [False, True]
    assert guard.call("other", lambda: 7) == 7


def test_a_success_in_between_starts_the_count_anew() -> None:
    guard = Guard(lambda _: None)
    for _ in range(10):
        guard.call("rows", fail)
        guard.call("rows", lambda: None)

    assert guard.disabled == set()
    assert guard.counts["rows"] == 10


def test_a_report_that_fails_does_not_reach_training() -> None:
    guard = Guard(lambda _: fail())
    guard.call("rows", fail)

    assert guard.counts == {"rows": 1, "report": 1}


def test_what_is_no_exception_but_an_order_to_stop_goes_through() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guard(lambda _: None).call("rows", interrupt)


def test_a_guarded_hook_never_raises() -> None:
    class Hooked:
        def __init__(self) -> None:
            self.guard = Guard(lambda _: None)
            self.seen: list[int] = []

        @guarded("rows")
        def hook(self, value: int) -> None:
            self.seen.append(value)
            fail()

    hooked = Hooked()
    hooked.hook(4)

    assert hooked.seen == [4]
    assert hooked.guard.counts["rows"] == 1
