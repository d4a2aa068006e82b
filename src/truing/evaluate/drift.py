"""How far a candidate has moved from the base, and how long its answers are.

    kl = sum_t KL( p(. | question, y_<t) || p_base(. | question, y_<t) ),   y ~ p

in nats per answer, over answers drawn from the candidate at temperature 1. Taking the whole
distribution at each token instead of the log ratio of the drawn one has the same expectation and less
variance. Candidate and base each see the question under their own prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.respondent import Respondent
from truing.types import Case, Metric, Row, Score, Unscored


def drift(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with answer_tokens (of the free answer, end token included), and kl for some questions.

    The base has no kl.
    """
    cases = context.held_out
    lengths = _lengths(context, respondent)
    kl = _distances(context, respondent, cases[: context.kl_questions])
    return [
        context.row(
            respondent,
            "drift",
            case,
            {"answer_tokens": length} | ({"kl": kl[place]} if place < len(kl) else {}),
        )
        for place, (case, length) in enumerate(zip(cases, lengths, strict=True))
    ]


def _lengths(context: EvalContext, respondent: Respondent) -> list[Score]:
    if reason := respondent.lacks.get("tokens"):
        return [Unscored(reason)] * len(context.held_out)
    answers = context.answer(respondent, context.held_out, tokens=True)
    return [a if isinstance(a, Unscored) else float(len(a.tokens)) for a in answers]


def _distances(
    context: EvalContext, respondent: Respondent, cases: Sequence[Case]
) -> Sequence[Score]:
    """The KL divergence of each case, or why there is none; nothing for the base itself."""
    if reason := respondent.lacks.get("distributions"):
        return [Unscored(reason)] * len(cases)
    from truing.evaluate.divergence import divergences
    from truing.evaluate.local import LocalRespondent

    assert isinstance(respondent, LocalRespondent), "whoever has distributions is here"
    base = context.base()
    if isinstance(base, Unscored):
        return [base] * len(cases)
    if respondent.candidate is base.candidate:
        return []
    drawn = context.answer(respondent, cases, temperature=1.0, tokens=True)
    return divergences(respondent, base, cases, drawn)


DRIFT = Evaluation(
    name="drift",
    title="Drift from base",
    about="how far the answers have moved from the base's",
    measure=drift,
    needs={"answers": ("answer_tokens",), "distributions": ("kl",), "base": ("kl",)},
    headline=("kl", "answer_tokens"),
    metrics=(
        Metric(
            "drift",
            "kl",
            "KL to base (nats)",
            -1,
            "nats",
            "how far the answers’ distribution has moved from base, per answer (less is nearer)",
            "KL to base, nats",
        ),
        Metric(
            "drift",
            "answer_tokens",
            "Answer length (tokens)",
            0,
            "tokens",
            "mean length of a free answer (neither good nor bad)",
            "Answer tokens",
        ),
    ),
)
