"""Runs as pandas tables, for notebooks and scripts: `runvitals.open()`. It only reads; nothing here changes a run or a store.

with runvitals.open() as store:
    print(store.runs(latest=["loss"]))
    history = store.run("dpo-7b").history(["loss", "grad_norm"])
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from runvitals.arguments import check, listed
from runvitals.diagnostics.rules.definition import counted
from runvitals.errors import SettingsError, StoreError
from runvitals.run_view import RunView, alerts_of
from runvitals.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    # Only for types: `import runvitals`, and with it a training process, stays free of numpy and pandas.
    from runvitals.store.store import Store


def open(url_or_home: str | Path | None = None) -> StoreView:
    """The store at a URL, a home folder or a `.db` file, to read from; without an argument that of the environment.

    Nothing is ever made or changed: where there is no store, or one of an older version, it says so. Raises StoreError and its kinds
    (ForeignStore, NewerStore, StoreUnreachable), and SettingsError for a URL of another kind or missing libraries.
    """
    try:
        import pandas  # noqa: F401 - so that what is missing is told here and not at the first table

        from runvitals.store.open import open_store
    except ImportError as error:
        raise SettingsError(
            f"runvitals.open: expected the libraries that read a store, {error.name} is missing; pip install 'runvitals[dashboard]'"
        ) from error
    return StoreView(open_store(_url(url_or_home), create=False, migrate=False))


def _url(url_or_home: str | Path | None) -> str:
    """The URL of the store that is meant."""
    if url_or_home is None:
        settings = Settings.from_environment()
        if settings.store == f"sqlite:///{settings.home / 'runvitals.db'}":
            return _url(settings.home)
        return settings.store
    if isinstance(url_or_home, str) and "://" in url_or_home:
        return url_or_home
    path = Path(url_or_home).expanduser().absolute()
    if path.is_file() or (path.suffix == ".db" and not path.is_dir()):
        return f"sqlite:///{path}"
    file = path / "runvitals.db"
    if not file.exists():
        journals = path / "journal"
        waiting = sum(1 for folder in journals.iterdir() if folder.is_dir()) if journals.is_dir() else 0
        hint = (
            f"the journals of {counted(waiting, 'run')} wait there: `runvitals watch --once --home {path}` takes them in"
            if waiting
            else "start a run and `runvitals watch`, or name another folder, a .db file or a URL"
        )
        raise StoreError(f"{path}: no store there yet; {hint}")
    return f"sqlite:///{file}"


class StoreView:
    """A store to read from: its runs and alerts as tables. Made by `runvitals.open`; may be used from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        told = store.describe()
        self._kind, self._place = str(told["kind"]), str(told["place"])

    def __enter__(self) -> StoreView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; what was read stays."""
        self._store.close()

    def runs(
        self,
        *,
        project: str | Collection[str] | None = None,
        trainer: str | Collection[str] | None = None,
        status: str | Collection[str] | None = None,
        health: str | Collection[str] | None = None,
        latest: str | Sequence[str] = (),
    ) -> pd.DataFrame:
        """A row a run, newest first, indexed by id; of the project, trainer, status or health that is named, if one is.

        Columns: project, name, trainer, status, health, finding, alerts (firing), created, ended, last_step, last_step_time, max_steps,
        `config.<key>` for each setting of any run, and `latest.<key>` with the newest value of each key in `latest` (NaN where a run
        has none). Raises SettingsError for a status or health that there is not.
        """
        from runvitals.listings import runs_table
        from runvitals.store.types import Health, Status

        check("status", status, get_args(Status))
        check("health", health, get_args(Health))
        wanted = {"project": project, "trainer": trainer, "status": status, "health": health}
        keys = listed(latest)
        found = [
            run
            for run in self._store.runs(latest=keys)
            if all(names is None or getattr(run, field) in listed(names) for field, names in wanted.items())
        ]
        return runs_table(found, latest=keys)

    def run(self, id_or_name: str) -> RunView:
        """The run with this id, this name, or an id or a name that begins so. Raises UnknownRun where none or several do."""
        from runvitals.lookup import found_run

        return RunView(self._store, found_run(id_or_name, self._store.runs()))

    def alerts(self, *, state: str | Collection[str] | None = None) -> pd.DataFrame:
        """A row an alert of any run, the newest onset first; of this state (pending, firing, resolved), if one is named.

        Columns: run, run_name, rule, signal, severity, state, title, sentence, onset_step, onset, fired_step, fired, resolved_step,
        resolved, causes and remedies (lists of texts, likeliest or best first), incident, acknowledged, muted_until, feedback, detail.
        """
        return alerts_of(self._store, state, run_id=None)

    def __repr__(self) -> str:
        return f"<runvitals store, {self._kind}, {self._place}>"

    def _repr_html_(self) -> str:
        from runvitals.listings import facts_html

        told = self._store.describe()
        facts = {"store": f"{self._kind}, {self._place}", "runs": f"{told['runs']:,}", "points": f"{told['points']:,}"}
        return facts_html(facts)
