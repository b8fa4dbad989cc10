"""Saved views: a page's query under a name."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from runvitals.errors import StoreError
from runvitals.store.clean_text import clean
from runvitals.store.database import Database
from runvitals.store.schema import views
from runvitals.store.types import ViewRow

LONGEST_NAME = 100
"""Characters: the name stands on a pill."""

LONGEST_QUERY = 8192
"""Characters: it has to fit into an address."""


def save_view(database: Database, connection: Connection, page: str, name: str, *, query: str, now_s: float) -> None:
    """Keeps a query under a name, in place of what stood there. Raises StoreError where one is too long or the name is empty."""
    name = clean(name.strip())
    if not 0 < len(name) <= LONGEST_NAME:
        raise StoreError(f"a view's name: expected 1 to {LONGEST_NAME} characters, got {len(name)}; choose another")
    if len(query) > LONGEST_QUERY:
        raise StoreError(f"a view's query: expected at most {LONGEST_QUERY} characters, got {len(query)}; shorten it")
    mine = (views.c.page == page) & (views.c.name == name)
    before = connection.execute(select(views.c.created_s).where(mine)).scalar_one_or_none()
    created_s = now_s if before is None else before
    row = {"page": page, "name": name, "query": query, "created_s": created_s, "changed_s": now_s}
    database.upsert(connection, views, [row])


def list_views(connection: Connection, page: str) -> list[ViewRow]:
    """The page's views by name, whatever the case."""
    found = [ViewRow(**row._mapping) for row in connection.execute(select(views).where(views.c.page == page))]
    return sorted(found, key=lambda view: (view.name.casefold(), view.name))


def delete_view(connection: Connection, page: str, name: str) -> None:
    """Forgets a view; one that is not there is forgotten already."""
    connection.execute(delete(views).where((views.c.page == page) & (views.c.name == clean(name.strip()))))
