"""Tags, groups and descriptions stay with their run; a run that people want deleted goes when its time has come, never while it lives."""

from __future__ import annotations

from typing import Any

import pytest

from runvitals.errors import StoreError, UnknownRun
from runvitals.store import Store


@pytest.fixture
def two_runs(store: Store, batch_of: Any) -> Store:
    """Runs one and two, which have ended, and a live one."""
    for run_id in ("one", "two", "live"):
        store.append(batch_of(run_id=run_id))
    for run_id in ("one", "two"):
        store.set_run(run_id, status="finished")
    return store


def tags(store: Store) -> dict[str, list[str]]:
    return {run.id: list(run.tags) for run in store.runs()}


def test_tags_are_added_once_whatever_their_case_and_removed(two_runs: Store) -> None:
    two_runs.tag_runs(["one", "two"], add=["Baseline", "  seed   7 ", "baseline"])
    two_runs.tag_runs(["one"], add=["<b>x</b>"], remove=["BASELINE"])
    assert tags(two_runs) == {"one": ["seed 7", "<b>x</b>"], "two": ["Baseline", "seed 7"], "live": []}


def test_a_run_s_revision_rises_only_where_something_changed(two_runs: Store) -> None:
    two_runs.tag_runs(["one"], add=["a"])
    before = two_runs.revisions()
    two_runs.tag_runs(["one", "two"], add=["a"])
    assert {key: value - before[key] for key, value in two_runs.revisions().items()} == {"one": 0, "two": 1, "live": 0}


@pytest.mark.parametrize("tag", ["", "   ", "x" * 61, "a,b"])
def test_a_tag_that_is_none_changes_no_run(two_runs: Store, tag: str) -> None:
    with pytest.raises(StoreError, match="a tag: expected"):
        two_runs.tag_runs(["one"], add=["good", tag])
    assert tags(two_runs)["one"] == []


def test_an_unknown_run_stops_the_whole_action(two_runs: Store) -> None:
    with pytest.raises(UnknownRun):
        two_runs.tag_runs(["one", "zzz"], add=["a"])
    assert tags(two_runs)["one"] == []


def test_too_many_tags_are_refused(two_runs: Store) -> None:
    two_runs.tag_runs(["one"], add=[f"t{number}" for number in range(50)])
    with pytest.raises(StoreError, match="at most 50 tags"):
        two_runs.tag_runs(["one"], add=["one more"])


def test_group_and_description_are_set_and_taken_away(two_runs: Store) -> None:
    two_runs.group_runs(["one", "two"], " beta sweep\x00 ")
    two_runs.describe_run("one", "![x](http://e/)\nsecond line")
    one = two_runs.run("one")
    assert (one.group, one.description) == ("beta sweep\N{REPLACEMENT CHARACTER}", "![x](http://e/)\nsecond line")
    two_runs.group_runs(["one"], "")
    assert (two_runs.run("one").group, two_runs.run("two").group) == ("", "beta sweep\N{REPLACEMENT CHARACTER}")
    with pytest.raises(StoreError, match="at most 4000"):
        two_runs.describe_run("one", "x" * 4001)


def test_a_run_begins_with_what_its_process_called_it_and_from_then_on_people_decide(
    store: Store, batch_of: Any
) -> None:
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": 1000.0}
    called = {"tags": ["base", "seed 7"], "group": "sweep", "description": "first\x00"}
    store.append(batch_of(run_id="one", start={**start, **called}))
    run = store.run("one")
    assert (run.tags, run.group, run.description) == (["base", "seed 7"], "sweep", "first\ufffd")
    store.tag_runs(["one"], remove=["base", "seed 7"])
    store.group_runs(["one"], "")
    store.describe_run("one", "mine")
    store.set_run("one", status="finished")
    again = {**start, **called, "resumed": True, "time_s": 2000.0}
    store.append(batch_of(run_id="one", writer_id="second", start=again))
    run = store.run("one")
    assert (run.status, run.tags, run.group, run.description) == ("starting", [], "", "mine")


