"""Runs the migrations on the connection that ``loopwright.store.migrate`` hands over, inside its transaction."""

from alembic import context

from loopwright.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # Alembic assumes SQLite has none; it has, once BEGIN is sent before the first statement
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
