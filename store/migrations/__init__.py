"""How a store's tables come to their present shape: one script a version in `versions/`, run by Alembic inside `open_store`."""
