"""Run by Alembic: applies the steps on the connection that `store.py` gives."""

from alembic import context

import truing.people.live.tables
import truing.people.planning.tables
import truing.people.questions.tables
import truing.people.study.tables  # noqa: F401 (each adds its tables)
from truing.people.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()
