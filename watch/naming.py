"""The keys under which the processes of a run are kept apart: see "Keys" in docs/architecture.md.

rank 0, or none     as logged
another rank r      rank/<r>/<key>
its samples         node/<host>/<key>, for `host/…` and `gpu/<i>/…`: the machine is sampled by one process of each host
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from runvitals.diagnostics.rank_rows import timed
from runvitals.diagnostics.signals import NODE

_SAMPLED = re.compile(r"host/|gpu/\d+/", re.ASCII)


def rank_of(info: Mapping[str, Any]) -> int:
    """The rank in a writer's START info; 0 where it names none."""
    rank = info.get("rank")
    return rank if isinstance(rank, int) and rank > 0 else 0


def host_of(info: Mapping[str, Any]) -> str:
    """The host in a writer's START info as part of a key: no slash in it, never empty."""
    return str(info.get("host") or "unknown").replace("/", "-")


@lru_cache(maxsize=1024)
def named(keys: tuple[str, ...], rank: int, host: str) -> tuple[str, ...]:
    """The keys of a row as the store and the engine have them."""
    if rank == 0:
        return keys
    return tuple(f"{NODE}{host}/{key}" if _SAMPLED.match(key) else f"rank/{rank}/{key}" for key in keys)


@lru_cache(maxsize=1024)
def judged(keys: tuple[str, ...]) -> bool:
    """Whether rules read rows of another rank with these keys: only what they say of its machine and of its own steps."""
    return any(key.startswith(NODE) or timed(key) is not None for key in keys)
