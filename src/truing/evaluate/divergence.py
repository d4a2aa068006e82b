"""KL divergence of a candidate from a base, over answers that the candidate drew."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from truing.evaluate.local import LocalRespondent
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.language_model import LanguageModel
from truing.types import Case, Completion, Score, Unscored

_CHUNK = 128  # tokens whose two distributions over the vocabulary are in memory at once
_GROUP = 16  # answers that share a pass


def divergences(
    respondent: LocalRespondent,
    base: LocalRespondent,
    cases: Sequence[Case],
    answers: Sequence[Completion | Unscored],
) -> list[Score]:
    """KL to the base of each answer, summed over its tokens (nats). The base is asked its own way."""
    ours, theirs = respondent.candidate.model, base.candidate.model
    if _vocabulary(ours) != _vocabulary(theirs):
        return [
            Unscored("the base has another vocabulary: their distributions can't be compared")
        ] * (len(cases))
    places = [n for n, answer in enumerate(answers) if isinstance(answer, Completion)]
    chosen = [cases[n] for n in places]
    drawn = [answer.tokens for answer in answers if isinstance(answer, Completion)]
    prompts, base_prompts = respondent.prompts(chosen), base.prompts(chosen)
    scores: list[Score] = [a if isinstance(a, Unscored) else 0.0 for a in answers]
    for start in range(0, len(places), _GROUP):
        some = slice(start, start + _GROUP)
        kl = _kl(ours, prompts[some], theirs, base_prompts[some], drawn[some])
        for place, nats in zip(places[some], kl, strict=True):
            scores[place] = nats
    return scores


def _vocabulary(model: LanguageModel) -> tuple[int, dict[str, int]]:
    return int(model.model.config.get_text_config().vocab_size), model.tokenizer.get_vocab()


def _states(
    model: LanguageModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """States (C, E) before each answer token, and the number of the answer of each (C,)."""
    tree = TokenTree(
        [
            PromptWithContinuations(prompt, [answer])
            for prompt, answer in zip(prompts, answers, strict=True)
        ],
        device=model.device,
    )
    return model.states(tree), tree.owner_C


@torch.inference_mode()
def _kl(
    ours: LanguageModel,
    our_prompts: Sequence[Sequence[int]],
    theirs: LanguageModel,
    their_prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
) -> list[float]:
    ours_CE, owner_C = _states(ours, our_prompts, answers)
    theirs_CE, _ = _states(theirs, their_prompts, answers)
    totals = torch.zeros(len(answers), dtype=torch.float64)
    for our_CE, their_CE, owner in zip(
        ours_CE.split(_CHUNK), theirs_CE.split(_CHUNK), owner_C.split(_CHUNK), strict=True
    ):
        p = ours.next_token_scores(our_CE).log_softmax(-1)
        q = theirs.next_token_scores(their_CE).log_softmax(-1)
        totals.index_add_(0, owner.cpu(), (p.exp() * (p - q)).sum(-1).double().cpu())
    return totals.tolist()
