"""`truing eval` on a task, and the same from a notebook.

from truing import evaluate
evaluate("format", ["smollm2-135m"], ["answers", "trivia"])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truing.data.splits import split
from truing.evaluate.sweep.folder import COLUMNS
from truing.evaluate.sweep.page import page
from truing.evaluate.sweep.request import SweepSpec, TaskCases
from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.run import measure_all
from truing.progress import Progress, StderrProgress
from truing.report.html import framed
from truing.spec.reading import make_spec
from truing.tasks.texts import checked_task
from truing.types import Unscored

if TYPE_CHECKING:
    import pyarrow


def task_cases(name: str, progress: Progress) -> TaskCases:
    """The held-out side of a task, which nothing that was trained on the task has learned from.

    Programs of the user's own are named before they run. Raises InputError where the task is wrong.
    """
    spec = make_spec({"task": name})
    task = checked_task(spec, progress)
    _, held_out = split(task.cases, spec.data.held_out)
    return TaskCases(
        task.source,
        held_out,
        task.graders,
        spec.task.instruction,
        task.rules,
        task.rule_checks,
    )


@dataclass(frozen=True)
class Evaluated:
    """What was measured: a row for every respondent, prompt, evaluation and case, and the figures."""

    result: SweepResult

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows, flat: who, what, which case, then every metric; None where it is unscored."""
        names = list(dict.fromkeys(name for _, row in self.result.rows for name in row.metrics))
        rows = []
        for prompt, row in self.result.rows:
            question = row.detail.get("question", "")
            about = (row.candidate, row.evaluation, prompt, row.case, row.category, question)
            scores = {name: row.metrics.get(name) for name in names}
            figures = {k: None if isinstance(v, Unscored) else v for k, v in scores.items()}
            reasons = {k: v.reason for k, v in scores.items() if isinstance(v, Unscored)}
            rows.append({**dict(zip(COLUMNS, about, strict=True)), **figures, "unscored": reasons})
        return rows

    def to_arrow(self) -> pyarrow.Table:
        """The same rows as a pyarrow table; `unscored` is a list of (metric, reason)."""
        import pyarrow

        rows = self.to_dicts()
        for row in rows:
            row["unscored"] = [{"metric": k, "reason": v} for k, v in row["unscored"].items()]
        return pyarrow.Table.from_pylist(rows)

    def to_json(self) -> dict[str, Any]:
        """The document of `truing eval --json`: every figure with its interval."""
        return self.result.to_json()

    def _repr_html_(self) -> str:
        """In a notebook, the page in a frame of its own."""
        return framed(page(self.result, "evaluate(...)"))


def evaluate(
    task: str | None,
    candidates: Sequence[str],
    evaluations: Sequence[str] = ("answers",),
    *,
    prompts: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluated:
    """Measures candidates on a task's held-out cases.

    `task` is a name or a task file (None: the built-in questions); `candidates` are named as for
    `truing eval`; further `options` are the fields of SweepSpec, such as `max_new_tokens`. Raises
    InputError where one of them is wrong.
    """
    progress = progress or StderrProgress()
    spec = SweepSpec(
        evaluations=tuple(evaluations),
        candidates=tuple(candidates),
        prompts=tuple(prompts),
        limit=limit,
        seed=seed,
        task=task,
        **options,
    )
    of_task = task_cases(task, progress) if task else None
    return Evaluated(measure_all(spec, progress, of_task=of_task))
