"""What a process calls its run is kept where it can be; what cannot be is told of and stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runvitals
from runvitals.collectors.labels import LONGEST_DESCRIPTION, MOST_TAGS, read_labels
from runvitals.collectors.options import Options

QUIET = Options(sample=False, heartbeat_s=1000.0)


class Broken:
    """Says that it can be gone through, and cannot."""

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __str__(self) -> str:
        return "broken"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, ()),
        ("baseline", ("baseline",)),
        (["a", " two  words ", "A"], ("a", "two words")),
        ({"one"}, ("one",)),
        ((tag for tag in "xy"), ("x", "y")),
        (7, ("7",)),
        ([7, 0.5], ("7", "0.5")),
        (Broken(), ("broken",)),
        ("<img src=x>", ("<img src=x>",)),
    ],
)
def test_tags_of_any_kind_become_words(given: Any, kept: tuple[str, ...]) -> None:
    found = read_labels(given, "", "")
    assert (found.tags, found.refused) == (kept, ())


def test_a_part_that_is_none_is_refused_alone_and_named() -> None:
    found = read_labels(["good", "a,b", "", "x" * 61], "g" * 61, "d" * (LONGEST_DESCRIPTION + 1))
    assert (found.tags, found.group, found.description) == (("good",), "", "")
    assert len(found.refused) == 5
    assert "without a comma, got 'a,b'" in found.refused[0]
    assert "a run's group: expected at most 60 characters, got 61" in found.refused
    assert read_labels((f"t{number}" for number in range(MOST_TAGS + 1)), "", "").tags[-1] == f"t{MOST_TAGS - 1}"


def test_init_writes_them_into_the_journal_and_says_what_is_left_out(
    tmp_path: Path, told: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    labels: dict[str, Any] = {"tags": ["baseline", "a,b"], "group": " sweep ", "description": "why\nso"}
    run = runvitals.init("p", home=tmp_path, options=QUIET, **labels)
    run.finish()
    found = told(run.path)
    (start,) = found.starts
    assert (start.tags, start.group, start.description) == (["baseline"], "sweep", "why\nso")
    (fault,) = found.of("fault")
    assert "'a,b'" in fault["message"] and "left out" in fault["message"]
    assert "a,b" in capsys.readouterr().err
