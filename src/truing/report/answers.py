"""Every answer of every candidate, case by case, as the table that a page's reader searches.

A column is whoever answered: a candidate here, a candidate under a prompt in `truing eval`, a candidate
of a run where runs are compared. It may answer a case more than once, as several seeds or wordings do: each
answer has a speaker then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.report.answer_room import within
from truing.report.answered import AnsweredCase, AnswerTable, GivenAnswer
from truing.report.outcomes import CHOICE, deciding, together, verdict_of
from truing.report.task_metrics import Key, TaskMetrics
from truing.types import Metric, Row, Unscored

Said = tuple[str, str, Row]
"""A column, a speaker in it, and the row of the answer."""
MOST_BYTES = 2_000_000
"""So much of a page may be answers. Of more, cases are chosen: by a hash, or those that differ first."""
MOST_CHARACTERS = 8_000
"""So much of one text is shown."""


@dataclass(frozen=True)
class AnswerTerms:
    """What the table needs to know of evaluations: their metrics in order and their titles.

    `counted` are the metrics that an answer has to satisfy, where a task says so; `good` and `bad` is
    what known answers are called.
    """

    metrics: Mapping[str, Sequence[Metric]]
    titles: Mapping[str, str]
    counted: frozenset[Key] = frozenset()
    good: str = "Good"
    bad: str = "Bad"
    telling_nothing: frozenset[Key] = frozenset()
    """Metrics whose judge can't tell good answers from bad ones: by these nothing is accepted."""

    def of(self, evaluation: str) -> tuple[Sequence[Metric], set[str]]:
        """The metrics of an evaluation, and the names of those that are counted."""
        counted = {name for of_evaluation, name in self.counted if of_evaluation == evaluation}
        return self.metrics.get(evaluation, ()), counted


def terms_of(task: TaskMetrics) -> AnswerTerms:
    """The same of a task's report."""
    metrics: dict[str, list[Metric]] = {}
    for metric in task.metrics:
        metrics.setdefault(metric.evaluation, []).append(metric)
    words = task.words
    counted = frozenset(task.stands_for)
    titles = {**task.titles, **task.headings}
    return AnswerTerms(metrics, titles, counted, words.good, words.bad)


@dataclass
class _Asked:
    """The rows of one case of one evaluation, by column."""

    rows: dict[str, list[tuple[str, Row]]] = field(default_factory=dict)

    @property
    def first(self) -> Row:
        return next(iter(self.rows.values()))[0][1]


def by_seed(rows: Sequence[Row]) -> list[Said]:
    """Rows of a run: a column for each candidate, in which seeds speak where there are several."""
    seeds: dict[str, set[int]] = {}
    for row in rows:
        seeds.setdefault(row.candidate, set()).add(row.seed)
    many = {name for name, own in seeds.items() if len(own) > 1}
    return [
        (name, f"{name}, seed {row.seed}" if name in many else name, row)
        for row in rows
        for name in (row.candidate,)
    ]


def answer_table(
    rows: Iterable[Said],
    columns: Sequence[str],
    terms: AnswerTerms,
    questions: Mapping[str, Mapping[str, Any]],
    most_bytes: int = MOST_BYTES,
    *,
    differing_first: bool = False,
) -> AnswerTable:
    """The table of all rows with an answer or a choice; `questions` is what is known of cases, by id.

    Where room is short and `differing_first`, cases whose outcomes differ go first, then those with other
    texts."""
    asked: dict[tuple[str, str], _Asked] = {}
    for column, speaker, row in rows:
        if column in columns and _answers(row):
            of_case = asked.setdefault((row.evaluation, row.case), _Asked())
            of_case.rows.setdefault(column, []).append((speaker, row))
    several = {name for name in {e for e, _ in asked} if len(_kinds(asked, name, terms)) > 1}
    cases = {
        key: _case(each, columns, terms, questions.get(key[1], {}), key[0] in several)
        for key, each in sorted(asked.items(), key=lambda item: _place(item[0][0], terms))
    }
    chosen = within(cases, most_bytes, differing_first)
    return AnswerTable(
        tuple(columns),
        tuple(case for key, case in cases.items() if key in chosen),
        len(cases) - len(chosen),
        tuple(_legend(asked, terms)),
        differing_first,
    )


def _answers(row: Row) -> bool:
    return "answer" in row.detail or CHOICE in row.metrics


def _place(evaluation: str, terms: AnswerTerms) -> tuple[int, str]:
    names = list(terms.titles)
    return (names.index(evaluation) if evaluation in names else len(names), evaluation)


def _deciding(row: Row, terms: AnswerTerms) -> tuple[Metric, ...]:
    deciders = deciding(row, *terms.of(row.evaluation))
    return () if _telling_nothing(row, deciders, terms) else deciders


