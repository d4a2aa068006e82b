"""What choosing among more answers gains: reward and judged figures of the best of n, from one draw.

To each of some held-out cases `context.draws` answers are drawn; for every n up to that, the best of n by
the reward has an expected reward and an expected grade (statistics/best_of_n.py). Where the reward goes on
rising and grades don't, more choosing, or training, by this reward is of no use.

Likelihoods aren't asked for: how far the chosen answers are from what they are drawn from is at most
log n - (n - 1) / n, and that is what the figure says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.respondent import Respondent
from truing.types import Case, Completion, Metric, Row, Score, Unit, Unscored, stable_hash

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.rewards.reward import Answered

NAME = "best_of_n"
GAIN = "_gain"
"""Ends the name of what the best of all draws has more than the mean answer."""
REWARD = "reward"
ENDED, WORDS = "ended", "words"
"""What reward and judges may both like: in the rows, beside what is graded."""
NOT_HERE = Unscored("many answers are drawn from weights that are here alone")
CHOOSES = Unscored("its answers are the best of several already; see those of what it draws from")

Drawn = Sequence[Completion] | Unscored


def drawn_cases(context: EvalContext) -> Sequence[Case]:
    """The held-out cases that are asked: as many as the context says, chosen by a hash of their text."""
    order = sorted(context.held_out, key=lambda case: stable_hash("best of n", case.id))
    chosen = {case.id for case in order[: context.draw_cases]}
    return [case for case in context.held_out if case.id in chosen]


def best_of_n_rows(context: EvalContext, respondent: Respondent) -> list[Row]:
    """A row for each case: the best of all draws by reward, and what it has more than the mean answer.

    Its detail has reward and grades of every draw. No rows where the run has no reward.
    """
    reward = context.reward()
    if reward is None:
        return []
    cases = drawn_cases(context)
    drawn: Sequence[Drawn] = (
        [reward] * len(cases)
        if isinstance(reward, Unscored)
        else _drawn(context, respondent, cases)
    )
    return list(_rows(context, respondent, list(zip(cases, drawn, strict=True))))


def _drawn(context: EvalContext, respondent: Respondent, cases: Sequence[Case]) -> list[Drawn]:
    from truing.evaluate.local import LocalRespondent

    if not isinstance(respondent, LocalRespondent):
        return [NOT_HERE] * len(cases)
    if respondent.candidate.best_of_n is not None:
        return [CHOOSES] * len(cases)
    return [*respondent.draw(cases, context.max_new_tokens, context.draws, context.temperature)]


def _rows(
    context: EvalContext, respondent: Respondent, drawn: Sequence[tuple[Case, Drawn]]
) -> Iterator[Row]:
    from truing.rewards.reward import Answered

    answered = [
        [] if isinstance(answers, Unscored) else [Answered.of(case, each) for each in answers]
        for case, answers in drawn
    ]
    scores = _scores(context, [each for own in answered for each in own])
    start = 0
    for (case, answers), own in zip(drawn, answered, strict=True):
        of_case = {name: every[start : start + len(own)] for name, every in scores.items()}
        start += len(own)
        if isinstance(answers, Unscored):
            metrics = {REWARD: answers, f"{REWARD}{GAIN}": answers}
            yield context.row(respondent, NAME, case, metrics, {"rewards": [], "values": {}})
        else:
            detail = context.prompt_of(case) | _detail(own, of_case)
            yield context.row(respondent, NAME, case, _metrics(of_case), detail)


def _scores(context: EvalContext, answered: Sequence[Answered]) -> dict[str, list[Score]]:
    """Of every answer its reward, its grades (by the task's judges, else by those that learn), and what
    it may be liked for."""
    from truing.rewards.reward import scored

    reward = context.reward()
    if reward is None or isinstance(reward, Unscored) or not answered:
        return {}
    return {
        REWARD: scored(reward, answered),
        **_grades(context, answered),
        ENDED: [float(each.finished) for each in answered],
        WORDS: [float(len(each.answer.split())) for each in answered],
    }


def _grades(context: EvalContext, answered: Sequence[Answered]) -> dict[str, list[Score]]:
    from truing.rewards.reward import graded

    if graders := context.graders():
        return {name: graded(grade, answered) for name, grade in graders.items()}
    if context.judges is None or not any(case.incorrect_answers for case in context.held_out):
        return {}
    from truing.judges.graded import JUDGED, grade_metrics

    grades = context.judges().grade([(each.case, each.answer) for each in answered])
    metrics = [grade_metrics(grade) for grade in grades]
    return {name: [each[name] for each in metrics] for name in JUDGED}


def _metrics(scores: Mapping[str, Sequence[Score]]) -> dict[str, Score]:
    """Each figure of the best of all, and less that of the mean answer."""
    from truing.statistics.best_of_n import best_of_n

    rewards, metrics = scores[REWARD], dict[str, Score]()
    for name, values in scores.items():
        best, mean = (best_of_n(rewards, values, n) for n in (len(rewards), 1))
        metrics |= {name: best, f"{name}{GAIN}": _difference(best, mean)}
    return metrics


def _difference(one: Score, other: Score) -> Score:
    if isinstance(one, Unscored):
        return one
    return other if isinstance(other, Unscored) else one - other


def _detail(answered: Sequence[Answered], scores: Mapping[str, Sequence[Score]]) -> dict[str, Any]:
    """Every score as a number, or None; and the first answer of the largest reward."""
    numbers = {name: [_number(each) for each in values] for name, values in scores.items()}
    rewards = numbers.pop(REWARD)
    known = [(-reward, place) for place, reward in enumerate(rewards) if reward is not None]
    chosen = answered[min(known)[1]].answer if known else None
    return {"answer": chosen, "rewards": rewards, "values": numbers}


def _number(score: Score) -> float | None:
    return None if isinstance(score, Unscored) else score


def _pair(
    name: str, label: str, unit: Unit, what: str, judges: tuple[str, ...] = ()
) -> tuple[Metric, Metric]:
    """The metric of the best of all draws, and what it has more than the mean one.

    A gain may be below 0, so that its unit is never a share.
    """
    better: Literal[0, 1] = 1 if unit == "share" and name != ENDED else 0
    best = f"{what} that the reward likes best of all"
    of_gain: Unit = "reward" if unit == "share" else unit
    return (
        Metric(NAME, name, f"{label}, best of all draws", better, unit, best, judges=judges),
        Metric(
            NAME,
            f"{name}{GAIN}",
            f"{label}, gained by choosing",
            better,
            of_gain,
            "the same, less the mean of all draws",
            judges=judges,
        ),
    )


def best_of_n_metrics(judge: str, label: str, program: str) -> tuple[Metric, ...]:
    """The metrics of one of the task's judges."""
    return _pair(judge, label, "share", f"grade by {program} of the draw")


BEST_OF_N = Evaluation(
    name=NAME,
    title="Best of n, on held-out cases",
    about="many answers to some cases, the best by the run's reward (of a run, or RUN/candidates/NAME)",
    measure=best_of_n_rows,
    cases=drawn_cases,
    needs={"answers": (REWARD,), "reward": (REWARD,)},
    of_judge=best_of_n_metrics,
    headline=(REWARD,),
    short_title="Best of n",
    usual=False,
    metrics=(
        *_pair(REWARD, "Training reward", "reward", "reward of the draw"),
        *_pair("true", "True", "share", "judged truth of the draw", ("truth",)),
        *_pair(
            "informative",
            "Informative",
            "share",
            "judged informativeness of the draw",
            ("informative",),
        ),
        *_pair(
            "true_and_informative",
            "True and informative",
            "share",
            "both, of the draw",
            ("truth", "informative"),
        ),
        *_pair(ENDED, "Answers that ended", "share", "whether it ended, of the draw"),
        *_pair(WORDS, "Words", "tokens", "words of the draw"),
    ),
)
