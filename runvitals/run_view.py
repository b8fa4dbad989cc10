"""One run as pandas tables: its series, events and alerts, as `StoreView.run` gives it. It only reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from runvitals.arguments import check, edge, listed

if TYPE_CHECKING:
    import pandas as pd

    from runvitals.history import Ranks
    from runvitals.store.store import Store
    from runvitals.store.types import Axis, Generation, Latest, RunInfo


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

        check("axis", axis, get_args(Axis))
        check("generation", generation, ("current", "superseded"))
        check("ranks", ranks, get_args(Ranks))
        known = self.keys()
        if keys is None:
            wanted = all_keys(known if axis == "time" else self._store.stepped_keys(self.id))
        else:
            wanted = chosen_keys(known, listed(keys), merging=ranks is not None)
        asked = Asked(
            axis=axis,
            start=edge(start, axis),
            stop=edge(stop, axis),
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
        wanted = list(known) if keys is None else chosen_keys(known, listed(keys), merging=False)
        odd = [key for key in wanted if known[key].nonfinite]
        return nonfinite_table(self._store.read_many(self.id, odd, axis="time", generation="all"), NONE_BITS)

    def events(self, kinds: str | Collection[str] | None = None) -> pd.DataFrame:
        """A row an event, in order of arrival: time, step, kind, data (a dict); of these kinds, if any is named."""
        from runvitals.listings import events_table

        found = self._store.events(self.id, kinds=None if kinds is None else listed(kinds))
        if not found:
            self._store.run(self.id)  # raises where the run is gone: no events is no sign of that
        return events_table(found)

    def alerts(self, *, state: str | Collection[str] | None = None) -> pd.DataFrame:
        """A row an alert of this run, the newest onset first; columns as `StoreView.alerts` has them."""
        return alerts_of(self._store, state, run_id=self.id)

    def __repr__(self) -> str:
        return f"<runvitals run {self.name!r}, {self.id}, {self._info.status}, {self._info.health}>"

    def _repr_html_(self) -> str:
        from runvitals.listings import facts_html

        info = self._info
        facts = {
            "run": f"{info.name} ({info.id})",
            "project": info.project,
            "status": f"{info.status}, {info.health}",
            "finding": info.finding,
            "last step": "" if info.last_step is None else f"{info.last_step:,}",
        }
        return facts_html(facts)


def alerts_of(store: Store, state: str | Collection[str] | None, *, run_id: str | None) -> pd.DataFrame:
    """The alerts of a run or of all. Raises SettingsError for a state that there is not, and UnknownRun."""
    from runvitals.listings import alerts_table

    check("state", state, ("pending", "firing", "resolved"))
    runs = store.runs() if run_id is None else [store.run(run_id)]
    found = store.alerts(run_id=run_id, states=None if state is None else listed(state))
    return alerts_table(found, {run.id: run.name for run in runs})
