"""Settings from the environment, read once and passed down.

Any room may import this module and `runvitals.errors`; both import nothing of ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runvitals.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where runvitals keeps its things.

    home: folder that holds `journal/`, the user's rules, and, unless a store is named, `runvitals.db` (RUNVITALS_HOME).
    store: `sqlite:///PATH` or `postgresql://…` (RUNVITALS_STORE, else DATABASE_URL, else `home/runvitals.db`).
    run_id: the run that all processes of one launch write (RUNVITALS_RUN_ID), where a launcher names one.
    notify: Apprise URLs that get alerts (RUNVITALS_NOTIFY, separated by spaces); they are credentials, never print them.
    """

    home: Path
    store: str
    run_id: str | None = None
    notify: tuple[str, ...] = field(default=(), repr=False)

    @property
    def journals(self) -> Path:
        """The folder under which every run has a folder of journal files."""
        return self.home / "journal"

    @property
    def rules(self) -> Path:
        """The user's rules file; it need not be there."""
        return self.home / "runvitals.toml"

    def make_home(self) -> None:
        """Makes the home folder where it is missing. Raises SettingsError where that cannot be done."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"RUNVITALS_HOME (or --home): expected a folder that can be made or written, got {self.home}: {error.strerror}"
            ) from error

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, *, home: Path | None = None) -> Settings:
        """Settings of this process; `home` overrules RUNVITALS_HOME.

        Raises SettingsError where a store URL is neither SQLite nor PostgreSQL.
        """
        environ = os.environ if environ is None else environ
        if home is None:
            named = environ.get("RUNVITALS_HOME")
            home = Path(named) if named else default_home()
        home = home.expanduser().absolute()
        store = environ.get("RUNVITALS_STORE") or environ.get("DATABASE_URL") or f"sqlite:///{home / 'runvitals.db'}"
        return cls(
            home=home,
            store=checked_store_url(store),
            run_id=environ.get("RUNVITALS_RUN_ID") or None,
            notify=tuple(environ.get("RUNVITALS_NOTIFY", "").split()),
        )


def default_home() -> Path:
    """The user's data folder for runvitals, as the platform has it."""
    import platformdirs  # lazily: only needed where RUNVITALS_HOME is not set

    return Path(platformdirs.user_data_dir("runvitals", appauthor=False))


def checked_store_url(url: str) -> str:
    """The URL in the one spelling that SQLAlchemy takes (`postgres://` becomes `postgresql+psycopg://`)."""
    if url.startswith("sqlite:///"):
        return url
    for scheme in ("postgres://", "postgresql://", "postgresql+psycopg://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    scheme = url.split(":", 1)[0]
    raise SettingsError(
        f"RUNVITALS_STORE (or DATABASE_URL): expected sqlite:///PATH or postgresql://HOST/DB, got a URL of scheme {scheme!r}"
    )
