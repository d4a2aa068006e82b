"""Control questions: is what the model knew still there?"""

from __future__ import annotations

from truing.evaluate.evaluation import EvalContext, Evaluation, likelihoods, of_choice
from truing.evaluate.respondent import Respondent
from truing.types import Metric, Row

CHOICE = ("mc1", "mc2", "binary")


def trivia(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with mc1 and mc2 for each control question; with binary where they stand alone."""
    choices = context.choose(respondent, context.controls, "trivia")
    metrics = CHOICE if context.standalone else CHOICE[:2]
    return [
        context.row(
            respondent,
            "trivia",
            case,
            of_choice(chosen, metrics),
            likelihoods(chosen) if context.standalone else {},
        )
        for case, chosen in zip(context.controls, choices, strict=True)
    ]


TRIVIA = Evaluation(
    name="trivia",
    title="Capability kept",
    about="control questions without one (--controls)",
    measure=trivia,
    cases="controls",
    needs={"likelihoods": CHOICE},
    headline=("mc1",),
    short_title="Control questions",
    metrics=(
        Metric(
            "trivia",
            "mc1",
            "Control questions, MC1",
            1,
            "share",
            "plain questions without a misconception: is what the model could do still there?",
            "Controls MC1",
            phrase="MC1 on control questions",
            by_likelihood=True,
        ),
        Metric(
            "trivia",
            "mc2",
            "Control questions, MC2",
            1,
            "share",
            "the same, as a share of probability",
            "Controls MC2",
            phrase="MC2 on control questions",
            by_likelihood=True,
        ),
        Metric(
            "trivia",
            "binary",
            "Control questions, binary",
            1,
            "share",
            "the right answer against one wrong one",
            "Controls binary",
            phrase="binary on control questions",
            by_likelihood=True,
        ),
    ),
)
