"""Wins against the base: how often a judge grades a candidate's answer above the base's to the same case.

For each judge of the task there are two figures: the share of cases that are won, a tie counting half
(the base against itself: 0.5), and the same share as it would be if both answers were of one length,
since judges tend to like the longer one (Dubois et al. 2024; see `truing.statistics.win_rate`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.graded_answers import scores_of
from truing.evaluate.respondent import Respondent
from truing.types import Case, Completion, Estimate, Metric, Row, Score, Unscored

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.rewards.reward import Answered
    from truing.rewards.rubrics.judge import ServedJudge

NAME = "wins"
CONTROLLED = "_length_controlled"
"""Ends the name of the figure at equal lengths; what stands before it is the judge."""
LONGER_BY = "longer_by"
"""What a row's detail calls the characters that the answer has more than the base's."""

Answer = Completion | Unscored


def wins(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with 1, 0.5 or 0 of each judge for every held-out case, and the difference in length.

    Unscored where either side has no answer or no grade, or where no base is known.
    """
    graders, cases = context.graders(), context.held_out
    answers, others = context.answer(respondent, cases), answers_of_base(context, cases)
    columns = {name: _wins(grade, cases, answers, others) for name, grade in graders.items()}
    return [
        context.row(
            respondent,
            NAME,
            case,
            {name: column[place] for name, column in columns.items()},
            detail(answers[place], others[place]),
        )
        for place, case in enumerate(cases)
    ]


def answers_of_base(context: EvalContext, cases: Sequence[Case]) -> Sequence[Answer]:
    """The base's answers to the same cases; where no base is known, the reason in place of each."""
    base = context.base()
    if isinstance(base, Unscored):
        return [base] * len(cases)
    return base.answer(cases, context.max_new_tokens)


def _wins(
    grade: Callable[[Answered], Score],
    cases: Sequence[Case],
    ours: Sequence[Answer],
    theirs: Sequence[Answer],
) -> list[Score]:
    """By one judge, whether each of our answers is the better one. A model behind an endpoint is shown
    both of them, in both orders; programs grade one at a time."""
    from truing.rewards.reward import graded
    from truing.rewards.rubrics.judge import ServedJudge

    if isinstance(grade, ServedJudge):
        return _compared(grade, cases, ours, theirs)
    of_ours, of_theirs = (
        scores_of(partial(graded, grade), cases, answers) for answers in (ours, theirs)
    )
    return list(map(win, of_ours, of_theirs))


def _compared(
    judge: ServedJudge, cases: Sequence[Case], ours: Sequence[Answer], theirs: Sequence[Answer]
) -> list[Score]:
    from truing.rewards.reward import Answered

    scores: dict[int, Score] = {}
    pairs: dict[int, tuple[Answered, Answered]] = {}
    for place, (case, one, other) in enumerate(zip(cases, ours, theirs, strict=True)):
        if isinstance(one, Unscored):
            scores[place] = one
        elif isinstance(other, Unscored):
            scores[place] = other
        elif one.text.strip() == other.text.strip():
            scores[place] = 0.5
        else:
            pairs[place] = (Answered.of(case, one), Answered.of(case, other))
    scores |= zip(pairs, judge.wins(list(pairs.values())), strict=True)
    return [scores[place] for place in range(len(cases))]


def win(ours: Score, theirs: Score) -> Score:
    """1 where ours is the higher one, 0 where theirs is, a tie being half; unscored where either is."""
    if isinstance(ours, Unscored):
        return ours
    if isinstance(theirs, Unscored):
        return theirs
    return 0.5 if ours == theirs else float(ours > theirs)


def detail(ours: Answer, theirs: Answer) -> dict[str, Any]:
    """Both answers, and the difference in length, for rows."""
    text, base = (None if isinstance(a, Unscored) else a.text.strip() for a in (ours, theirs))
    longer = None if text is None or base is None else len(text) - len(base)
    return {"answer": text, "base_answer": base, LONGER_BY: longer}


def win_rates(rows: Sequence[Row], seed: int) -> dict[str, Estimate]:
    """Each judge's win rate at equal lengths, from a candidate's rows; several seeds of a case pooled."""
    judges = dict.fromkeys(judge for row in rows for judge in row.metrics)
    return {f"{judge}{CONTROLLED}": win_rate(rows, judge, seed) for judge in judges}


def win_rate(rows: Sequence[Row], judge: str, seed: int) -> Estimate:
    """One judge's, from rows with their difference in length."""
    from truing.statistics.win_rate import length_controlled_win_rate

    scores = [(row, row.metrics[judge]) for row in rows if judge in row.metrics]
    by_case: dict[str, list[tuple[float, float]]] = {}
    for row, score in scores:
        longer = row.detail.get(LONGER_BY)  # rows that somebody wrote by hand may lack it
        if not isinstance(score, Unscored) and longer is not None:
            by_case.setdefault(row.case, []).append((score, longer))
    pooled = [
        [sum(part) / len(part) for part in zip(*by_case[case], strict=True)]
        for case in sorted(by_case)
    ]
    scored = sum(len(each) for each in by_case.values())
    return length_controlled_win_rate(
        [win for win, _ in pooled],
        [longer for _, longer in pooled],
        unscored=len(scores) - scored,
        seed=seed,
    )


def win_metrics(judge: str, label: str, program: str) -> tuple[Metric, ...]:
    """The two figures of one of the task's judges."""
    return (
        Metric(
            NAME,
            judge,
            f"Wins by {label}",
            1,
            "share",
            f"share of cases whose answer {program} grades above the base’s, ties half (base: 0.5)",
        ),
        Metric(
            NAME,
            f"{judge}{CONTROLLED}",
            f"Wins by {label}, length-controlled",
            1,
            "share",
            "the same, if both answers were of one length (Dubois et al. 2024)",
        ),
    )


WINS = Evaluation(
    name=NAME,
    title="Wins against the base, on held-out cases",
    about="answers that the task's judges grade above the base's (--task, --base)",
    metrics=(),
    of_judge=win_metrics,
    measure=wins,
    from_rows=win_rates,
    needs={"answers": (), "base": ()},
    usual=False,
)
