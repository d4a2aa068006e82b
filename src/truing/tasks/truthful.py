"""Short answers that are true: the default task.

Questions tempt into a misconception. An answer counts where it is true and says something; the reward
model learns from labelled answers of the training side, the judges from those of the held-out side.
`data.questions` names other questions of the same kind.
"""

from __future__ import annotations

from truing.data.questions import load_questions
from truing.spec.task import TaskSpec
from truing.types import Case

TASK = TaskSpec()

PROGRAMS: dict[str, object] = {}


def cases() -> tuple[Case, ...]:
    """The built-in questions, with true and false answers."""
    return load_questions("built-in")
