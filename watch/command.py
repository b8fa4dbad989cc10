"""What `runvitals watch` does: builds the watcher from settings and runs it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence

from runvitals.errors import SettingsError
from runvitals.settings import Settings
from runvitals.store.open import open_store
from runvitals.watch.loop import Watcher
from runvitals.watch.notify import AppriseNotifier, Console, Notifier
from runvitals.watch.user_rules import load


def make_notifiers(receivers: Sequence[str]) -> list[Notifier]:
    """The console and one notifier for each Apprise URL. Raises SettingsError for a URL that Apprise does not know."""
    notifiers: list[Notifier] = [Console(_say)]
    for number, url in enumerate(receivers, start=1):
        notifier = AppriseNotifier(url)
        if not notifier.valid:
            raise SettingsError(
                f"--notify or RUNVITALS_NOTIFY: address number {number} (scheme {url.split(':', 1)[0]!r}) is none that Apprise knows; "
                "see Apprise's list of services for the spelling"
            )
        notifiers.append(notifier)
    return notifiers


def make_watcher(settings: Settings, receivers: Sequence[str]) -> Watcher:
    """A watcher over the journals and the store of these settings."""
    rules = load(settings.rules)
    for fault in rules.faults:
        print(f"runvitals: {fault}", file=sys.stderr)  # noqa: T201 - the command's own output
    return Watcher(settings.journals, open_store(settings.store), notifiers=make_notifiers(receivers), rules=rules)


def watch_once(settings: Settings, receivers: Sequence[str]) -> int:
    """Takes in all that is there and ends; 1 where a journal could not be read whole."""
    watcher = make_watcher(settings, receivers)
    done = watcher.run_once()
    _say(f"{done.rows} rows of {done.runs} runs taken in, {done.alerts} changes of alerts")
    if done.elsewhere:
        _say(f"{len(done.elsewhere)} runs left to another watcher that is at work")
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
