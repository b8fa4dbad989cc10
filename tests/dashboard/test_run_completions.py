"""What the policy said: which sets a page holds, and what it sends of them."""

from __future__ import annotations

from typing import Any

from runvitals.dashboard.run_completions import MOST_ROWS, Completions
from runvitals.store import Store
from runvitals.store.types import Batch, EventRow


def tell(store: Store, run_id: str, seq: int, step: int | None, data: dict[str, Any]) -> None:
    event = EventRow(run_id=run_id, writer_id="w", seq=seq, time_s=float(seq), step=step, kind="completions", data=data)
    start = {"project": "p", "name": run_id, "config": {}, "info": {}, "time_s": 0.0, "resumed": False}
    store.append(
        Batch(
            run_id=run_id, writer_id="w", first_seq=seq, last_seq=seq, position={"byte": seq}, events=[event],
            start=start if seq == 1 else None,
        )
    )  # fmt: skip


def answers(text: str) -> dict[str, Any]:
    return {"source": "held-out", "rows": [{"prompt": "Hi", "chosen": "Hello", "rejected": "Go", "completion": text}]}


def blocks(view: Completions) -> list[dict[str, Any]]:
    return [section["blocks"][0] for section in view.sections()]


def test_newest_set_is_shown_beside_what_was_said_first_and_what_comes_is_followed(store: Store) -> None:
    view = Completions()
    tell(store, "r", 1, 0, answers("one"))
    view.read(store, "r")
    assert blocks(view)[0]["rows"][0] == {
        "prompt": "Hi", "chosen": "Hello", "rejected": "Go", "completion": "one", "scores": [], "cut": {},
    }  # fmt: skip
    tell(store, "r", 2, 50, answers("two"))
    view.read(store, "r")
    block = blocks(view)[0]
    assert [made["step"] for made in block["sets"]] == [0, 50]
    assert (block["rows"][0]["completion"], block["rows"][0]["before"]) == ("two", "one")


def test_set_that_a_reader_holds_stays_until_the_newest_is_chosen(store: Store) -> None:
    view = Completions()
    for seq, text in enumerate(("one", "two", "three"), 1):
        tell(store, "r", seq, 10 * seq, answers(text))
    view.read(store, "r")
    ids = [made["id"] for made in blocks(view)[0]["sets"]]
    view.choose(store, {"source": "held-out", "id": ids[1]})
    assert blocks(view)[0]["rows"][0]["completion"] == "two"
    tell(store, "r", 4, 40, answers("four"))
    view.read(store, "r")
    assert blocks(view)[0]["rows"][0]["completion"] == "two"
    view.choose(store, {"source": "held-out", "id": blocks(view)[0]["sets"][-1]["id"]})
    assert blocks(view)[0]["rows"][0]["completion"] == "four"
    tell(store, "r", 5, 50, answers("five"))
    view.read(store, "r")
    assert blocks(view)[0]["rows"][0]["completion"] == "five"


def test_rollouts_show_rewards_with_nan_as_nan_and_stand_behind_answers(store: Store) -> None:
    rows = [{"prompt": "Hi", "completion": "x", "rewards": {"length": float("nan")}, "advantage": -1.5}]
    tell(store, "r", 1, 5, {"source": "rollout", "rows": rows})
    tell(store, "r", 2, 5, answers("one"))
    view = Completions()
    view.read(store, "r")
    assert [section["id"] for section in view.sections()] == ["completions-held-out", "completions-rollout"]
    assert blocks(view)[1]["rows"][0]["scores"] == [("length", "NaN"), ("advantage", "−1.50")]


def test_what_a_user_logs_oddly_costs_nothing_but_itself(store: Store) -> None:
    odd: list[dict[str, Any]] = [
        {}, {"rows": "no list"}, {"rows": [1, None, "text"]}, {"source": 7, "rows": [{"completion": None, "prompt": ["a"]}]},
    ]  # fmt: skip
    for seq, data in enumerate(odd, 1):
        tell(store, "r", seq, None, data)
    tell(store, "r", 5, 1, {"rows": [{"completion": str(place)} for place in range(100)]})
    view = Completions()
    view.read(store, "r")
    shown = {block["source"]: block["rows"] for block in blocks(view)}
    assert [row["completion"] for row in shown["logged"]] == [str(place) for place in range(MOST_ROWS)]
    assert shown["7"] == [{"prompt": "['a']", "scores": [], "cut": {}}]


def test_choice_of_another_run_or_nonsense_changes_nothing(store: Store) -> None:
    tell(store, "r", 1, 0, answers("one"))
    tell(store, "other", 1, 0, answers("elsewhere"))
    view = Completions()
    view.read(store, "r")
    for told in (None, "x", {"source": "held-out"}, {"source": "none", "id": 1}, {"source": "held-out", "id": 2}):
        view.choose(store, told)
        assert blocks(view)[0]["rows"][0]["completion"] == "one"
    view.read(store, "other")
    assert blocks(view)[0]["rows"][0]["completion"] == "elsewhere"
