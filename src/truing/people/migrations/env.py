"""Run by Alembic: applies the steps on the connection that `store.py` gives."""

from alembic import context

from truing.people.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()
