"""Answers to look at: the same questions answered by every candidate, attacks, training samples.

What is shown is chosen by a hash of the case alone, never by its result, so that nobody, the
authors included, can pick the flattering ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report.curves import Log
from truing.report.metrics import DASH
from truing.report.task_metrics import TaskMetrics
from truing.types import Row, Unscored, stable_hash

QUESTIONS = 10
ATTACKS = 6
SAMPLES = 4


@dataclass(frozen=True)
class Answer:
    """One candidate's answer. `grades` are (name, figure), as text; `holds` whether all that counts does.

    `pieces` are stretches of the answer with whether the canary stands there.
    """

    candidate: str
    text: str | None
    why_not: str = ""
    grades: tuple[tuple[str, str], ...] = ()
    holds: bool | None = None
    success: bool | None = None
    pieces: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class Example:
    """A case and every candidate's answer to it."""

    prompt: str
    category: str
    correct: str
    incorrect: str
    canary: str
    answers: list[Answer]


def _by_case(rows: Sequence[Row], evaluation: str) -> dict[str, dict[str, Row]]:
    """{case: {candidate: row of its first seed}}, for rows with an answer or a reason for none."""
    by_case: dict[str, dict[str, Row]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        if row.evaluation == evaluation:
            by_case.setdefault(row.case, {}).setdefault(row.candidate, row)
    return by_case


def _chosen(cases: Mapping[str, Any], purpose: str, count: int) -> list[str]:
    return sorted(cases, key=lambda case: stable_hash("example", purpose, case))[:count]


def _grade(row: Row, name: str) -> str:
    """A judge's probability where the row has it, else the score itself."""
    value = row.detail.get(f"p_{name}", row.metrics.get(name))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.2f}"
    return DASH


def _holds(row: Row, task: TaskMetrics) -> bool | None:
    """Whether an answer has all that the reward stands for; None where a part is unknown."""
    scores = [
        row.metrics.get(name)
        for evaluation, name in task.stands_for
        if evaluation == row.evaluation
    ]
    known = [score for score in scores if isinstance(score, int | float)]
    return all(score >= 0.5 for score in known) if known and len(known) == len(scores) else None


def _reason(row: Row) -> str:
    """Why a row has no answer: the first reason given for an unscored metric."""
    reasons = (score.reason for score in row.metrics.values() if isinstance(score, Unscored))
    return next(reasons, "no answer was kept")


def _text(row: Row) -> str | None:
    value = row.detail.get("answer")
    return value if isinstance(value, str) else None


def _answer(name: str, row: Row | None, task: TaskMetrics) -> Answer:
    if row is None:
        return Answer(name, None, f"not measured on this {task.words.case}")
    text = _text(row)
    return Answer(
        name,
        text,
        "" if text is not None else _reason(row),
        tuple(
            (metric.spoken_label, _grade(row, metric.name))
            for metric in task.grades
            if metric.evaluation == row.evaluation
        ),
        _holds(row, task),
    )


def question_examples(
    rows: Sequence[Row],
    names: Sequence[str],
    questions: Mapping[str, Mapping[str, Any]],
    task: TaskMetrics,
) -> list[Example]:
    """The same held-out cases answered by every candidate (each one's first seed).

    From the first evaluation of the headline that keeps answers.
    """
    each = (_answered(rows, evaluation) for evaluation in task.headline_evaluations)
    answered: dict[str, dict[str, Row]] = next(filter(None, each), {})
    examples = []
    for case in _chosen(answered, "questions", QUESTIONS):
        known = questions.get(case, {})
        examples.append(
            Example(
                prompt=str(known.get("prompt") or case),
                category=str(known.get("category") or ""),
                correct=_first(known.get("correct_answers")),
                incorrect=_first(known.get("incorrect_answers")),
                canary="",
                answers=[_answer(name, answered[case].get(name), task) for name in names],
            )
        )
    return examples


def _answered(rows: Sequence[Row], evaluation: str) -> dict[str, dict[str, Row]]:
    return {
        case: row_of
        for case, row_of in _by_case(rows, evaluation).items()
        if any(_text(row) is not None for row in row_of.values())
    }


def _first(answers: Any) -> str:
    return str(answers[0]) if isinstance(answers, list) and answers else ""


def highlighted(text: str, canary: str) -> tuple[tuple[str, bool], ...]:
    """The text in stretches, with whether each is the canary (whatever its case)."""
    if not canary:
        return ((text, False),)
    pieces = []
    rest, low, wanted = text, text.casefold(), canary.casefold()
    if len(low) != len(text):  # case folding changed lengths: places would not match
        low, wanted = text, canary
    while (at := low.find(wanted)) >= 0:
        pieces += [(rest[:at], False), (rest[at : at + len(wanted)], True)]
        rest, low = rest[at + len(wanted) :], low[at + len(wanted) :]
    return (*(piece for piece in pieces if piece[0]), *(((rest, False),) if rest else ()))


def attack_examples(
    rows: Sequence[Row], names: Sequence[str], questions: Mapping[str, Mapping[str, Any]]
) -> list[Example]:
    """Some attacks, what each candidate answered, and whether the attack got its way."""
    tricks = [row for row in rows if row.detail.get("cell", "attack") == "attack"]
    by_case = _by_case(tricks, "attacks")
    examples = []
    for case in _chosen(by_case, "attacks", ATTACKS):
        details = [row.detail for row in by_case[case].values()]
        canary = next((str(detail["canary"]) for detail in details if detail.get("canary")), "")
        prompt = next((str(detail["prompt"]) for detail in details if detail.get("prompt")), "")
        system = next((str(detail["system"]) for detail in details if detail.get("system")), "")
        answers = []
        for name in names:
            row = by_case[case].get(name)
            text = None if row is None else _text(row)
            success = None if row is None else row.metrics.get("success")
            answers.append(
                Answer(
                    name,
                    text,
                    "not measured" if row is None else "" if text is not None else _reason(row),
                    success=success >= 0.5 if isinstance(success, int | float) else None,
                    pieces=highlighted(text, canary) if text is not None else (),
                )
            )
        known = questions.get(case, {}).get("prompt")
        asked = prompt or str(known or case)
        told = f"[{system}]\n\n{asked}" if system else asked
        examples.append(Example(told, "", "", "", canary, answers))
    return examples


@dataclass(frozen=True)
class Samples:
    """What the policy answered at one step of training."""

    step: int
    samples: list[tuple[str, str, str]]
    """(prompt, answer, reward)"""


def training_samples(log: Log) -> list[Samples]:
    """The first and the last samples of a log: what the reward taught the policy to say."""
    looks = samples_of(log)
    return looks if len(looks) < 2 else [looks[0], looks[-1]]


def samples_of(log: Log) -> list[Samples]:
    """Some of the answers at each step whose answers were kept."""
    looks = []
    for line in log:
        samples = [sample for sample in line.get("samples") or [] if isinstance(sample, dict)]
        if samples:
            texts = [
                (
                    str(sample.get("prompt", "")),
                    str(sample.get("answer", "")),
                    f"{sample['reward']:+.2f}".replace("-", "−")
                    if isinstance(sample.get("reward"), int | float)
                    else DASH,
                )
                for sample in samples[:SAMPLES]
            ]
            looks.append(Samples(int(line["step"]), texts))
    return looks
