"""Deleting and collecting remove what they should and never what the store lacks; the doctor finds what is really broken."""

from __future__ import annotations

import json
import sqlite3
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import runvitals
from runvitals.collectors import journal
from runvitals.errors import StoreError
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.store.store import Store
from runvitals.store.types import WatcherInfo
from runvitals.watch.delete import delete_run, journal_folder
from runvitals.watch.doctor import Examination, Finding, examine
from runvitals.watch.gc import Line, Sweep, sweep
from runvitals.watch.loop import Watcher
from runvitals.watch.removal import SUFFIX
from runvitals.watch.survey import survey

NOW_S = 4e9


@dataclass
class Home:
    """A home with a store, and no watcher unless one is asked for."""

    settings: Settings
    store: Store
    live: list[runvitals.Run] = field(default_factory=list)

    @property
    def journals(self) -> Path:
        return self.settings.journals

    def record(self, name: str = "a", *, rows: int = 20, finish: bool = True) -> Path:
        """Records a run of this process; its journal's folder."""
        run = runvitals.init(name=name, home=self.settings.home)
        for step in range(rows):
            run.log({"loss": 1.0 / (step + 1)}, step=step)
        if finish:
            run.finish()
        else:
            self.live.append(run)
        return self.journals / run.id

    def take_in(self, *, alive: bool | None = False, keep: bool = True) -> None:
        """What a watcher does in one go; with `keep` the journals stay, as where it was killed before it removed them."""
        saved = {path: path.read_bytes() for path in self.journals.glob("*/*.rvj")} if keep else {}
        watcher = Watcher(self.journals, self.store, alive=lambda info: alive)
        watcher.run_once(pause=lambda seconds: None)
        watcher.close()
        with sqlite3.connect(self.settings.home / "runvitals.db") as connection:
            connection.execute("DELETE FROM leases")  # as if its ten seconds were over
        for path, content in saved.items():
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                path.write_bytes(content)

    def sweep(self, **changes: Any) -> list[Line]:
        fields: dict[str, Any] = {"alive": lambda info: False, "now_s": NOW_S, **changes}
        return list(sweep(Sweep(store=self.store, home=self.settings.home, **fields)))

    def findings(self, **changes: Any) -> list[Finding]:
        fields: dict[str, Any] = {"alive": lambda info: False, "now_s": NOW_S, **changes}
        return list(examine(Examination(settings=self.settings, **fields)))

    def wrong(self, **changes: Any) -> list[str]:
        return [f"{one.part}: {one.text}" for one in self.findings(**changes) if one.level == "wrong"]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    place = tmp_path / "home"
    place.mkdir()
    settings = Settings(home=place, store=f"sqlite:///{place / 'runvitals.db'}")
    store = open_store(settings.store)
    home = Home(settings, store)
    yield home
    for run in home.live:
        run.finish()
    store.close()


def files(folder: Path) -> list[Path]:
    return journal.files(folder)


# ── deleting ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_run_does_not_come_back(home: Home) -> None:
    folder = home.record()
    home.take_in()
    assert files(folder)
    delete_run(home.store, home.journals, home.store.run(folder.name))
    assert not folder.exists()
    home.take_in(keep=False)
    assert home.store.runs() == []


def test_a_live_run_is_deleted_by_force_only(home: Home) -> None:
    folder = home.record(finish=False)
    home.take_in(alive=True)
    with pytest.raises(StoreError, match="--force"):
        delete_run(home.store, home.journals, home.store.run(folder.name))
    assert files(folder)
    delete_run(home.store, home.journals, home.store.run(folder.name), force=True)
    assert not folder.exists()
    assert home.store.runs() == []


def test_deleting_leaves_other_runs_alone(home: Home) -> None:
    first, second = home.record("a"), home.record("b")
    home.take_in()
    delete_run(home.store, home.journals, home.store.run(first.name))
    assert [run.id for run in home.store.runs()] == [second.name]
    assert files(second)


@pytest.mark.parametrize("run_id", ["../outside", "..", ".", "", "/etc", "a/b", "\x00"])
def test_an_id_that_is_no_folder_name_names_no_folder(home: Home, run_id: str) -> None:
    (home.settings.home / "outside").mkdir()
    home.journals.mkdir()
    assert journal_folder(home.journals, run_id) is None


# ── collecting ───────────────────────────────────────────────────────────────────────────────────────────────


def test_journals_of_an_ended_and_stored_run_go(home: Home) -> None:
    folder = home.record()
    home.take_in()
    (line,) = [line for line in home.sweep(dry_run=True) if line.what == "journals"]
    assert line.bytes == sum(path.stat().st_size for path in files(folder)) > 0
    assert not line.kept
    assert files(folder)
    assert [line for line in home.sweep() if line.what == "journals"] == [line]
    assert not folder.exists()
    assert home.store.read(folder.name, "loss").values.size == 20
    assert home.sweep() == []


