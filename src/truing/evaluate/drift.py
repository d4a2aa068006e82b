"""How far a candidate has moved from the base, and how long its answers are.

    kl = sum_t KL( p(. | question, y_<t) || p_base(. | question, y_<t) ),   y ~ p

in nats per answer, over answers drawn from the candidate at temperature 1. Taking the whole
distribution at each token instead of the log ratio of the drawn one has the same expectation and less
variance. Candidate and base each see the question under their own prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from truing.candidates import Candidate
from truing.evaluate.answers import free_answers
from truing.evaluate.evaluation import EvalContext, Evaluation, Respondent
from truing.models.engine.tree import Branch, TokenTree
from truing.prompts.rendering import Prompt
from truing.types import Case, Metric, Row, Score

_CHUNK = 128  # tokens whose two distributions over the vocabulary are in memory at once


def _states(
    candidate: Candidate, prompt: Prompt, cases: Sequence[Case], answers: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """States (C, E) before each answer token, and the number of the answer of each (C,)."""
    branches = [
        Branch(candidate.renderer.case_tokens(prompt, case), [answer])
        for case, answer in zip(cases, answers, strict=True)
    ]
    tree = TokenTree(branches)
    return candidate.model.states(tree), tree.owner_C


@torch.inference_mode()
def _kl(
    candidate: Candidate, base: Candidate, cases: Sequence[Case], answers: Sequence[Sequence[int]]
) -> list[float]:
    """KL to the base of each answer, summed over its tokens (nats)."""
    ours_CE, owner_C = _states(candidate, candidate.prompt, cases, answers)
    theirs_CE, _ = _states(base, base.prompt, cases, answers)
    totals = torch.zeros(len(cases), dtype=torch.float64)
    for ours, theirs, owner in zip(
        ours_CE.split(_CHUNK), theirs_CE.split(_CHUNK), owner_C.split(_CHUNK), strict=True
    ):
        p = candidate.model.next_token_scores(ours).log_softmax(-1)
        q = base.model.next_token_scores(theirs).log_softmax(-1)
        totals.index_add_(0, owner, (p.exp() * (p - q)).sum(-1).double())
    return totals.tolist()


def drift(context: EvalContext, respondent: Respondent, group: int = 16) -> list[Row]:
    """Rows with answer_tokens (of the free answer, end token included), and kl for some questions.

    The base has no kl.
    """
    candidate = respondent.candidate
    lengths = [float(len(completion.tokens)) for completion in respondent.answers]
    kl: list[float | None] = [None] * len(lengths)
    if candidate.name != context.base.name:
        measured = context.held_out[: context.kl_questions]
        drawn = free_answers(candidate, measured, context.max_new_tokens, temperature=1.0)
        tokens = [completion.tokens for completion in drawn]
        for start in range(0, len(tokens), group):
            part = slice(start, min(start + group, len(tokens)))
            kl[part] = _kl(candidate, context.base, measured[part], tokens[part])
    rows = []
    for case, length, distance in zip(context.held_out, lengths, kl, strict=True):
        metrics: dict[str, Score] = {"answer_tokens": length}
        if distance is not None:
            metrics["kl"] = distance
        rows.append(respondent.row("drift", case, metrics=metrics))
    return rows


DRIFT = Evaluation(
    name="drift",
    title="Drift from base",
    about="how far the answers have moved from the base's",
    measure=drift,
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
