"""The built-in tasks in a few words each; loads nothing that a task doesn't need."""

from __future__ import annotations

from truing.tasks import TASKS
from truing.tasks.reading import built_in


def built_in_tasks() -> list[dict[str, str]]:
    """Name, purpose and instruction of every built-in task."""
    rows = []
    for name in TASKS:
        module = built_in(name)
        purpose = (module.__doc__ or "").partition("\n")[0].rstrip(".:")
        rows.append({"name": name, "purpose": purpose, "instruction": module.TASK.instruction})
    return rows