@pytest.mark.parametrize("odd", [7, None, {"a": 1}, ["good", "a,b", "x" * 100, None, 3], "x" * 5000])
def test_whatever_a_journal_calls_a_run_it_is_taken_in(store: Store, batch_of: Any, odd: Any) -> None:
    start = {"project": "p", "name": "n", "config": {}, "info": {}, "time_s": 1000.0}
    store.append(batch_of(run_id="one", start={**start, "tags": odd, "group": odd, "description": odd}))
    run = store.run("one")
    assert all(0 < len(tag) <= 60 and "," not in tag for tag in run.tags) and len(run.group) <= 60
    store.tag_runs(["one"], add=["still works"])


def test_the_watcher_s_changes_leave_what_people_keep(two_runs: Store) -> None:
    two_runs.tag_runs(["one"], add=["a"])
    two_runs.set_run("one", health="healthy")
    assert tags(two_runs)["one"] == ["a"]
    with pytest.raises(StoreError, match="expected some of"):
        two_runs.set_run("one", tags=["b"])


def test_an_archived_run_keeps_its_first_moment_and_comes_back(two_runs: Store) -> None:
    two_runs.archive_runs(["one", "live"], 5.0)
    two_runs.archive_runs(["one"], 9.0)
    assert (two_runs.run("one").archived_s, two_runs.run("two").archived_s) == (5.0, None)
    two_runs.archive_runs(["one"], None)
    assert two_runs.run("one").archived_s is None


def test_a_deletion_is_due_when_its_time_has_come_and_can_be_taken_back(two_runs: Store) -> None:
    two_runs.delete_later(["one", "two"], 100.0)
    assert two_runs.due_deletions(99.0) == []
    two_runs.delete_later(["two"], None)
    assert two_runs.due_deletions(100.0) == ["one"]


def test_a_live_run_is_not_marked_and_neither_are_those_marked_with_it(two_runs: Store) -> None:
    with pytest.raises(StoreError, match="run live: is starting"):
        two_runs.delete_later(["live", "one"], 100.0)
    assert two_runs.due_deletions(1e9) == []


def test_a_run_that_goes_on_is_deleted_no_more(two_runs: Store, batch_of: Any) -> None:
    two_runs.delete_later(["one"], 100.0)
    start = {"project": "demo", "name": "one", "config": {}, "info": {}, "time_s": 2000.0, "resumed": True}
    two_runs.append(batch_of(run_id="one", writer_id="second", start=start))
    two_runs.set_run("one", status="finished")
    assert two_runs.run("one").delete_after_s is None
    assert two_runs.due_deletions(1e9) == []


def test_a_run_that_is_found_alive_is_deleted_no_more(two_runs: Store) -> None:
    two_runs.delete_later(["one"], 100.0)
    two_runs.set_run("one", status="running")
    two_runs.set_run("one", status="stopped")
    assert two_runs.due_deletions(1e9) == []


def test_views_are_kept_by_page_and_name(store: Store) -> None:
    store.save_view("runs", "worst", "q=health:critical", 1.0)
    store.save_view("runs", " Betas ", "q=beta", 2.0)
    store.save_view("compare", "worst", "runs=a,b", 3.0)
    store.save_view("runs", "worst", "q=needs:attention", 4.0)
    assert [(view.name, view.query, view.created_s, view.changed_s) for view in store.views("runs")] == [
        ("Betas", "q=beta", 2.0, 2.0),
        ("worst", "q=needs:attention", 1.0, 4.0),
    ]
    store.delete_view("runs", "worst")
    store.delete_view("runs", "absent")
    assert [view.name for view in store.views("runs")] == ["Betas"]
    assert [view.name for view in store.views("compare")] == ["worst"]


@pytest.mark.parametrize(("name", "query"), [(" ", "q"), ("x" * 101, "q"), ("x", "q" * 8193)])
def test_a_view_without_a_name_or_too_long_is_refused(store: Store, name: str, query: str) -> None:
    with pytest.raises(StoreError, match="a view's"):
        store.save_view("runs", name, query, 1.0)