def kept(lines: list[Line]) -> list[str]:
    return [line.kept for line in lines if line.kept]


def test_a_journal_that_the_store_lacks_something_of_stays(home: Home) -> None:
    folder = home.record()
    home.take_in()
    with sqlite3.connect(home.settings.home / "runvitals.db") as connection:
        connection.execute("UPDATE writers SET last_seq = last_seq - 1")
    assert kept(home.sweep()) == ["not taken in whole: runvitals watch --once"]
    assert files(folder)
    assert kept(home.sweep(older_than_s=1.0)) == ["not taken in whole: runvitals watch --once"] * 2
    assert home.store.run(folder.name)
    assert files(folder)


def test_a_writer_that_the_store_does_not_know_keeps_the_journals(home: Home) -> None:
    folder = home.record()
    home.take_in()
    with sqlite3.connect(home.settings.home / "runvitals.db") as connection:
        connection.execute("DELETE FROM writers")
    assert kept(home.sweep()) == ["not taken in whole: runvitals watch --once"]
    assert files(folder)


def test_a_damaged_journal_stays(home: Home) -> None:
    folder = home.record()
    home.take_in()
    damage(files(folder)[0])
    assert kept(home.sweep()) == ["damaged: see runvitals doctor"]
    assert files(folder)


def test_a_journal_whose_process_may_come_back_stays(home: Home) -> None:
    folder = home.record(finish=False)
    home.take_in(alive=False)
    assert home.store.run(folder.name).status == "crashed"
    assert kept(home.sweep(alive=lambda info: None)) == ["its process may still write"]
    assert kept(home.sweep(alive=lambda info: True)) == ["its process may still write"]
    assert files(folder)
    assert kept(home.sweep(alive=lambda info: False)) == []
    assert not folder.exists()


def test_a_live_run_is_never_touched(home: Home) -> None:
    folder = home.record(finish=False)
    home.take_in(alive=True)
    assert {line.where for line in home.sweep(older_than_s=0.0)} == {"store"}
    assert files(folder)
    assert home.store.run(folder.name)


def test_a_run_that_a_watcher_is_at_work_on_stays(home: Home) -> None:
    folder = home.record()
    home.take_in()
    home.store.lease(folder.name, "a watcher", time.time() + 60, time.time())
    assert kept(home.sweep()) == ["a watcher is at work on it and removes them itself"]
    assert files(folder)


def test_runs_that_ended_long_ago_go_only_when_asked(home: Home) -> None:
    folder = home.record()
    home.take_in()
    ended_s = home.store.run(folder.name).ended_s
    assert ended_s is not None
    home.sweep(now_s=ended_s + 100)
    assert home.store.run(folder.name)
    home.sweep(now_s=ended_s + 100, older_than_s=101)
    assert home.store.run(folder.name)
    assert "run" in [line.what for line in home.sweep(now_s=ended_s + 100, older_than_s=99, dry_run=True)]
    assert home.store.run(folder.name)
    home.sweep(now_s=ended_s + 100, older_than_s=99)
    assert home.store.runs() == []


def test_left_over_files_go_and_other_peoples_stay(home: Home) -> None:
    folder = home.record()
    home.take_in(keep=False)
    (home.settings.home / "archive").mkdir()
    mine = [home.settings.home / "archive" / "x.parquet.12.part", home.journals / f"{folder.name}{SUFFIX}.tmp"]
    theirs = [home.settings.home / "thesis.tmp", home.settings.home / "archive" / "film.part"]
    for path in (*mine, *theirs):
        path.write_bytes(b"12345")
    lines = home.sweep()
    assert sorted(line.bytes for line in lines if line.what == "temporary file") == [5, 5]
    assert not any(path.exists() for path in mine)
    assert all(path.exists() for path in theirs)
    mine[0].write_bytes(b"")
    fresh_s = mine[0].stat().st_mtime + 10
    assert home.sweep(now_s=fresh_s) == []
    assert mine[0].exists()


def test_journals_on_their_way_out_are_ended(home: Home) -> None:
    folder = home.record()
    home.take_in()
    (home.journals / f"{folder.name}{SUFFIX}").write_text(json.dumps([path.name for path in files(folder)]))
    assert "journals on their way out" in [line.what for line in home.sweep()]
    assert not folder.exists()


# ── examining ────────────────────────────────────────────────────────────────────────────────────────────────


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = len(content) // 2
    content[at : at + 10] = b"\xa5" * 10
    path.write_bytes(content)


def test_a_sound_home_has_nothing_wrong(home: Home) -> None:
    home.record()
    home.take_in()
    assert home.wrong() == []
    seen: list[tuple[int, int]] = []
    home.findings(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] >= 20


