"""Opening a store to read, and its runs, events and alerts as tables; on both databases."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

import runvitals
from runvitals.errors import ForeignStore, NewerStore, SettingsError, StoreError, UnknownRun
from runvitals.notebook import StoreView
from runvitals.settings import checked_store_url
from runvitals.store import Store, open_store
from runvitals.store.types import AlertRow, EventRow

FIRING = AlertRow(
    id="run:loss_spike:loss:1",
    run_id="run",
    rule="loss_spike",
    signal="loss",
    severity="warning",
    state="firing",
    incident="run:loss_spike:loss:1",
    onset_step=90,
    onset_s=90.0,
    fired_step=100,
    fired_s=100.5,
    resolved_step=None,
    resolved_s=None,
    detail={
        "title": "Loss spike",
        "sentence": "The loss rose.",
        "causes": [{"text": "bad batch", "likelihood": "likely"}, {"text": "rate too high"}],
        "remedies": [{"text": "lower the rate", "detail": "", "source": "", "url": ""}],
    },
)


@pytest.fixture
def view(store: Store, store_url: str) -> Iterator[StoreView]:
    with runvitals.open(store_url) as opened:
        yield opened


def started(run_id: str, **changes: Any) -> dict[str, Any]:
    start = {"project": "demo", "name": run_id, "config": {}, "info": {}, "time_s": 1000.0, **changes}
    return {"run_id": run_id, "start": start}


def test_a_run_is_a_row_with_its_settings_and_newest_values(
    store: Store, view: StoreView, batch_of: Any, points_of: Any
) -> None:
    first = started("a", time_s=1000.5, config={"lr": 1e-4, "model": {"layers": 4, "empty": {}}, "betas": [0.9, 0.95]})
    store.append(batch_of({"loss": points_of([3.0, 2.0])}, **first))
    store.append(batch_of({"loss": points_of([math.inf])}, **started("b", time_s=2000.0, config={"seed": 7})))
    store.set_run("a", status="finished", ended_s=1500.25, last_step=1, last_step_s=1001.0)
    table = view.runs(latest=["loss", "none"])
    assert table.index.tolist() == ["b", "a"]
    row = table.loc["a"]
    assert (row["project"], row["name"], row["status"], row["health"]) == ("demo", "a", "finished", "unknown")
    assert row["created"] == pd.Timestamp(1000.5, unit="s", tz="UTC")
    assert row["ended"] == pd.Timestamp(1500.25, unit="s", tz="UTC")
    assert row["last_step"] == 1
    assert (row["config.lr"], row["config.model.layers"], row["config.model.empty"]) == (1e-4, 4, {})
    assert row["config.betas"] == [0.9, 0.95]
    assert row["latest.loss"] == 2.0
    other = table.loc["b"]
    assert pd.isna(other["ended"])
    assert pd.isna(other["max_steps"])
    assert pd.isna(other["config.lr"])
    assert other["latest.loss"] == math.inf
    assert table["latest.none"].isna().all()


def test_runs_are_chosen_by_what_they_are(store: Store, view: StoreView, batch_of: Any) -> None:
    for run_id, project, status in (("a", "p", "finished"), ("b", "p", "crashed"), ("c", "q", "finished")):
        store.append(batch_of(**started(run_id, project=project)))
        store.set_run(run_id, status=status, trainer="dpo" if run_id == "a" else "sft", health="healthy")
    assert sorted(view.runs(project="p").index) == ["a", "b"]
    assert sorted(view.runs(project=["p", "q"], status="finished").index) == ["a", "c"]
    assert view.runs(trainer="dpo", health="healthy").index.tolist() == ["a"]
    assert view.runs(project="none").empty
    assert list(view.runs(project="none").columns)[:3] == ["project", "name", "trainer"]
    with pytest.raises(SettingsError, match=r"status: expected one of starting, .*; got 'done'"):
        view.runs(status="done")
    with pytest.raises(SettingsError, match="health"):
        view.runs(health="fine")


def test_a_run_is_found_by_id_name_or_how_they_begin(store: Store, view: StoreView, batch_of: Any) -> None:
    for run_id, name in (("20250101-aa", "dpo"), ("20250102-bb", "dpo-7b"), ("20250102-cc", "twin"), ("x", "twin")):
        store.append(batch_of(**started(run_id, name=name)))
    assert view.run("20250101-aa").name == "dpo"
    assert view.run("dpo").id == "20250101-aa"
    assert view.run("20250101").id == "20250101-aa"
    assert view.run("dpo-").id == "20250102-bb"
    with pytest.raises(UnknownRun, match=r"'twin': 2 runs have it, .*20250102-cc \(twin\)"):
        view.run("twin")
    with pytest.raises(UnknownRun, match="2 runs have it"):
        view.run("20250102")
    with pytest.raises(UnknownRun, match=r"near it are 20250102-bb \(dpo-7b\)"):
        view.run("dpo_7b")
    for nothing in ("zzz", ""):
        with pytest.raises(UnknownRun, match="no such run; its newest are"):
            view.run(nothing)


def test_an_empty_store_has_no_runs(view: StoreView) -> None:
    assert view.runs().empty
    assert view.alerts().empty
    with pytest.raises(UnknownRun, match="no run yet"):
        view.run("any")


def test_events_are_rows_in_order_of_arrival(store: Store, view: StoreView, batch_of: Any) -> None:
    rows = [
        EventRow(run_id="run", writer_id="writer", seq=1, time_s=5.0, step=None, kind="eval", data={"a": [1]}),
        EventRow(run_id="run", writer_id="writer", seq=2, time_s=4.0, step=3, kind="checkpoint", data={"path": "x"}),
    ]
    store.append(batch_of(events=rows))
    table = view.run("run").events()
    assert table["kind"].tolist() == ["eval", "checkpoint"]
    assert pd.isna(table["step"].iloc[0])
    assert table["step"].iloc[1] == 3
    assert table["data"].tolist() == [{"a": [1]}, {"path": "x"}]
    assert table["time"].iloc[1] == pd.Timestamp(4, unit="s", tz="UTC")
    assert view.run("run").events("checkpoint")["kind"].tolist() == ["checkpoint"]


def test_alerts_say_when_why_and_what_to_try(store: Store, view: StoreView, batch_of: Any) -> None:
    store.append(batch_of())
    store.append(batch_of(**started("other")))
    resolved = replace(FIRING, id="other:x:loss:1", run_id="other", state="resolved", resolved_step=7, resolved_s=140.0)
    bare = replace(resolved, id="other:y:loss:1", rule="bare", onset_s=1.0, detail={})
    store.put_alerts([FIRING, resolved, bare])
    row = view.run("run").alerts().loc[FIRING.id]
    assert (row["rule"], row["severity"], row["state"], row["title"]) == (
        "loss_spike",
        "warning",
        "firing",
        "Loss spike",
    )
    assert (row["onset_step"], row["fired_step"]) == (90, 100)
    assert row["fired"] == pd.Timestamp(100.5, unit="s", tz="UTC")
    assert pd.isna(row["resolved"])
    assert pd.isna(row["resolved_step"])
    assert row["causes"] == ["bad batch", "rate too high"]
    assert row["remedies"] == ["lower the rate"]
    assert sorted(view.alerts()["run_name"]) == ["other", "other", "run"]
    assert view.alerts(state="resolved")["title"].tolist() == ["Loss spike", "bare"]
    with pytest.raises(SettingsError, match="state"):
        view.alerts(state="open")


def test_what_a_notebook_shows_of_names_is_text(store: Store, view: StoreView, batch_of: Any) -> None:
    store.append(batch_of(**started("evil", name="<script>alert(1)</script>", project="a&b")))
    shown = view.run("evil")._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "a&amp;b" in shown
    assert "<td>1</td>" in view._repr_html_()
    assert "evil" in repr(view.run("evil"))


def test_a_store_is_read_and_not_changed(tmp_path: Path, batch_of: Any, points_of: Any) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'runvitals.db'}")
    store.append(batch_of({"loss": points_of([1.0])}))
    before = store.revisions()
    for place in (tmp_path, str(tmp_path), tmp_path / "runvitals.db", f"sqlite:///{tmp_path / 'runvitals.db'}"):
        with runvitals.open(place) as view:
            assert view.runs().index.tolist() == ["run"]
            view.run("run").history()
            assert not {name for name in dir(view) if "delete" in name or "append" in name or name.startswith("set")}
    assert store.revisions() == before
    store.close()


def test_the_store_of_the_environment_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_of: Any
) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'team.db'}")
    store.append(batch_of())
    store.close()
    monkeypatch.setenv("RUNVITALS_STORE", f"sqlite:///{tmp_path / 'team.db'}")
    with runvitals.open() as view:
        assert view.runs()["name"].tolist() == ["run"]


def test_where_there_is_no_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    for place in (tmp_path / "nowhere", tmp_path / "nowhere.db", empty, tmp_path, None):
        with pytest.raises(StoreError, match="no store there yet"):
            runvitals.open(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db"]
    assert empty.stat().st_size == 0


def test_journals_that_wait_are_said(tmp_path: Path) -> None:
    run = runvitals.init(name="waiting", home=tmp_path)
    run.finish()
    with pytest.raises(StoreError, match="the journals of 1 run wait there: `runvitals watch --once --home"):
        runvitals.open(tmp_path)


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    diary = tmp_path / "diary.db"
    diary.write_bytes(b"dear diary" * 100)
    with pytest.raises(ForeignStore, match=r"diary\.db"):
        runvitals.open(diary)
    assert diary.read_bytes() == b"dear diary" * 100


@pytest.mark.parametrize(("version", "error", "message"), [(99, NewerStore, "newer"), (1, StoreError, "watch --once")])
def test_another_version_is_named_and_not_migrated(
    store: Store, store_url: str, version: int, error: type[StoreError], message: str
) -> None:
    engine = create_engine(checked_store_url(store_url))
    change = text(f"UPDATE runvitals_meta SET value = '{version}' WHERE key = 'schema_version'")
    with engine.begin() as connection:
        connection.execute(change)
    with pytest.raises(error, match=message):
        runvitals.open(store_url)
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT value FROM runvitals_meta WHERE key = 'schema_version'")).scalar()
    engine.dispose()
    assert stored == str(version)


def test_a_url_of_another_kind_tells_no_password() -> None:
    with pytest.raises(SettingsError) as caught:
        runvitals.open("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_the_face_is_reached_without_pandas() -> None:
    code = "import runvitals, sys; runvitals.open; print({'numpy', 'pandas', 'sqlalchemy'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "set()"
