"""How the processes of one training agree on the run that they write.

World process zero knows the run: the user's, the one that RUNVITALS_RUN_ID or a checkpoint names, or a new one. It leaves the run's address under
a key of the store at which torch.distributed has already brought the processes of this launch together, and the others look there. That is
no collective: nobody has to come, so nobody can hang. The store is as old as the launch, on every host, and needs no shared file, so an
address in it is never that of an earlier training, which names made of MASTER_ADDR, MASTER_PORT or TORCHELASTIC_RUN_ID could be.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch

from runvitals.collectors.options import Options
from runvitals.collectors.process_facts import whole
from runvitals.collectors.run import Run

WAIT_S = 5.0
"""How long a process waits for the address when its training begins. Process zero leaves it within milliseconds unless something that comes before
it takes long; the others would wait for it in their first exchange of gradients anyway."""

_LOOK_EVERY_S = 0.02

LATER_LOOKS = 100
"""How often one that waited in vain looks again, once a step and without waiting."""

_trainings = count(1)
"""Numbers the trainings that several processes do together; every process of a launch counts alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a run is written. journals: the folder of journals, with the same path on every host."""

    run_id: str
    project: str
    name: str
    journals: str

    @classmethod
    def of(cls, run: Any) -> Address:
        """Where this run is written."""
        return cls(run_id=run.id, project=run.project, name=run.name, journals=str(run.path.parent.absolute()))


class Meeting:
    """One training's key in the store of its launch.

    store: with `set`, `get` and `check`, as torch.distributed's stores have them.
    """

    def __init__(self, store: Any, number: int) -> None:
        self._store, self._key = store, f"runvitals/run/{number}"
        self._told = False
        self._looks_left = LATER_LOOKS

    def tell(self, run: Any | None) -> None:
        """Process zero says which run it is; None where there is none to join. Only the first word counts.

        Raises AttributeError, and says nothing yet, where the run is none of ours.
        """
        if self._told:
            return
        address = None if run is None else Address.of(run)
        self._told = True
        self._store.set(self._key, json.dumps(address and asdict(address)))

    def ask(
        self, *, wait_s: float, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> Address | None:
        """The address once process zero has told it, at most so many seconds later; None until then, and where it said that there is none."""
        until_s = clock() + wait_s
        while not self._store.check([self._key]):
            if clock() >= until_s:
                return None
            sleep(_LOOK_EVERY_S)
        self._looks_left = 0
        told = json.loads(self._store.get(self._key))
        return None if told is None else Address(**told)

    def ask_again(self) -> Address | None:
        """The same without waiting, as long as there is hope."""
        if self._looks_left <= 0:
            return None
        self._looks_left -= 1
        return self.ask(wait_s=0.0)


def next_meeting() -> Meeting | None:
    """The meeting of the training that begins now. None where this process trains alone, and where ranks cannot be told apart.

    To be called once for each training in every process. torch.distributed must know the rank that the launcher gave (RANK), which names the
    series; a launch without it, or one that is not torch.distributed's (XLA), is recorded in world process zero only.
    """
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() < 2:
        return None
    if whole(os.environ, "RANK", 0) != distributed.get_rank():
        return None
    from torch.distributed.distributed_c10d import _get_default_store  # no public name; torch's own tools use it

    store = _get_default_store()
    return None if store is None else Meeting(store, next(_trainings))


def join(address: Address) -> Run:
    """This process as another writer of the run; its `current()` run stays what it is."""
    options = Options(run_id=address.run_id)
    return Run(Path(address.journals), address.project, name=address.name, options=options)
