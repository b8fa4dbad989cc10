"""What `runvitals watch` does: builds the watcher from settings and runs it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from runvitals.diagnostics.rules.definition import counted
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.watch.loop import Watcher
from runvitals.watch.notify import Console, Notifier
from runvitals.watch.receivers import make_receivers
from runvitals.watch.redaction import guard_logs
from runvitals.watch.routes import load_routes, plain_addresses
from runvitals.watch.user_rules import load


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told, by what rules. problems: a line for each thing that is wrong, which stops nothing else."""

    receivers: list[Notifier]
    rules: UserRules
    problems: tuple[str, ...]


def who_is_told(settings: Settings, urls: Sequence[str], environ: Mapping[str, str]) -> Told:
    """The receivers of these addresses and of the user's file, beside the console, and the rules of that file."""
    guard_logs()
    rules = load(settings.rules)
    routes = load_routes(settings.rules, rules, environ)
    receivers, problems = make_receivers((*plain_addresses(urls), *routes.addresses), journals=settings.journals)
    rules = replace(rules, faults=(*rules.faults, *routes.faults))
    console: Notifier = Console(_say)
    return Told(receivers=[console, *receivers], rules=rules, problems=tuple(problems))


def make_watcher(settings: Settings, receivers: Sequence[str]) -> Watcher:
    """A watcher over the journals and the store of these settings. receivers: addresses besides those of the user's file."""
    told = who_is_told(settings, receivers, os.environ)
    for line in (*map(str, told.rules.faults), *told.problems):
        print(f"runvitals: {line}", file=sys.stderr)  # noqa: T201 - the command's own output
    store = open_store(settings.store)
    return Watcher(settings.journals, store, notifiers=told.receivers, rules=told.rules, problems=told.problems)


def watch_once(settings: Settings, receivers: Sequence[str]) -> int:
    """Takes in all that is there and ends; 1 where a journal could not be read whole."""
    watcher = make_watcher(settings, receivers)
    done = watcher.run_once()
    _say(
        f"{counted(done.rows, 'row')} of {counted(done.runs, 'run')} taken in, {counted(done.alerts, 'change')} of alerts"
    )
    if done.elsewhere:
        _say(f"{counted(len(done.elsewhere), 'run')} left to another watcher that is at work")
    for line in done.failed.values():
        print(f"runvitals: {line}", file=sys.stderr)  # noqa: T201 - the command's own output
    return 1 if done.failed else 0


def watch_until(settings: Settings, receivers: Sequence[str], stop: threading.Event, *, interval_s: float) -> None:
    """Watches until `stop` is set."""
    logging.basicConfig(level=logging.WARNING, format="runvitals: %(message)s")
    watcher = make_watcher(settings, receivers)
    others = watcher.others()
    if others:
        _say(
            f"{len(others)} other watcher at work on this store ({', '.join(others)}); runs are shared out between them"
        )
    _say(f"watching {settings.journals}")
    watcher.run(stop, interval_s=interval_s)


def _say(line: str) -> None:
    """One write, because messages come from several threads."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
