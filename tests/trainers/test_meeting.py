from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from runvitals.collectors.options import Options
from runvitals.collectors.run import Run
from runvitals.trainers.meeting import LATER_LOOKS, Address, Meeting, join, next_meeting

ADDRESS = Address(run_id="r-1", project="p", name="n", journals="/shared/journal")


class Told:
    """A run as far as a meeting sees it."""

    id, project, name, path = "r-1", "p", "n", Path("/shared/journal/r-1")


def store() -> Any:
    return torch.distributed.HashStore()


class Clock:
    """Time that only waiting moves on."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s


def test_what_the_first_process_tells_the_others_find() -> None:
    kept = store()
    Meeting(kept, 1).tell(Told())
    assert Meeting(kept, 1).ask(wait_s=0.0) == ADDRESS


def test_a_training_does_not_join_the_run_of_the_one_before_it() -> None:
    kept = store()
    Meeting(kept, 1).tell(Told())
    assert Meeting(kept, 2).ask(wait_s=0.0) is None


def test_the_wait_for_a_first_process_that_says_nothing_ends() -> None:
    clock = Clock()
    assert Meeting(store(), 1).ask(wait_s=5.0, clock=clock, sleep=clock.sleep) is None
    assert 5.0 <= clock.now_s < 5.1


def test_an_address_that_comes_late_is_found_without_waiting() -> None:
    kept = store()
    other = Meeting(kept, 1)
    assert other.ask_again() is None
    Meeting(kept, 1).tell(Told())
    assert other.ask_again() == ADDRESS


def test_looking_comes_to_an_end() -> None:
    kept = store()
    other = Meeting(kept, 1)
    assert [other.ask_again() for _ in range(LATER_LOOKS)] == [None] * LATER_LOOKS
    Meeting(kept, 1).tell(Told())
    assert other.ask_again() is None


def test_where_the_first_process_does_not_record_the_others_do_not_wait() -> None:
    kept, clock = store(), Clock()
    first = Meeting(kept, 1)
    first.tell(None)
    first.tell(Told())  # too late: the others have gone on
    other = Meeting(kept, 1)
    assert other.ask(wait_s=5.0, clock=clock, sleep=clock.sleep) is None
    assert clock.now_s == 0.0
    assert other.ask_again() is None


def test_a_process_alone_meets_nobody() -> None:
    assert next_meeting() is None


def test_who_joins_writes_into_the_same_folder_and_resumes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    first = Run(tmp_path, "p", name="n", options=Options(sample=False))
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    other = join(Address.of(first))
    assert (other.path, other.id, other.name, other.project) == (first.path, first.id, "n", "p")
    other.finish()
    first.finish()
    assert len(list(first.path.glob("*.rvj"))) == 2


def test_a_run_that_is_none_of_ours_is_no_place_to_meet_and_that_can_still_be_said() -> None:
    kept, clock = store(), Clock()
    first = Meeting(kept, 1)
    with pytest.raises(AttributeError):  # the callback's guard takes it
        first.tell(object())
    first.tell(None)
    assert Meeting(kept, 1).ask(wait_s=5.0, clock=clock, sleep=clock.sleep) is None
    assert clock.now_s == 0.0
