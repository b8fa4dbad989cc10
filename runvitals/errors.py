"""The errors of runvitals, one family.

    RunvitalsError
    ├── SettingsError        an environment variable or argument has an illegal value
    ├── JournalError         a journal file cannot be read as one
    ├── StoreError           the store cannot do what was asked
    │   ├── StoreUnreachable     the database does not answer; trying again may help
    │   ├── ForeignStore         the file or database is not a runvitals store, or is corrupt
    │   ├── NewerStore           the store was written by a newer runvitals; we refuse to write
    │   ├── OverlappingBatch     part of a batch is stored already; cut it and append the rest
    │   ├── UnknownRun           no run has this id
    │   └── UnknownKey           the run has no series of this name
    ├── LogFileError         a log of another tool cannot be read as one
    └── RecipeError          a training recipe was given settings that cannot work together

A message says what was expected, what came and what to do. No message holds a secret or the address of a receiver.
"""


class RunvitalsError(Exception):
    """Anything that runvitals raises on purpose."""


class SettingsError(RunvitalsError):
    """An environment variable or argument has an illegal value."""


class JournalError(RunvitalsError):
    """A journal file cannot be read as one."""


class StoreError(RunvitalsError):
    """The store cannot do what was asked."""


class StoreUnreachable(StoreError):
    """The database does not answer; trying again may help."""


class ForeignStore(StoreError):
    """The file or database is not a runvitals store, or is corrupt."""


class NewerStore(StoreError):
    """The store was written by a newer runvitals; we refuse to write."""


class OverlappingBatch(StoreError):
    """Part of a batch is stored already, up to `last_seq`; cut it there and append the rest."""

    def __init__(self, message: str, *, last_seq: int) -> None:
        super().__init__(message)
        self.last_seq = last_seq


class UnknownRun(StoreError):
    """No run has this id."""


class UnknownKey(StoreError):
    """The run has no series of this name."""


class LogFileError(RunvitalsError):
    """A log of another tool cannot be read as one."""


class RecipeError(RunvitalsError):
    """A training recipe was given settings that cannot work together."""
