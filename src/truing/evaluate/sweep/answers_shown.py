"""The answers of a sweep as one table: a column for each candidate under each prompt that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from truing.evaluate import EVALUATIONS
from truing.evaluate.sweep.result import SweepResult
from truing.evaluate.sweep.shown import TITLES, colours, labels, metric_in
from truing.report.answered import AnswerTable
from truing.report.answers import AnswerTerms, Said, answer_table
from truing.types import Metric, Row, Score, Unscored


def answers(result: SweepResult) -> AnswerTable:
    """Every answer and choice; of many wordings without answers, the mean over them."""
    questions: dict[str, dict[str, Any]] = {
        case.id: case.to_json() for asked in result.asked.values() for case in asked.cases
    }
    return answer_table(_said(result), list(_columns(result)), _terms(result), questions)


def column_colour(result: SweepResult) -> Callable[[str], str]:
    """A column's colour: its candidate's, or of one candidate alone its prompt's."""
    of = _columns(result)
    names, prompts = _names(result), list(dict.fromkeys(label for _, label in of.values()))
    colour, place = (colours(prompts), 1) if len(names) == 1 else (colours(names), 0)
    return lambda column: colour(of[column][place])


def _names(result: SweepResult) -> list[str]:
    """Whoever has rows, in the order of the models."""
    return list(dict.fromkeys([*result.models, *(row.candidate for _, row in result.rows)]))


def _columns(result: SweepResult) -> dict[str, tuple[str, str]]:
    """Candidate and shown prompt by the column's name, which says what there is more than one of."""
    prompts = list(dict.fromkeys(labels(result).values()))
    names = _names(result)
    return {
        _column(name, label, names, prompts): (name, label) for name in names for label in prompts
    }


def _column(name: str, label: str, names: Sequence[str], prompts: Sequence[str]) -> str:
    if len(prompts) == 1:
        return name
    return label if len(names) == 1 else f"{name}, {label}"


def _said(result: SweepResult) -> Iterable[Said]:
    label_of = labels(result)
    column_of = {pair: column for column, pair in _columns(result).items()}
    groups: dict[tuple[str, str, str, str], list[tuple[str, Row]]] = {}
    for prompt, row in result.rows:
        key = (row.candidate, label_of[prompt], row.evaluation, row.case)
        groups.setdefault(key, []).append((prompt, row))
    for (name, label, _, _), own in groups.items():
        column = column_of[name, label]
        if len(own) == 1:
            yield column, column, own[0][1]
        elif all(row.detail.get("answer") is None for _, row in own):
            yield column, column, _mean([row for _, row in own])
        else:
            yield from ((column, f"{name}, {prompt}", row) for prompt, row in own)


def _mean(rows: Sequence[Row]) -> Row:
    """One row in place of those of several wordings: the mean of each metric where it is scored."""
    metrics: dict[str, Score] = {}
    for name in dict.fromkeys(name for row in rows for name in row.metrics):
        scores = [row.metrics[name] for row in rows if name in row.metrics]
        values = [score for score in scores if not isinstance(score, Unscored)]
        metrics[name] = sum(values) / len(values) if values else scores[0]
    first = rows[0]
    return Row(
        first.candidate, 0, first.evaluation, first.case, metrics, first.category, first.detail
    )


def _terms(result: SweepResult) -> AnswerTerms:
    metrics = {name: _metrics(result, name) for name in result.asked}
    counted = {
        (name, metric.name)
        for name, declared in metrics.items()
        for metric in declared
        if metric.name in EVALUATIONS[name].headline and not metric.by_likelihood
    }
    titles = {name: TITLES[name] for name in result.asked}
    nothing = {("truthfulness", metric) for metric in result.open_ended.uncorrectable}
    return AnswerTerms(metrics, titles, frozenset(counted), telling_nothing=frozenset(nothing))


def _metrics(result: SweepResult, evaluation: str) -> list[Metric]:
    """Those that rows have, in the order in which they are declared."""
    rows = (row for _, row in result.rows if row.evaluation == evaluation)
    there = dict.fromkeys(name for row in rows for name in row.metrics)
    declared = [metric.name for metric in EVALUATIONS[evaluation].metrics if metric.name in there]
    return [metric_in(evaluation, name) for name in dict.fromkeys([*declared, *there])]
