"""Runs as pandas tables, for notebooks and scripts: `runvitals.open()`. It only reads; nothing here changes a run or a store.

with runvitals.open() as store:
    print(store.runs(latest=["loss"]))
    history = store.run("dpo-7b").history(["loss", "grad_norm"])
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from runvitals.diagnostics.rules.definition import counted
from runvitals.errors import SettingsError, StoreError
from runvitals.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    # Only for types: `import runvitals`, and with it a training process, stays free of numpy and pandas.
    from runvitals.history import Ranks
    from runvitals.store.store import Store
    from runvitals.store.types import Axis, Generation, Latest, RunInfo


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

        _check("status", status, get_args(Status))
        _check("health", health, get_args(Health))
        wanted = {"project": project, "trainer": trainer, "status": status, "health": health}
        keys = _listed(latest)
        found = [
            run
            for run in self._store.runs(latest=keys)
            if all(names is None or getattr(run, field) in _listed(names) for field, names in wanted.items())
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
        return _alerts(self._store, state, run_id=None)

    def __repr__(self) -> str:
        return f"<runvitals store, {self._kind}, {self._place}>"

    def _repr_html_(self) -> str:
        told = self._store.describe()
        facts = {"store": f"{self._kind}, {self._place}", "runs": f"{told['runs']:,}", "points": f"{told['points']:,}"}
        return _html(facts)


class RunView:
    """One run to read from. What it says of itself is as of when it was asked for; series, events and alerts are read anew each time.

    A method raises UnknownRun where the run was deleted meanwhile.
    """

    def __init__(self, store: Store, info: RunInfo) -> None:
        self._store = store
        self._info = info

    @property
    def id(self) -> str:
        """The id that the run keeps for good."""
        return self._info.id

    @property
    def name(self) -> str:
        """The run's name; several runs may have the same."""
        return self._info.name

    @property
    def info(self) -> RunInfo:
        """All that the store says of the run: status, health, times in seconds since 1970, rules and their states."""
        return self._info

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's settings as they were given, nested as they were."""
        return self._info.config

    def keys(self) -> dict[str, Latest]:
        """Every series by name, with its newest point, extremes and number of points."""
        return self._store.keys(self.id)

    def history(
        self,
        keys: str | Sequence[str] | None = None,
        *,
        samples: int | None = None,
        axis: Axis = "step",
        start: float | Any = None,
        stop: float | Any = None,
        generation: Generation = "current",
        ranks: Ranks | None = None,
    ) -> pd.DataFrame:
        """A row a step, a column a key: (n, len(keys)) float64, indexed by step, or by UTC time or tokens as `axis` says.

        keys: names, or patterns with `*`; without any, all series that have points on the axis, except those of other processes (rank/<r>/…).
        samples: at most so many rows (5 or more), which still show every spike, NaN and Inf; values are real, steps shifted a little.
        start, stop: both included, in units of the axis; on the time axis seconds since 1970 or what pandas.Timestamp takes.
        generation: "current" leaves out steps that a resumed run did anew, "superseded" gives only those.
        ranks: merges each key with the series that other processes logged under rank/<r>/<key>; None leaves them apart.

        NaN and Inf are kept; a logged None, and a step at which a key was not logged, read as NaN (`nonfinite` tells them apart).
        Of several values of a key at one step the last that was logged counts; the time axis has them all.
        Raises UnknownKey, UnknownRun, and SettingsError for arguments that there are not, or a table of all keys that is too large.
        """
        from runvitals.history import Asked, Ranks, history
        from runvitals.lookup import all_keys, chosen_keys
        from runvitals.store.types import Axis

        _check("axis", axis, get_args(Axis))
        _check("generation", generation, ("current", "superseded"))
        _check("ranks", ranks, get_args(Ranks))
        known = self.keys()
        if keys is None:
            wanted = all_keys(known if axis == "time" else self._store.stepped_keys(self.id))
        else:
            wanted = chosen_keys(known, _listed(keys), merging=ranks is not None)
        asked = Asked(
            axis=axis,
            start=_edge(start, axis),
            stop=_edge(stop, axis),
            generation=generation,
            ranks=ranks,
            samples=samples,
            limited=keys is None,
        )
        return history(self._store, self.id, wanted, asked)

    def nonfinite(self, keys: str | Sequence[str] | None = None) -> pd.DataFrame:
        """A row a logged NaN, Inf, -Inf or None, superseded ones too, in order of time: time, step, key, kind (nan, +inf, -inf, none)."""
        from runvitals.collectors.records import NONE_BITS
        from runvitals.listings import nonfinite_table
        from runvitals.lookup import chosen_keys

        known = self.keys()
        wanted = list(known) if keys is None else chosen_keys(known, _listed(keys), merging=False)
        odd = [key for key in wanted if known[key].nonfinite]
        return nonfinite_table(self._store.read_many(self.id, odd, axis="time", generation="all"), NONE_BITS)

    def events(self, kinds: str | Collection[str] | None = None) -> pd.DataFrame:
        """A row an event, in order of arrival: time, step, kind, data (a dict); of these kinds, if any is named."""
        from runvitals.listings import events_table

        found = self._store.events(self.id, kinds=None if kinds is None else _listed(kinds))
        if not found:
            self._store.run(self.id)  # raises where the run is gone: no events is no sign of that
        return events_table(found)

    def alerts(self, *, state: str | Collection[str] | None = None) -> pd.DataFrame:
        """A row an alert of this run, the newest onset first; columns as `StoreView.alerts` has them."""
        return _alerts(self._store, state, run_id=self.id)

    def __repr__(self) -> str:
        return f"<runvitals run {self.name!r}, {self.id}, {self._info.status}, {self._info.health}>"

    def _repr_html_(self) -> str:
        info = self._info
        facts = {
            "run": f"{info.name} ({info.id})",
            "project": info.project,
            "status": f"{info.status}, {info.health}",
            "finding": info.finding,
            "last step": "" if info.last_step is None else f"{info.last_step:,}",
        }
        return _html(facts)


