"""Each deed of the browser is done once, however often and in whatever company it comes."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st

from runvitals.dashboard.deeds import new_deeds


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})


def deed(name: object) -> dict[str, object]:
    return {"do": "tag", "deed": name}


def names(told: Any) -> list[Any]:
    return [one["deed"] for one in new_deeds(told)]


def test_a_deed_that_comes_again_with_the_next_is_done_once_and_one_overtaken_is_done() -> None:
    assert names([deed("a")]) == ["a"]
    assert names([deed("a"), deed("b"), deed("c")]) == ["b", "c"]
    assert names([deed("a"), deed("b"), deed("c")]) == []


@pytest.mark.parametrize("odd", [None, 7, "x", {"do": "tag", "deed": "a"}, [None, 3, {}, {"deed": None}, {"deed": ""}]])
def test_what_is_no_list_of_deeds_does_nothing(odd: Any) -> None:
    assert new_deeds(odd) == []


def test_names_are_remembered_without_growing_for_ever() -> None:
    for number in range(3000):
        assert names([deed(f"{number - 1}"), deed(f"{number}")][number == 0 :]) == [f"{number}"]
    assert len(st.session_state["runvitals.deeds"]) <= 1000
