"""Groups, order and window of the Runs table; which runs answer; what people do with them; what is sent of it all."""

from __future__ import annotations

import math
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from runvitals.dashboard.query import parse
from runvitals.dashboard.run_actions import UNDO_S, act
from runvitals.dashboard.run_order import sections
from runvitals.dashboard.run_rows import QUERYABLE, Asked, answering, latest_keys, table
from runvitals.dashboard.run_subject import Known
from runvitals.errors import StoreError
from runvitals.store import Store

NOW_S = 5e9


def known(store: Store, text: str = "", **more: Any) -> list[Known]:
    """The runs that answer a query, as a watched page sees them."""
    query = parse(text, signals=QUERYABLE, settings={"beta"})
    return answering(store.runs(latest=latest_keys(query.signals)), [], query=query, watched=True, now_s=NOW_S, **more)


def names(found: list[Known]) -> list[str]:
    return [one.run.name for one in found]


def by_name(store: Store) -> dict[str, str]:
    return {run.name: run.id for run in store.runs()}


def test_a_table_is_sorted_by_a_column_with_what_lacks_it_last_both_ways(watched: Store) -> None:
    for sort in ("margin", "-margin"):
        (section,) = sections(known(watched), group="none", sort=sort)
        margins = [one.signals().get("margin", math.nan) for one in section.runs]
        have = [value for value in margins if not math.isnan(value)]
        assert have == sorted(have, reverse=sort.startswith("-"))
        assert 0 < len(have) < len(margins)
        assert all(math.isnan(value) for value in margins[len(have) :])


def test_a_table_is_sorted_by_a_setting_too(watched: Store) -> None:
    (section,) = sections(known(watched), group="none", sort="-config.beta")
    betas = [one.run.config["beta"] for one in section.runs if "beta" in one.run.config]
    assert len(set(betas)) > 1
    assert betas == sorted(betas, reverse=True)
    assert all("beta" not in one.run.config for one in section.runs[len(betas) :])


@pytest.mark.parametrize(
    "group", ["trainer", "project", "status", "health", "group", "tag", "config.beta", "config.absent", "none"]
)
def test_every_run_stands_in_exactly_one_group(watched: Store, group: str) -> None:
    watched.tag_runs(list(by_name(watched).values())[:2], add=["a", "b"])
    found = known(watched)
    grouped = [one.run.id for section in sections(found, group=group, sort="") for one in section.runs]
    assert sorted(grouped) == sorted(one.run.id for one in found)


def test_runs_with_several_tags_stand_once_under_a_head_that_says_so(watched: Store) -> None:
    first, second, third = list(by_name(watched).values())[:3]
    watched.tag_runs([first, second], add=["b", "a"])
    watched.tag_runs([third], add=["a"])
    heads = {section.label: len(section.runs) for section in sections(known(watched), group="tag", sort="")}
    assert list(heads.items())[:2] == [("a", 1), ("a + b", 2)]


def test_groups_by_a_setting_stand_by_size_with_its_absence_last(watched: Store) -> None:
    keys = [section.key for section in sections(known(watched), group="config.beta", sort="")]
    assert keys[-1] == ""
    assert [float(key) for key in keys[:-1]] == sorted(float(key) for key in keys[:-1])


def test_a_window_makes_only_the_rows_that_fit_and_tells_the_rest(watched: Store) -> None:
    asked = Asked(query=parse("", signals=QUERYABLE), group="trainer", limit=6)
    found = table(watched, known(watched), asked)
    made = [run_id for group in found.groups for run_id in group["ids"]]
    assert set(made) == set(found.rows)
    assert len(found.groups) + len(made) <= 6
    assert len(made) + found.rest == len(found.ids) == 12


def test_a_folded_group_makes_no_row_and_counts_them(watched: Store) -> None:
    asked = Asked(query=parse("", signals=QUERYABLE), group="trainer", folded=frozenset({"dpo"}))
    found = table(watched, known(watched), asked)
    (folded,) = [group for group in found.groups if group["folded"]]
    assert (folded["key"], folded["ids"]) == ("dpo", [])
    assert folded["count"] + len(found.rows) == 12
    assert found.rest == 0