def test_a_missing_home_and_store_are_told(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "nowhere", store=f"sqlite:///{tmp_path / 'nowhere' / 'runvitals.db'}")
    wrong = [one for one in examine(Examination(settings=settings, now_s=NOW_S)) if one.level == "wrong"]
    assert [one.part for one in wrong] == ["home", "store"]
    assert all(one.do for one in wrong[:1])
    assert not (tmp_path / "nowhere").exists()


def test_a_newer_store_is_told(home: Home) -> None:
    with sqlite3.connect(home.settings.home / "runvitals.db") as connection:
        connection.execute("UPDATE runvitals_meta SET value = '99'")
    assert any("newer runvitals" in what for what in home.wrong())


def test_a_server_that_does_not_answer_is_told_and_journals_are_examined(home: Home) -> None:
    damage(files(home.record())[0])
    settings = Settings(home=home.settings.home, store="postgresql://u:hunter2@127.0.0.1:9/db")
    told = list(examine(Examination(settings=settings, now_s=NOW_S, alive=lambda info: False)))
    assert any(one.part == "store" and "does not answer" in one.text for one in told)
    assert any(one.part == "journals" and "offset" in one.text for one in told)
    assert "hunter2" not in str(told)


def test_damage_in_the_store_is_told_with_what_to_do(home: Home) -> None:
    home.record()
    home.take_in()
    with sqlite3.connect(home.settings.home / "runvitals.db") as connection:
        connection.execute("UPDATE blocks SET data = zeroblob(30)")
        connection.execute("INSERT INTO clocks (run_id, data) VALUES ('x', 'y')")
    wrong = [one for one in home.findings() if one.level == "wrong"]
    assert any("series 'loss'" in one.text for one in wrong)
    assert any("clocks of no block" in one.text and "gc" in one.do for one in wrong)


def test_damage_in_a_journal_is_told_with_file_and_offset(home: Home) -> None:
    folder = home.record()
    home.take_in()
    path = files(folder)[0]
    damage(path)
    assert any(str(path) in what and "offset" in what for what in home.wrong())


def test_a_foreign_file_among_the_journals_is_told(home: Home) -> None:
    folder = home.record()
    (folder / "x-1.rvj").write_bytes(b"GIF89a" * 10)
    assert any("x-1.rvj" in what and "expected a runvitals journal" in what for what in home.wrong())


def test_a_missing_record_is_a_gap(home: Home) -> None:
    folder = home.record(rows=5)
    (found,) = survey(folder, {})
    assert found.gaps == []
    path = files(folder)[0]
    path.write_bytes(cut_out(path.read_bytes()))
    (found,) = survey(folder, {})
    assert len(found.gaps) == 1
    home.take_in()
    assert any("are missing" in what for what in home.wrong())


def cut_out(content: bytes) -> bytes:
    """The journal without one of its rows, cut at record borders."""
    at, kinds = 8, []
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        kinds.append((content[at + 8], at, at + 8 + length))
        at += 8 + length
    _, start, stop = [one for one in kinds if one[0] == 3][2]
    return content[:start] + content[stop:]


def test_what_was_never_taken_in_is_told(home: Home) -> None:
    folder = home.record()
    assert any("nobody watches this run" in what for what in home.wrong())
    home.take_in()
    with sqlite3.connect(home.settings.home / "runvitals.db") as connection:
        connection.execute("UPDATE writers SET last_seq = 3")
    assert any(f"{folder.name}/" in what and "never taken in" in what for what in home.wrong())


def test_a_live_run_without_a_watcher_is_told_and_an_idle_home_is_not(home: Home) -> None:
    home.record(finish=False)
    home.take_in(alive=True)
    assert any("watchers: none is at work, 1 run is live" in what for what in home.wrong(alive=lambda info: True))
    beat = WatcherInfo(id="w", host="h", pid=1, started_s=0, pass_s=NOW_S - 1, behind_bytes=9, rules=1)
    home.store.watcher_beat(beat)
    assert home.wrong(alive=lambda info: True) == []
    ended = home.wrong(alive=lambda info: info.get("pid") != beat.pid)
    assert any("watchers: none is at work" in what for what in ended), "its pass is fresh, its process is gone"
    home.store.watcher_beat(WatcherInfo(**{**as_fields(beat), "message": "run x: odd"}))
    assert any("run x: odd" in what for what in home.wrong(alive=lambda info: True))


def as_fields(info: WatcherInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in WatcherInfo.__slots__}


def test_an_examination_that_is_left_half_way_closes_the_store(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.record()
    home.take_in()
    closed: list[Store] = []
    close = Store.close
    monkeypatch.setattr(Store, "close", lambda store: (closed.append(store), close(store)))
    found = examine(Examination(settings=home.settings, now_s=NOW_S, alive=lambda info: False))
    assert any(one.part == "store" for one in found), "it is left at the store's first finding"
    del found
    assert len(closed) == 1
