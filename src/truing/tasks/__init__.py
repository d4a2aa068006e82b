"""Tasks: what a model should do and must not do. Built-in ones, a file each; users' files; adapters."""

from __future__ import annotations

from truing.tasks.reading import defaults_of, task_mapping
from truing.tasks.task import Task, task_of

__all__ = ["TASKS", "Task", "defaults_of", "task_mapping", "task_of"]

TASKS: dict[str, str] = {
    "truthful": "truing.tasks.truthful",
    "format": "truing.tasks.format",
    "rewrite": "truing.tasks.rewrite",
    "instructions": "truing.tasks.instructions",
}
"""Every built-in task and its module, loaded when it is asked for. Adding one is a file like format.py
and a line here."""
