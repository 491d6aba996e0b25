"""Alembic's entry: runs the scripts over the connection that `upgrade` hands in."""

from __future__ import annotations

from alembic import context

from sentinel.hub.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite rebuilds a table to alter it, and a rebuilt table has lost its triggers: never name
    # `audit` in a batch operation. `seal` puts the triggers back and checks them at every start.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