def test_archived_and_deleted_runs_are_only_there_where_asked_for(watched: Store) -> None:
    ended = [run.id for run in watched.runs() if run.status == "finished"][:2]
    watched.archive_runs(ended[:1], 1.0)
    watched.delete_later(ended[1:], NOW_S)
    assert len(known(watched)) == 10
    assert [one.run.id for one in known(watched, "is:archived")] == ended[:1]
    assert [one.run.id for one in known(watched, "is:deleted")] == ended[1:]
    assert len(known(watched, "is:archived,deleted")) == 2


def test_tags_groups_and_notes_are_found(watched: Store) -> None:
    first, second = list(by_name(watched).values())[:2]
    watched.tag_runs([first], add=["seed 7"])
    watched.group_runs([second], "Sweep")
    watched.describe_run(first, "after the loader was mended")
    assert [one.run.id for one in known(watched, 'tag:"Seed 7"')] == [first]
    assert [one.run.id for one in known(watched, "group:sweep")] == [second]
    assert [one.run.id for one in known(watched, "note:loader")] == [first]
    assert [one.run.id for one in known(watched, "note:step", notes={second: ["odd at step 3"]})] == [second]


def test_deleting_spares_live_runs_and_can_be_taken_back(watched: Store) -> None:
    ids = [run.id for run in watched.runs()]
    ended = {run.id for run in watched.runs() if run.status in ("finished", "crashed", "stopped")}
    told = act(watched, {"do": "delete"}, ids, now_s=100.0)
    assert told["text"] == f"{len(ended)} runs deleted; {12 - len(ended)} runs left, still live"
    assert set(watched.due_deletions(100.0 + UNDO_S)) == ended
    assert watched.due_deletions(99.0 + UNDO_S) == []
    act(watched, told["undo"], told["undo"]["ids"], now_s=200.0)
    assert watched.due_deletions(math.inf) == []


def test_live_runs_alone_are_not_deleted(watched: Store) -> None:
    live = [run.id for run in watched.runs() if run.status == "running"]
    with pytest.raises(StoreError, match="still live"):
        act(watched, {"do": "delete"}, live, now_s=1.0)


def test_what_is_no_deed_does_nothing(watched: Store) -> None:
    before = watched.revisions()
    for told in ({"do": "explode"}, {}, {"do": None}, {"do": "describe", "text": "x"}):
        assert act(watched, told, list(before), now_s=1.0)["text"] == ""
    assert act(watched, {"do": "tag", "text": "x"}, [], now_s=1.0)["text"] == ""
    assert watched.revisions() == before


def test_several_tags_are_typed_with_commas(watched: Store) -> None:
    (first, *_) = by_name(watched).values()
    act(watched, {"do": "tag", "text": " a , ,<b>b</b>,"}, [first], now_s=1.0)
    act(watched, {"do": "untag", "text": "a"}, [first], now_s=1.0)
    assert list(watched.run(first).tags) == ["<b>b</b>"]


def test_only_what_changed_is_sent_and_a_browser_that_missed_a_message_gets_all() -> None:
    def script() -> None:
        import streamlit as st

        from runvitals.dashboard import live

        def rows(**marks: str) -> dict[str, dict[str, str]]:
            return {key: {"id": key, "mark": mark} for key, mark in marks.items()}

        sent = [
            live.changed_parts("slot", {"head": 1, "views": 1}, rows(a="1", b="1")),
            live.changed_parts("slot", {"head": 1, "views": 1}, rows(a="1", b="1")),
            live.changed_parts("slot", {"head": 2, "views": 1}, rows(a="1", b="2")),
            live.changed_parts("slot", {"head": 2, "views": 1}, rows(a="1")),
            live.changed_parts("slot", {"head": 2, "views": 1}, rows(a="1", b="2")),
        ]
        live.forget("slot")
        sent.append(live.changed_parts("slot", {"head": 2, "views": 1}, rows(a="1", b="2")))
        st.session_state["sent"] = sent

    first, same, changed, fewer, again, whole = AppTest.from_function(script).run().session_state["sent"]
    assert (first["base"], first["parts"], len(first["rows"])) == (None, {"head": 1, "views": 1}, 2)
    assert same == {"digest": first["digest"]}
    assert (changed["base"], changed["parts"]) == (first["digest"], {"head": 2})
    assert [row["id"] for row in changed["rows"]] == ["b"]
    assert (fewer["parts"], fewer["rows"]) == ({}, [])
    assert [row["id"] for row in again["rows"]] == ["b"], "a row that comes back was forgotten by the browser"
    assert (whole["base"], len(whole["rows"]), whole["digest"]) == (None, 2, again["digest"])
