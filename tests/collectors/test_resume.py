"""Which run a process goes on with, and how several processes come to write the same one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runvitals.collectors import face
from runvitals.collectors.options import Options
from runvitals.errors import SettingsError

QUIET = Options(sample=False, heartbeat_s=1000.0)


def test_a_resumed_run_is_the_run_of_that_id_by_another_writer(tmp_path: Path, told: Callable[[Path], Any]) -> None:
    first = face.init("p", "n", home=tmp_path, options=QUIET)
    first.log({"loss": 1}, step=1)
    second = face.init(resume=first.id, home=tmp_path, options=QUIET)
    second.log({"loss": 2}, step=2)
    face.finish()
    assert (second.id, second.path) == (first.id, first.path)
    say = told(first.path)
    assert sorted(start.resumed for start in say.starts) == [False, True]
    assert sorted(step for step, _ in say.training) == [1, 2]


def test_a_run_that_nobody_knows_begins_under_its_id(tmp_path: Path) -> None:
    run = face.init("p", resume="my first run", home=tmp_path, options=QUIET)
    face.finish()
    assert run.path == tmp_path / "journal" / "my first run" and run.path.is_dir()


@pytest.mark.parametrize(
    "odd",
    ["../evil", "a/b", "..", "", "/abs", "a\\b", "x" * 200, "a\0b", "a\nb", " a", True, 7, Path("a"), "allow", "must"],
)
def test_what_cannot_be_a_run_is_refused_with_the_setting_that_named_it(
    tmp_path: Path, odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="resume: expected the id of a run"):
        face.init(resume=odd, home=tmp_path, options=QUIET)
    with pytest.raises(SettingsError, match="run_id: expected"):
        Options(run_id=odd)
    if isinstance(odd, str) and odd and "\0" not in odd:
        monkeypatch.setenv("RUNVITALS_RUN_ID", odd)
        with pytest.raises(SettingsError, match="RUNVITALS_RUN_ID: expected"):
            face.init(home=tmp_path, options=QUIET)
    assert not (tmp_path / "journal").exists()


def test_two_ids_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="resume"):
        face.init(resume="a", home=tmp_path, options=Options(run_id="b"))


def test_the_launchers_id_is_for_the_first_run_and_numbers_those_that_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face, "_launched", 0)
    monkeypatch.setenv("RUNVITALS_RUN_ID", "job-7")
    ids = [face.init(home=tmp_path, options=QUIET).id for _ in range(3)]
    ids.append(face.init(home=tmp_path, resume="other", options=QUIET).id)
    face.finish()
    assert ids == ["job-7", "job-7-2", "job-7-3", "other"]


def test_ranks_that_a_launcher_starts_write_one_run_and_say_who_they_are(
    tmp_path: Path, told: Callable[[Path], Any]
) -> None:
    code = """
import runvitals
run = runvitals.init("p", "ranks")
for step in range(50):
    run.log({"loss": step}, step=step)
run.finish()
"""
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "RUNVITALS_HOME": str(tmp_path),
                "RUNVITALS_RUN_ID": "job-7",
                "RANK": str(rank),
                "LOCAL_RANK": str(rank % 2),
                "WORLD_SIZE": "4",
            },
        )
        for rank in range(4)
    ]
    assert [rank.wait(timeout=60) for rank in ranks] == [0, 0, 0, 0]
    say = told(tmp_path / "journal" / "job-7")
    infos = sorted((start.info["rank"], start.info["local_rank"], start.info["world_size"]) for start in say.starts)
    assert infos == [(0, 0, 4), (1, 1, 4), (2, 0, 4), (3, 1, 4)]
    assert all(start.info["host"] for start in say.starts)
    assert sorted(step for step, _ in say.training) == sorted(list(range(50)) * 4)
