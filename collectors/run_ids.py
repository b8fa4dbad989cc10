"""The names of runs: which one is sensible, and how the processes of one training agree on it."""

from __future__ import annotations

import secrets
import time

from runvitals.errors import SettingsError

MAX_RUN_ID_BYTES = 128

_ORDERS = frozenset({"allow", "must", "never", "auto"})
"""What other trackers take for `resume`: no run has such a name."""


def new_run_id(now_s: float) -> str:
    """A name that sorts by time and that no other run has: 20261123-214500-1f3a9c2e (UTC)."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now_s))}-{secrets.token_hex(4)}"


def checked_run_id(run_id: object, setting: str) -> str:
    """The id, where it can be the name of a folder and of a run; raises SettingsError else. setting: what the message calls it."""
    if (
        not isinstance(run_id, str)
        or run_id in _ORDERS
        or not run_id.strip(".")
        or not run_id.isprintable()
        or run_id != run_id.strip()
        or "/" in run_id
        or "\\" in run_id
        or len(run_id.encode("utf-8", "replace")) > MAX_RUN_ID_BYTES
    ):
        raise SettingsError(
            f"{setting}: expected the id of a run, such as run.id gives (a folder's name of up to {MAX_RUN_ID_BYTES} bytes), "
            f"got {str(run_id)[:40]!r}"
        )
    return run_id


def nth_run_id(run_id: str, count: int) -> str:
    """The id of the n-th run of each process that was told one id by its launcher: the id itself, then id-2, id-3, …"""
    return run_id if count == 1 else f"{run_id}-{count}"
