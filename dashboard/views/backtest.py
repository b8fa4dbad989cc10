"""The Back-test page: what rules would have said of past runs, before they are switched on. `?rule=`, `?runs=a,b`, `?alert=`, `?trial=`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from runvitals.dashboard import head, live
from runvitals.dashboard.backtest_body import body, default_runs, text_to_try
from runvitals.dashboard.component import mount
from runvitals.dashboard.data import Problem, read, settings
from runvitals.dashboard.rules_file import rules_file
from runvitals.dashboard.trials import Trial, trials
from runvitals.diagnostics.user_rules.user_rules import Fault, read_user_rules
from runvitals.store import Store
from runvitals.store.types import RunInfo

EVERY_S = 1.0
KEY = "backtest"
_REFUSED = "runvitals.backtest.refused"


def page() -> None:
    """Draws the page; its fragment runs again every `EVERY_S`."""
    live.forget(KEY)
    st.session_state.pop(_REFUSED, None)
    _live()


@st.fragment(run_every=EVERY_S)
def _live() -> None:
    now_s = time.time()
    seen = head.look(now_s=now_s)
    head.renew(seen)
    pulse = head.pulse(seen, now_s=now_s, every_s=EVERY_S)
    found = read(lambda store: _body(store), now_s=now_s)
    if isinstance(found, Problem):
        data = pulse
    else:
        pulse["notices"] = [*pulse["notices"], *found.pop("missing")]
        data = {**live.changed(KEY, found), **pulse}
    mount(KEY, key=KEY, data=data, events=_EVENTS)


def _body(store: Store) -> dict[str, Any]:
    runs = [run for run in store.runs() if run.delete_after_s is None]
    named = st.query_params.get("trial", "")
    trial = trials().get(named)
    file, rule = rules_file(settings().rules), st.query_params.get("rule", "")
    known, chosen = {run.id for run in runs}, _chosen(store, runs, trial)
    unknown = [run_id for run_id in chosen if run_id not in known]
    asked = body(
        runs,
        file,
        chosen=[run_id for run_id in chosen if run_id in known],
        rule=rule,
        alert=st.query_params.get("alert", ""),
        trial=trial,
        ahead=trials().ahead(trial) if trial is not None else 0,
        refused=st.session_state.get(_REFUSED, ()),
        lost=bool(named) and trial is None,
    )
    missing = [head.unknown("run", unknown)] if unknown else []
    missing += [head.unknown_rule(rule)] if rule and not asked["rule"] else []
    return {**asked, "missing": missing}


def _chosen(store: Store, runs: Sequence[RunInfo], trial: Trial | None) -> list[str]:
    """The runs that the address names, else those of the trial, else the alert's run and its like."""
    named = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id]
    if named or trial is not None:
        return named or list(trial.run_ids if trial is not None else ())
    found = store.alerts(ids=[st.query_params.get("alert", "")])
    return default_runs(runs, found[0].run_id) if found else []


def _sent(event: str) -> Any:
    return st.session_state[KEY][event]


def _begin() -> None:
    """Puts the back-test that the browser asks for in line, or notes what is wrong with it."""
    asked = _sent("begin")
    if not isinstance(asked, Mapping):
        return
    text, only = text_to_try(asked, rules_file(settings().rules))
    faults = read_user_rules(text, file="runvitals.toml").faults
    run_ids = [str(run_id) for run_id in asked.get("runs", ())]
    given: Trial | str | tuple[Fault, ...] = faults or trials().ask(
        run_ids, text, only, settings=settings(), now_s=time.time()
    )
    if isinstance(given, Trial):
        st.session_state.pop(_REFUSED, None)
        st.query_params["trial"] = given.id
    else:
        st.session_state[_REFUSED] = [given] if isinstance(given, str) else [str(fault) for fault in given]


def _cancel() -> None:
    trials().cancel(str(_sent("cancel") or ""))


_EVENTS: dict[str, Callable[[], None]] = {
    "begin": _begin,
    "cancel": _cancel,
    "resync": lambda: live.forget(KEY),
}
"""What the browser may send. Each needs a callback, or Streamlit drops it."""
