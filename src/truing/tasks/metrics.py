"""The metrics of a task: those that its evaluations declare, and one for each of its judges."""

from __future__ import annotations

from truing.evaluate import EVALUATIONS
from truing.evaluate.evaluation import Evaluation
from truing.spec.task import TaskSpec
from truing.types import InputError, Metric, did_you_mean


def judge_metrics(task: TaskSpec, evaluation: Evaluation) -> list[Metric]:
    """The metrics that an evaluation has for the task's judges; none where it looks at none."""
    if evaluation.of_judge is None:
        return []
    return [
        metric
        for name, judge in task.judges.items()
        for metric in evaluation.of_judge(name, _label(task, name), judge.by)
    ]


def _label(task: TaskSpec, judge: str) -> str:
    return task.judges[judge].label or judge.replace("_", " ").capitalize()


def metrics_of(task: TaskSpec) -> tuple[Metric, ...]:
    """Every metric of the task's evaluations, in the order in which they are shown.

    Raises InputError for an evaluation that there isn't.
    """
    metrics: list[Metric] = []
    for name in task.evaluations:
        if name not in EVALUATIONS:
            raise InputError(
                f"task {task.name}: evaluations: {name!r}: unknown; "
                f"{did_you_mean(name, EVALUATIONS)}known: {', '.join(EVALUATIONS)}"
            )
        metrics += EVALUATIONS[name].metrics
        metrics += judge_metrics(task, EVALUATIONS[name])
    return tuple(metrics)


_MOST_NAMED = 12


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def check_measures(task: TaskSpec) -> None:
    """Raises InputError where the task counts on a metric that none of its evaluations gives."""
    if not task.evaluations:
        raise InputError(
            f"task {task.name}: evaluations: empty; name at least one of {', '.join(EVALUATIONS)}"
        )
    known = [metric.key for metric in metrics_of(task)]
    for part, keys in (
        ("headline", task.headline),
        ("gold", task.gold),
        ("must_not_fall", task.must_not_fall),
        ("smallest_effect", task.smallest_effect),
    ):
        for key in keys:
            if key not in known:
                raise InputError(
                    f"task {task.name}: {part}: {key!r}: no evaluation of the task gives it; "
                    f"{did_you_mean(key, known)}there are {_some(known)}"
                )
    if not task.headline:
        raise InputError(f"task {task.name}: headline: empty; name what 'helped' means")
