"""`truing tasks`: which tasks there are, and whether one of the user's can be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from truing.data.splits import split
from truing.progress import Progress
from truing.rewards.mixture import check_reward
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.tasks import Task, texts
from truing.tasks.metrics import check_measures, metrics_of
from truing.types import Case

SHOWN_CASES = 10


@dataclass(frozen=True)
class CheckedTask:
    """A task that can be run: what it holds, split as a run splits it."""

    task: Task
    spec: Spec
    train: tuple[Case, ...]
    held_out: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of `truing tasks NAME --json`."""
        task = self.task.spec
        return {
            "name": task.name,
            "instruction": task.instruction,
            "source": self.task.source,
            "cases": {"train": len(self.train), "held_out": len(self.held_out)},
            "rules": [{"id": rule.id, "says": rule.says, "measured": False} for rule in task.rules],
            "judges": {name: check.program for name, check in task.judges.items()},
            "evaluations": list(task.evaluations),
            "metrics": [metric.key for metric in metrics_of(task)],
            "headline": list(task.headline),
            "gold": list(task.gold or task.headline),
            "must_not_fall": dict(task.must_not_fall),
            "reward": [part.name for part in self.spec.reward.parts] or ["reward_model"],
            "examples": [
                {"prompt": case.prompt, "references": list(case.correct_answers)}
                for case in self.task.cases[:SHOWN_CASES]
            ],
        }


def checked_task(name: str, progress: Progress) -> CheckedTask:
    """The task called `name`, or in that file, checked. Raises InputError where it is wrong."""
    spec = make_spec({"task": name})
    check_measures(spec.task)
    task = texts.checked_task(spec, progress)
    check_reward(spec.reward, task.cases, task.graders)
    train, held_out = split(task.cases, spec.data.held_out)
    return CheckedTask(task, spec, train, held_out)
