"""The report of a run in the terms of its task.

from truing.recipes.report import build_report
build_report(Path("runs/x"))          # writes runs/x/summary.json and runs/x/report.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from truing.evaluate import EVALUATIONS
from truing.evaluate.graded_answers import GRADED
from truing.files import is_disk_full
from truing.report import Summary, TaskMetrics, write_report
from truing.report.own_labels import Labels
from truing.report.task_metrics import Key, Words
from truing.runs.entries import remove_left_behind
from truing.runs.folder import LABELS, RunFolder
from truing.spec.part import worded
from truing.spec.reward import RewardSpec
from truing.spec.task import TaskSpec
from truing.tasks.metrics import judge_metrics
from truing.types import InputError, Metric

P = TypeVar("P", TaskSpec, RewardSpec)
_BY_REWARD = ("rl",)  # in runs that don't say which of their methods follow a reward
_JUDGE = "judge:"
_QUESTIONS = Words("question", "True", "Misconception")


def task_metrics(
    task: TaskSpec, reward: RewardSpec | None = None, by_reward: Sequence[str] = _BY_REWARD
) -> TaskMetrics:
    """What a report on the task speaks of.

    `reward` is what a run rewarded (without parts: what the task does), `by_reward` names the methods
    that followed it.
    """
    own = [metric for each in EVALUATIONS.values() for metric in judge_metrics(task, each)]
    declared = [metric for each in EVALUATIONS.values() for metric in each.metrics]
    return TaskMetrics(
        metrics=(*own, *declared),
        titles={name: each.title for name, each in EVALUATIONS.items()},
        headings={name: each.heading for name, each in EVALUATIONS.items()},
        from_rows={n: each.from_rows for n, each in EVALUATIONS.items() if each.from_rows},
        crossed={n: each.crossed for n, each in EVALUATIONS.items() if each.crossed},
        headline=_keys(task.headline),
        gold=_keys(task.gold),
        must_not_fall=dict(
            zip(_keys(task.must_not_fall), task.must_not_fall.values(), strict=True)
        ),
        smallest=dict(zip(_keys(task.smallest_effect), task.smallest_effect.values(), strict=True)),
        evaluations=task.evaluations,
        rewarded=_rewarded(task, reward),
        by_reward=tuple(by_reward),
        words=_words(task, declared),
        shares={(m.evaluation, m.name): m.least for m in declared if m.least is not None},
    )


def _words(task: TaskSpec, declared: Sequence[Metric]) -> Words:
    """Questions with misconceptions, where the headline rests on the judge of truth."""
    judges = {judge for m in declared if m.key in task.headline for judge in m.judges}
    return _QUESTIONS if "truth" in judges else Words()


def _keys(names: Sequence[str] | Mapping[str, float]) -> tuple[Key, ...]:
    parts = (name.partition(".") for name in names)
    return tuple((evaluation, metric) for evaluation, _, metric in parts)


def _rewarded(task: TaskSpec, reward: RewardSpec | None) -> tuple[Key, ...]:
    """The task's judges that the reward is made of."""
    of = reward if reward and reward.parts else task.reward
    names = [part.name for part in of.parts if part.name.startswith(_JUDGE)] if of else []
    judges = [name.removeprefix(_JUDGE) for name in names]
    return tuple((GRADED, judge) for judge in judges if judge in task.judges)


def metrics_of(run: RunFolder) -> TaskMetrics:
    """What the report of a run speaks of. What an older run's spec doesn't say is as it was then.

    Raises InputError where its spec is broken.
    """
    spec, where = run.spec(), str(run.path / "spec.yaml")
    task = _part(TaskSpec, spec.get("task"), f"{where}: task")
    reward = _part(RewardSpec, spec.get("reward"), f"{where}: reward")
    methods = {name: each for name, each in run.part("methods").items() if isinstance(each, dict)}
    followed = [name for name, each in methods.items() if each.get("trained_on_reward")]
    return task_metrics(task, reward, followed if methods else _BY_REWARD)


def _part(kind: type[P], data: Any, where: str) -> P:
    """A part of a spec from what is written of it, without keys that are no more."""
    known = data if isinstance(data, dict) else {}
    try:
        return kind.model_validate({k: v for k, v in known.items() if k in kind.model_fields})
    except ValidationError as error:
        raise InputError(worded(error.errors()[0], kind, where)) from None


def rebuild(run: Path) -> Summary:
    """Write `summary.json` and `report.html` into a run folder, each atomically; the summary.

    Raises InputError where `run` isn't a run folder or a file in it is broken; then neither file
    is touched.
    """
    folder = RunFolder.open(run)
    remove_left_behind(run)
    with report_written(run):
        return write_report(folder, metrics_of(folder), own_labels_of(run))


@contextmanager
def report_written(run: Path) -> Iterator[None]:
    """Turns what keeps a run's report from being written into InputError, but for a full disk."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(f"{run}: its report can't be written ({error.strerror})") from None


def own_labels_of(run: Path) -> Labels:
    """What people said that the run's answers did; nothing where none was asked for."""
    if not (run / LABELS).exists():
        return {}
    from truing.people.exchange.outcomes_of_run import (
        own_labels,  # here: the store takes long to load
    )

    labels = own_labels(run)
    return {(key.candidate, key.seed, key.case): outcome for key, outcome in labels.items()}


def build_report(run: Path) -> Path:
    """As `rebuild`; the path of the page."""
    rebuild(run)
    return run / "report.html"
