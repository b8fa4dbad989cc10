"""A store of an earlier version is brought to this one, once, with all that it held; a newer one is left alone."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from runvitals.settings import checked_store_url
from runvitals.store import open_store
from runvitals.store.migrations.upgrade import VERSION_TABLE
from runvitals.store.schema import SCHEMA_VERSION, metadata

OPEN = "import sys; from runvitals.store import open_store; print(open_store(sys.argv[1]).describe()['schema_version'])"


def made_at(url: str, revision: str) -> Engine:
    """A database with the tables of an earlier version."""
    engine = create_engine(checked_store_url(url))
    config = Config()
    config.set_main_option("script_location", "runvitals.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(text("INSERT INTO runvitals_meta VALUES ('schema_version', :v)"), {"v": str(int(revision))})
    return engine


def as_before_alembic(url: str) -> Engine:
    """A store as it was before Alembic kept the versions, with a run of three points."""
    engine = made_at(url, "0001")
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        connection.execute(
            text(
                "INSERT INTO runs VALUES ('run', 0, 'p', 'n', 'dpo', 'running', 'train', 'unknown', 1.0, NULL, NULL, 7, 1.0,"
                " NULL, 0, '{}', '{}', '[]', '', 0, 1)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO series (run_id, key, step, time_s, value_bits, best_min, best_max, count, nonfinite,"
                " min_step, max_step, min_time_s, max_time_s)"
                " VALUES ('run', 'loss', 7, 1.0, 0, 0, 0, 3, 0, 5, 7, 1.0, 1.0)"
            )
        )
    return engine


def test_the_migrations_lead_to_the_tables_that_the_code_uses(store_url: str) -> None:
    open_store(store_url).close()
    engine = create_engine(checked_store_url(store_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == f"{SCHEMA_VERSION:04}"
    engine.dispose()


def test_a_store_from_before_keeps_what_it_held_and_takes_more(store_url: str, batch_of: Any, points_of: Any) -> None:
    as_before_alembic(store_url).dispose()
    store = open_store(store_url)
    assert store.run("run").last_step == 7
    assert store.keys("run")["loss"].count == 3
    store.append(batch_of({"other": points_of([1.0, 2.0])}))
    assert store.read("run", "other").values.tolist() == [1.0, 2.0]
    assert store.describe()["schema_version"] == SCHEMA_VERSION
    store.close()
    engine = create_engine(checked_store_url(store_url))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT last_step, last_writer FROM series WHERE key = 'loss'")).one() == (7, "")
    engine.dispose()


@pytest.mark.parametrize("before", [None, as_before_alembic])
def test_processes_that_open_a_store_at_once_migrate_it_once(store_url: str, before: Any) -> None:
    if before is not None:
        before(store_url).dispose()
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, store_url], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == [str(SCHEMA_VERSION)] * 4
    engine = create_engine(checked_store_url(store_url))
    assert VERSION_TABLE in inspect(engine).get_table_names()
    engine.dispose()


def test_a_store_that_lacks_nothing_is_opened_without_alembic(store_url: str) -> None:
    open_store(store_url).close()
    script = OPEN + "; assert 'alembic' not in sys.modules, 'Alembic was imported'"
    done = subprocess.run([sys.executable, "-c", script, store_url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


TOLD = hashlib.blake2b(b"slack://secret", digest_size=16).hexdigest()
"""The receiver slack://secret as the store names it."""


def at_version_3(url: str) -> Engine:
    """A store of version 3 with a run, two alerts of which one is muted, a told receiver and a watcher."""
    engine = made_at(url, "0003")
    alert = (
        "INSERT INTO alerts (id, run_id, rule, signal, severity, state, incident, onset_s, detail, acknowledged_note, muted_until_s,"
        " feedback, ticked, history) VALUES (:id, 'run', 'loss_spike', 'loss', 'warning', 'firing', :id, 50.0, '{}', 'seen', :until,"
        " 'helpful', '[1]', '[]')"
    )
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO runs VALUES ('run', 0, 'p', 'n', 'dpo', 'finished', 'train', 'unknown', 1.0, 9.0, NULL, 7, 1.0,"
                " NULL, 0, '{\"lr\": 1}', '{}', '[]', '', 0, 5)".replace(": 1", "\\: 1")
            )
        )
        for row in ({"id": "run:a", "until": 4600.0}, {"id": "run:b", "until": None}):
            connection.execute(text(alert), row)
        connection.execute(text(f"INSERT INTO notifications VALUES ('run:a', 'firing', '{TOLD}')"))
        connection.execute(text("INSERT INTO watchers VALUES ('w', 'h', 1, 1.0, 2.0, 0, 40, '')"))
        connection.execute(text("INSERT INTO notes VALUES (1, 'run', 3.0, NULL, 'hello')"))
    return engine


def test_a_store_of_version_3_keeps_its_mutes_and_answers(store_url: str) -> None:
    at_version_3(store_url).dispose()
    store = open_store(store_url)
    run = store.run("run")
    assert (run.tags, run.group, run.description, run.archived_s, run.delete_after_s) == ([], "", "", None, None)
    assert (dict(run.config), run.revision, [note.text for note in store.notes("run")]) == ({"lr": 1}, 5, ["hello"])
    muted, other = store.alerts(ids=["run:a"]) + store.alerts(ids=["run:b"])
    assert (muted.muted_until_s, other.muted_until_s) == (4600.0, None)
    assert (muted.acknowledged_note, muted.acknowledged_by, muted.feedback) == ("seen", "", "helpful")
    (mute,) = store.mutes()
    assert (mute.alert_id, mute.run_id, mute.since_s, mute.until_s) == ("run:a", "run", 50.0, 4600.0)
    assert store.told("run", "slack://secret") == {("run:a", "firing"): None}, "told, but that version kept no time"
    assert [watcher.receivers for watcher in store.watchers()] == [[]]
    store.delete_run("run")
    assert store.mutes() == []
    store.close()


def test_both_ways_to_this_version_take_the_same_rows(store_url: str, batch_of: Any) -> None:
    at_version_3(store_url).dispose()
    store = open_store(store_url)
    store.append(batch_of(run_id="new"))
    store.tag_runs(["run", "new"], add=["β"])
    assert {run.id: list(run.tags) for run in store.runs()} == {"run": ["β"], "new": ["β"]}
    store.close()


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from runvitals.store import open_store
import runvitals.store.migrations.upgrade  # imported once, before the children are made

def child(last):
    done = 0
    def count(*_):
        nonlocal done
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    open_store(sys.argv[1])
    os._exit(0)

number, code = 0, -signal.SIGKILL
while code == -signal.SIGKILL:
    number += 1
    pid = os.fork()
    if pid == 0:
        child(number)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(code, number)
"""


def test_a_migration_killed_at_any_of_its_statements_is_done_whole_by_the_next(store_url: str) -> None:
    at_version_3(store_url).dispose()
    done = subprocess.run([sys.executable, "-c", KILLED, store_url], capture_output=True, text=True, timeout=120)
    code, statements = map(int, done.stdout.split())
    assert code == 0, done.stderr
    assert statements > 15, "it was hardly killed"
    store = open_store(store_url)
    assert store.describe()["schema_version"] == SCHEMA_VERSION
    assert [(mute.alert_id, mute.until_s) for mute in store.mutes()] == [("run:a", 4600.0)]
    assert {row.id: row.muted_until_s for row in store.alerts()} == {"run:a": 4600.0, "run:b": None}
    store.close()
