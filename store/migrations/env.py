"""What Alembic runs when asked to upgrade: the scripts, on the connection and in the transaction that `upgrade` brought."""

from alembic import context

from runvitals.store.migrations.upgrade import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