def _alerts(store: Store, state: str | Collection[str] | None, *, run_id: str | None) -> pd.DataFrame:
    """The alerts of a run or of all. Raises SettingsError for a state that there is not, and UnknownRun."""
    from runvitals.listings import alerts_table

    _check("state", state, ("pending", "firing", "resolved"))
    runs = store.runs() if run_id is None else [store.run(run_id)]
    found = store.alerts(run_id=run_id, states=None if state is None else _listed(state))
    return alerts_table(found, {run.id: run.name for run in runs})


def _listed(names: str | Collection[str]) -> list[str]:
    """One name or several as a list."""
    return [names] if isinstance(names, str) else list(names)


def _check(argument: str, given: str | Collection[str] | None, legal: Collection[str]) -> None:
    """Raises SettingsError where an argument is none of the legal ones; None is one that was not given."""
    wrong = [] if given is None else [one for one in _listed(given) if one not in legal]
    if wrong:
        raise SettingsError(f"{argument}: expected one of {', '.join(legal)}; got {', '.join(map(repr, wrong))}")


def _edge(edge: Any, axis: Axis) -> float | None:
    """An end of a range as the store takes it. Raises SettingsError where it is no number or, on the time axis, no time."""
    if edge is None:
        return None
    try:
        if isinstance(edge, int | float):
            number = float(edge)
        elif axis != "time":
            number = float(edge)  # numpy's numbers
        else:
            import pandas as pd

            moment = pd.Timestamp(edge)
            number = (moment.tz_localize("UTC") if moment.tzinfo is None else moment).timestamp()
    except (TypeError, ValueError) as error:
        raise SettingsError(f"start or stop: expected a number, or a time on the time axis; got {edge!r}") from error
    if number != number:
        raise SettingsError("start or stop: expected a number, got NaN")
    return number


def _html(facts: Mapping[str, str]) -> str:
    """A small table. Everything is escaped: names come from whoever logged the run."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items() if text)
    return f"<table>{rows}</table>"
