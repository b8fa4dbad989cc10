"""Makes receivers of addresses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from runvitals.errors import SettingsError
from runvitals.watch.apprise_notifier import AppriseNotifier
from runvitals.watch.notify import Notifier
from runvitals.watch.routes import Address
from runvitals.watch.wandb_notifier import SCHEME, WandbNotifier
from runvitals.watch.webhook import Webhook

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


def make_receivers(addresses: Iterable[Address], *, journals: Path) -> tuple[list[Notifier], list[str]]:
    """The receivers, and a line for each address that cannot be used."""
    receivers: dict[str, Notifier] = {}
    problems = []
    for address in addresses:
        try:
            made = make_receiver(address, journals=journals)
        except SettingsError as error:
            problems.append(str(error))
        else:
            same = receivers.setdefault(made.receiver, made)
            if (
                same is not made
            ):  # one address in two tables is one receiver, which is told once of what either asks for
                same.routes = (*same.routes, *made.routes)
    return list(receivers.values()), problems


def make_receiver(address: Address, *, journals: Path) -> Notifier:
    """The receiver at an address: Apprise's where Apprise knows it, also by the address that a service hands out; else a webhook's.

    `wandb://` stands for the W&B runs of the trainings whose journals lie here. Raises SettingsError for an address that nobody knows.
    """
    scheme, divided, _ = address.url.partition("://")
    if not divided or not _SCHEME.fullmatch(scheme):  # else a part of the address would be shown as its scheme
        raise SettingsError(f"{address.place}: expected an address like slack://… or https://…, got one without ://")
    if scheme.lower() == SCHEME:
        return WandbNotifier(journals, routes=(address.route,))
    label = address.name or f"{scheme.lower()} ({address.place})"
    # Stable, so that a restarted watcher knows who was told; a name stays where a token is replaced.
    receiver = address.name or f"{scheme}-{hashlib.sha256(address.url.encode()).hexdigest()[:10]}"
    by_apprise = AppriseNotifier(address.url, receiver=receiver, label=label, routes=(address.route,))
    if by_apprise.valid:
        return by_apprise
    if scheme.lower() in ("http", "https"):
        return Webhook(address.url, receiver=receiver, label=label, routes=(address.route,))
    raise SettingsError(
        f"{address.place}: expected an address that Apprise knows, or https://…, got one of scheme {scheme!r}; "
        "see Apprise's list of services for the spelling"
    )
