"""What people do in the browser, each deed once: `deeds.js` sends the newest with those shortly before it, for one alone may be overtaken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

_DONE = "runvitals.deeds"
_MOST_REMEMBERED = 1000
"""Names of deeds that a session remembers; the browser sends none again after ten seconds."""


def new_deeds(told: Any) -> list[Mapping[str, Any]]:
    """Those of the told deeds that this session has not had, the oldest first. What is no list of deeds holds none."""
    done: dict[str, None] = st.session_state.setdefault(_DONE, {})
    found = []
    for deed in told if isinstance(told, list) else ():
        name = str(deed.get("deed") or "") if isinstance(deed, Mapping) else ""
        if name and name not in done:
            done[name] = None
            found.append(deed)
    for name in list(done)[:-_MOST_REMEMBERED]:
        del done[name]
    return found
