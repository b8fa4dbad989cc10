"""A run that somebody deleted is gone once nobody can take that back any more, and not before; a run that lives stays."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from runvitals.errors import StoreError
from runvitals.watch.due import delete_due
from runvitals.watch.gc import Sweep, sweep


@pytest.fixture
def ended(scene: Any) -> str:
    """A run that has finished and whose journals are gone."""
    run = scene.run()
    scene.train(run, range(20))
    run.finish()
    watcher = scene.watcher()
    watcher.run_once(pause=lambda seconds: None)
    assert scene.store.run(run.id).status == "finished"
    return str(run.id)


def ids(scene: Any) -> list[str]:
    return [run.id for run in scene.store.runs()]


def passes(scene: Any, watcher: Any, times: int = 4) -> None:
    """Passes of a watcher with the time between two looks for deletions in between."""
    for _ in range(times):
        watcher.step()
        scene.clock.now_s += 6.0


def test_the_watcher_deletes_when_the_time_has_come(scene: Any, ended: str) -> None:
    scene.store.delete_later([ended], scene.clock.now_s + 600.0)
    watcher = scene.watcher()
    passes(scene, watcher)
    assert ids(scene) == [ended]
    scene.clock.now_s += 600.0
    passes(scene, watcher)
    assert ids(scene) == []


def test_a_deletion_that_was_taken_back_does_not_happen(scene: Any, ended: str) -> None:
    scene.store.delete_later([ended], scene.clock.now_s + 600.0)
    scene.store.delete_later([ended], None)
    scene.clock.now_s += 1000.0
    passes(scene, scene.watcher())
    assert ids(scene) == [ended]


def test_a_run_whose_process_may_still_write_stays_with_its_journals(scene: Any) -> None:
    run = scene.run()
    scene.train(run, range(20))
    run.log({"loss": 1.0}, step=20)
    scene.watcher().run_once(pause=lambda seconds: None)
    scene.store.set_run(run.id, status="stopped")
    scene.store.delete_later([run.id], scene.clock.now_s + 1.0)
    scene.clock.now_s += 100.0
    for alive in (True, None):
        found = list(
            delete_due(scene.store, scene.journals, now_s=scene.clock.now_s, alive=lambda info, alive=alive: alive)
        )
        assert [(one.id, bool(kept)) for one, kept in found] == [(run.id, True)]
    assert (scene.journals / run.id).is_dir()
    scene.watcher().run_once(pause=lambda seconds: None)  # it finds the run alive, which takes the deletion back
    assert scene.store.due_deletions(4e9) == []
    run.finish()


def test_gc_deletes_what_is_due_and_only_tells_in_a_dry_run(scene: Any, ended: str) -> None:
    scene.store.delete_later([ended], 5.0)
    asked = {"store": scene.store, "home": scene.journals.parent, "now_s": 4e9, "alive": lambda info: False}
    told = [(line.what, line.kept) for line in sweep(Sweep(**asked, dry_run=True)) if "deleted" in line.what]
    assert told == [("deleted run", "")]
    assert ids(scene) == [ended]
    list(sweep(Sweep(**asked)))
    assert ids(scene) == []


def test_a_run_that_another_deleted_meanwhile_stops_nothing(scene: Any, ended: str) -> None:
    scene.store.delete_later([ended], 5.0)
    due = delete_due(scene.store, scene.journals, now_s=4e9, alive=lambda info: False)
    scene.store.delete_run(ended)
    assert list(due) == []


def test_a_deletion_that_is_taken_back_while_another_run_is_deleted_does_not_happen(scene: Any, ended: str) -> None:
    other = scene.run()
    scene.train(other, range(20))
    other.finish()
    scene.watcher().run_once(pause=lambda seconds: None)
    scene.store.delete_later([ended, other.id], 5.0)
    deletions = delete_due(scene.store, scene.journals, now_s=4e9, alive=lambda info: False)
    gone, _ = next(deletions)
    (left,) = ids(scene)
    scene.store.delete_later([left], None)
    assert list(deletions) == []
    assert ids(scene) == [left] != [gone.id]


def test_the_store_asks_once_more_before_it_deletes(scene: Any, ended: str) -> None:
    scene.store.delete_later([ended], 5.0)
    scene.store.delete_later([ended], None)
    with pytest.raises(StoreError, match="taken back"):
        scene.store.delete_run(ended, due_s=10.0)
    assert ids(scene) == [ended]


def test_journals_that_cannot_be_looked_at_keep_the_run_and_stop_no_pass(
    scene: Any, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.store.delete_later([ended], 5.0)

    def away(journals: object, run_id: str) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("runvitals.watch.due.journal_folder", away)
    scene.watcher().step()
    assert ids(scene) == [ended]
    ((_, kept),) = delete_due(scene.store, scene.journals, now_s=4e9, alive=lambda info: False)
    assert "Stale file handle" in kept
