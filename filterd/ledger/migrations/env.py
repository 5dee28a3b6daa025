"""How alembic gets at the store: over the connection that ledger.versions hands it, in the open transaction."""

from __future__ import annotations

from alembic import context

from filterd.ledger.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite can undo what it did to tables, too; one transaction holds the whole way.
    transactional_ddl=True,
)
context.run_migrations()
