"""Alembic migrations of the store; run by ``loopwright.store.migrate`` when a database is opened."""
