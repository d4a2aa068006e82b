"""One line of a sweep with its rows, cases and contexts: what the other programs call a run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truing.evaluate.sweep.result import Line, SweepResult
from truing.prompts.variants import Context
from truing.types import Case, Row, Unscored, stable_hash


@dataclass(frozen=True)
class Entry:
    """A question under one prompt. `context` is None where it isn't known (an endpoint's, say)."""

    row: Row
    case: Case
    context: Context | None

    @property
    def answers(self) -> list[str]:
        """All given answers, true ones first, the best at the head."""
        return [*self.case.correct_answers, *self.case.incorrect_answers]

    @property
    def log_likelihoods(self) -> list[float | None]:
        """Of each answer (nats), or nothing where there are none."""
        found = self.row.detail.get("log_likelihoods") or {}
        return [*found.get("true", ()), *found.get("false", ())]

    @property
    def written(self) -> str | None:
        """The model's own answer, where it was asked for one."""
        answer = self.row.detail.get("answer")
        return answer if isinstance(answer, str) else None

    @property
    def text(self) -> str:
        """What the answer continues, or at least the question."""
        return self.case.prompt if self.context is None else self.context.text

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics that have a score."""
        return {name: s for name, s in self.row.metrics.items() if not isinstance(s, Unscored)}

    @property
    def unscored(self) -> dict[str, str]:
        """Why the others have none."""
        return {name: s.reason for name, s in self.row.metrics.items() if isinstance(s, Unscored)}


@dataclass(frozen=True)
class Run:
    """All questions of one evaluation asked of one candidate under one prompt."""

    line: Line
    source: str
    about: Mapping[str, Any]
    entries: Sequence[Entry]


def runs(result: SweepResult) -> Iterator[Run]:
    """Each line of the sweep with what belongs to it, in order."""
    rows: dict[tuple[str, str, str], list[Row]] = {}
    for prompt, row in result.rows:
        rows.setdefault((row.candidate, row.evaluation, prompt), []).append(row)
    for line in result.lines:
        asked = result.asked[line.evaluation]
        cases = {case.id: case for case in asked.cases}
        key = (line.candidate, line.evaluation, line.prompt)
        contexts = dict(
            zip((case.id for case in asked.cases), result.contexts.get(key, ()), strict=False)
        )
        entries = [Entry(row, _case(cases, row), contexts.get(row.case)) for row in rows[key]]
        yield Run(line, asked.source, result.models[line.candidate], entries)


def _case(cases: Mapping[str, Case], row: Row) -> Case:
    """The row's case; one that came up while the others were asked is known by its question alone."""
    return cases.get(row.case) or Case(str(row.detail.get("question", "")), category=row.category)


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean: standard deviation (ddof 1) / sqrt(n); None below two values."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))


def file_name(text: str) -> str:
    """A model's name as lm-evaluation-harness writes it where files are named; its end where it is long."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", text)[-120:].lstrip(".") or "_"


def own_file_name(text: str) -> str:
    """The same, different for different texts."""
    name = file_name(text)
    return name if name == text else f"{name}-{stable_hash('file', text)[:8]}"
