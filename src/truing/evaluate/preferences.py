"""Held-out pairs of answers: is what people chose likelier than what they rejected, and would people like
the candidate's own answers better than the base's?

The second is told by a reward model that was fitted to the held-out pairs alone, which nothing was trained
on. Length stands beside both: how often the longer answer is the one that was chosen, and wins as they
would be if both answers were of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.graded_answers import scores_of
from truing.evaluate.respondent import Respondent
from truing.evaluate.wins import CONTROLLED, answers_of_base, detail, win, win_rate
from truing.types import Case, Estimate, InputError, Metric, Row, Score, Unscored

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.data.preference_file import Preference
    from truing.types import Completion

NAME = "preferences"
NO_PAIRS = (
    "preferences: compares answers of which people preferred one, held out by 'truing align'; name their "
    "file as data.preferences of the task"
)
WINS = "wins"
Pairs = list["Preference"]


def preferred_cases(context: EvalContext) -> list[Case]:
    """The held-out prompts. Raises InputError where there are no pairs."""
    return [case for case, _ in _asked(context)]


def _asked(context: EvalContext) -> list[tuple[Case, Pairs]]:
    """Held-out prompts with their pairs, in the order of the held-out cases where they are such."""
    from truing.data.preferred_cases import case_of_pairs, pairs_by_prompt

    if context.pairs is None:
        raise InputError(NO_PAIRS)
    own = [(case_of_pairs(pairs), pairs) for pairs in pairs_by_prompt(context.pairs).values()]
    order = {case.id: number for number, case in enumerate(context.held_out)}
    return sorted(own, key=lambda each: order.get(each[0].id, len(order)))


def preferences(context: EvalContext, respondent: Respondent) -> list[Row]:
    """A row for each held-out prompt."""
    asked = _asked(context)
    cases = [_with_all_answers(case, pairs) for case, pairs in asked]
    choices = context.choose(respondent, cases, NAME)
    answers, others = context.answer(respondent, cases), answers_of_base(context, cases)
    won = _won(context, cases, answers, others)
    return [
        context.row(
            respondent,
            NAME,
            case,
            {
                "accuracy": accuracy(case, chosen, pairs),
                "longer_chosen": _mean([_order(len(p.chosen), len(p.rejected)) for p in pairs]),
                WINS: score,
            },
            {**detail(ours, theirs), "pairs": len(pairs)},
        )
        for case, (_, pairs), chosen, ours, theirs, score in zip(
            cases, asked, choices, answers, others, won, strict=True
        )
    ]


def _with_all_answers(case: Case, pairs: Pairs) -> Case:
    """With every answer that stands in a pair on its side, so that each is scored."""
    sides = ([p.chosen for p in pairs], [p.rejected for p in pairs])
    chosen, rejected = (tuple(dict.fromkeys(side)) for side in sides)
    return Case(
        case.prompt, chosen, rejected, source=case.source, messages=case.messages,
        columns=case.columns,
    )  # fmt: skip


def accuracy(case: Case, choices: object, pairs: Pairs) -> Score:
    """In how many pairs of a case the chosen answer is the likelier one, a tie being half."""
    from truing.evaluate.multiple_choice import Choices

    if isinstance(choices, Unscored):
        return choices
    if not isinstance(choices, Choices):
        return Unscored("answers were shown and picked by a letter, and have no likelihoods")
    if isinstance(choices.mc1, Unscored) and len({*choices.true, *choices.false}) > 1:
        return choices.mc1
    chosen = dict(zip(case.correct_answers, choices.true, strict=True))
    rejected = dict(zip(case.incorrect_answers, choices.false, strict=True))
    return _mean([_order(chosen[pair.chosen], rejected[pair.rejected]) for pair in pairs])


def _order(one: float, other: float) -> float:
    return 0.5 if one == other else float(one > other)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _won(
    context: EvalContext,
    cases: Sequence[Case],
    answers: Sequence[Completion | Unscored],
    others: Sequence[Completion | Unscored],
) -> list[Score]:
    """1, 0.5 or 0 of each case, by the reward model of the held-out pairs."""
    reward = context.pair_judge()
    if isinstance(reward, Unscored):
        return [reward] * len(cases)
    ours, theirs = (scores_of(reward, cases, side) for side in (answers, others))
    return list(map(win, ours, theirs))


def controlled(rows: Sequence[Row], seed: int) -> dict[str, Estimate]:
    """Wins at equal lengths, from a candidate's rows."""
    return {WINS + CONTROLLED: win_rate(rows, WINS, seed)}


def _metric(
    name: str, label: str, note: str, better: Literal[-1, 0, 1] = 1, *, likely: bool = False
) -> Metric:
    return Metric(NAME, name, label, better, "share", note, by_likelihood=likely)


PREFERENCES = Evaluation(
    name=NAME,
    title="Held-out preferences",
    about="held-out pairs of which people preferred one answer (truing align, data.preferences)",
    measure=preferences,
    cases=preferred_cases,
    source=lambda context: "held-out pairs",
    from_rows=controlled,
    needs={"likelihoods": ("accuracy",), "answers": (WINS,), "base": (WINS,)},
    headline=("accuracy", WINS),
    usual=False,
    metrics=(
        _metric(
            "accuracy",
            "Preference accuracy",
            "share of held-out pairs whose chosen answer is likelier than the rejected one",
            likely=True,
        ),
        _metric(
            WINS,
            "Wins by the reward model",
            "share of held-out prompts whose answer a reward model of the held-out pairs, which nothing "
            "was trained on, grades above the base’s, ties half (base: 0.5)",
        ),
        _metric(
            WINS + CONTROLLED,
            "Wins, length-controlled",
            "the same, if both answers were of one length (Dubois et al. 2024)",
        ),
        _metric(
            "longer_chosen",
            "Longer is chosen",
            "share of held-out pairs whose chosen answer is the longer one: what length alone would tell",
            0,
        ),
    ),
)