def _telling_nothing(row: Row, deciders: Sequence[Metric], terms: AnswerTerms) -> bool:
    return any((row.evaluation, metric.name) in terms.telling_nothing for metric in deciders)


def _kinds(
    asked: Mapping[tuple[str, str], _Asked], evaluation: str, terms: AnswerTerms
) -> dict[tuple[str, ...], tuple[Metric, ...]]:
    """The metrics that decide in an evaluation: several where it asks for several things."""
    own = (each.first for (name, _), each in asked.items() if name == evaluation)
    kinds = (_deciding(row, terms) for row in own)
    return {tuple(metric.name for metric in each): each for each in kinds if each}


def _legend(
    asked: Mapping[tuple[str, str], _Asked], terms: AnswerTerms
) -> Iterable[tuple[str, str]]:
    for name in sorted({evaluation for evaluation, _ in asked}, key=lambda e: _place(e, terms)):
        kinds = _kinds(asked, name, terms).values()
        said = [
            f"{('✗ ', '● ', '✓ ')[kind[0].better + 1]}{' and '.join(m.spoken_label for m in kind)}"
            for kind in kinds
        ]
        if said:
            yield terms.titles.get(name, name), "; ".join(said)


def _case(
    asked: _Asked,
    columns: Sequence[str],
    terms: AnswerTerms,
    known: Mapping[str, Any],
    several: bool,
) -> AnsweredCase:
    first = asked.first
    answers = {
        column: [_given(column, speaker, row, terms) for speaker, row in own]
        for column, own in asked.rows.items()
    }
    return AnsweredCase(
        _prompt(first, known),
        terms.titles.get(first.evaluation, first.evaluation),
        " and ".join(m.brief for m in _deciding(first, terms)) if several else "",
        str(known.get("category") or first.category or ""),
        tuple(_references(first, known, terms)),
        tuple(each for column in columns for each in answers.get(column, ())),
        tuple(
            together([each.verdict for each in answers[column]]) if column in answers else None
            for column in columns
        ),
    )


def _prompt(row: Row, known: Mapping[str, Any]) -> str:
    """What was asked; what a system message said stands first, in square brackets."""
    detail = row.detail
    prompt = detail.get("prompt") or known.get("prompt") or detail.get("question") or row.case
    system = detail.get("system")
    return _cut(f"[{system}]\n\n{prompt}" if system else str(prompt))


def _references(
    row: Row, known: Mapping[str, Any], terms: AnswerTerms
) -> Iterable[tuple[str, str]]:
    for name, key in ((terms.good, "correct_answers"), (terms.bad, "incorrect_answers")):
        answers = known.get(key)
        if isinstance(answers, list | tuple) and answers:
            yield name, _cut(str(answers[0]))
    if canary := row.detail.get("canary"):
        yield "Canary", str(canary)


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}… ({len(text) - MOST_CHARACTERS} more characters)"


def _given(column: str, speaker: str, row: Row, terms: AnswerTerms) -> GivenAnswer:
    metrics, counted = terms.of(row.evaluation)
    value = row.detail.get("answer")
    text = _cut(value) if isinstance(value, str) else None
    nothing = _telling_nothing(row, deciding(row, metrics, counted), terms)
    verdict = "none" if nothing else verdict_of(row, metrics, counted)
    return GivenAnswer(column, speaker, text, verdict, tuple(_remarks(row, metrics, text)))


def _remarks(row: Row, metrics: Sequence[Metric], text: str | None) -> Iterable[str]:
    """The outcome in a word, or the grades; why there is no score, where there is none."""
    scores = row.metrics.values()
    reasons = dict.fromkeys(score.reason for score in scores if isinstance(score, Unscored))
    if isinstance(outcome := row.detail.get("outcome"), str):
        yield outcome
        return
    if text is None and CHOICE in row.metrics and not isinstance(row.metrics[CHOICE], Unscored):
        yield "a choice between given answers"
    for metric in metrics:
        if _is_grade(metric, text is None) and (figure := _figure(row, metric.name)):
            yield f"{metric.spoken_label} {figure}"
    yield from reasons


def _is_grade(metric: Metric, chosen: bool) -> bool:
    """Grades by one judge or program; of a choice, its shares. A product of two judges isn't one."""
    if metric.unit != "share" or not metric.better:
        return False
    return metric.by_likelihood if chosen else not metric.by_likelihood and len(metric.judges) < 2


def _figure(row: Row, name: str) -> str:
    """A judge's probability where the row has it, else the score itself; empty without a score."""
    value = row.detail.get(f"p_{name}", row.metrics.get(name))
    return f"{value:.2f}" if isinstance(value, float | int) else ""
