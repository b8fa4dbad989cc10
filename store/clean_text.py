"""Texts as every database can hold them. PostgreSQL refuses NUL characters and lone surrogates, SQLite takes them: both get the same."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator


def clean(text: str) -> str:
    """The text with a replacement character for each NUL and a question mark for each lone surrogate."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def cleaned(value: Any) -> Any:
    """The value, clean where it is text: what a text column will hold, for comparing it with what it holds."""
    return clean(value) if isinstance(value, str) else value


class CleanText(TypeDecorator[str]):
    """A text column that cleans whatever is written to it or looked for in it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text as the database takes it."""
        found: str | None = cleaned(value)
        return found
