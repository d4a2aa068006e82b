"""Log-probabilities of every token of given texts, for programs that score through the completions API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from truing.models.engine.packing import PACK_TOKENS
from truing.models.engine.projection import CHUNK
from truing.models.engine.tree import PromptWithContinuations, TokenTree, common_prefix
from truing.models.language_model import LanguageModel

MOST_ALTERNATIVES = 5


@dataclass(frozen=True)
class ScoredToken:
    """A token's log-probability (nats) behind those before it, and that of the likeliest tokens there.

    None and no alternatives for a text's first token, which nothing predicts.
    """

    token: int
    log_prob: float | None
    likeliest: tuple[tuple[int, float], ...]


def score_texts(
    model: LanguageModel, rows: Sequence[Sequence[int]], alternatives: int
) -> list[list[ScoredToken]]:
    """Scores of all tokens of texts of at least one token each; what neighbours begin with, once.

    Equal, to rounding, to scoring each alone.
    """
    groups: list[list[Sequence[int]]] = []
    size = 0
    for row in rows:
        alike = bool(groups) and groups[-1][0][0] == row[0]
        if not alike or size + len(row) > PACK_TOKENS:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += len(row)
    return [scored for group in groups for scored in _score_group(model, group, alternatives)]


@torch.inference_mode()
def _score_group(
    model: LanguageModel, rows: Sequence[Sequence[int]], alternatives: int
) -> list[list[ScoredToken]]:
    """Of texts whose first token is the same."""
    shared = max(1, common_prefix(rows))
    prefix = list(rows[0][:shared])
    ends = [list(row[shared:]) for row in rows]
    requests = [PromptWithContinuations(prefix, [end for end in ends if end])]
    tree = TokenTree(requests, merge=True, device=model.device)
    hidden_NE = model.hidden(tree.tokens_N, tree.positions_N, tree)
    # The prefix stands first in the packed row.
    source_E = torch.cat((hidden_NE[: shared - 1], hidden_NE.index_select(0, tree.source_C)))
    inside = torch.tensor(prefix[1:], dtype=torch.long).to(model.device)
    target = torch.cat((inside, tree.target_C))
    scored = _scored(model, source_E, target, alternatives)
    beginning = [ScoredToken(prefix[0], None, ()), *scored[: shared - 1]]
    rest = iter(scored[shared - 1 :])
    return [[*beginning, *(next(rest) for _ in end)] for end in ends]


def _scored(
    model: LanguageModel, source_CE: Tensor, target_C: Tensor, alternatives: int
) -> list[ScoredToken]:
    found: list[ScoredToken] = []
    for source, target in zip(source_CE.split(CHUNK), target_C.split(CHUNK), strict=True):
        if not len(source):
            continue
        log_probs_NV = model.next_token_scores(source).log_softmax(-1)
        chosen = log_probs_NV.gather(-1, target[:, None])[:, 0].tolist()
        best = log_probs_NV.topk(min(alternatives, log_probs_NV.shape[-1]), dim=-1)
        for token, value, tokens, values in zip(
            target.tolist(), chosen, best.indices.tolist(), best.values.tolist(), strict=True
        ):
            found.append(ScoredToken(token, value, tuple(zip(tokens, values, strict=True))))
    return found


def log_probs_json(model: LanguageModel, scored: Sequence[ScoredToken]) -> dict[str, Any]:
    """The `logprobs` object of the completions API."""

    def written(token: int) -> str:
        text = model.tokenizer.decode([token])
        return text if isinstance(text, str) else "".join(text)

    tokens = [written(each.token) for each in scored]
    offsets, end = [], 0
    for text in tokens:
        offsets.append(end)
        end += len(text)
    likeliest: list[dict[str, float] | None] = []
    for each, text in zip(scored, tokens, strict=True):
        if each.log_prob is None:
            likeliest.append(None)
        else:  # different tokens may be written alike: the likeliest stands for them
            listed = {written(token): value for token, value in reversed(each.likeliest)}
            likeliest.append({**listed, text: max(each.log_prob, listed.get(text, each.log_prob))})
    return {
        "tokens": tokens,
        "token_logprobs": [each.log_prob for each in scored],
        "top_logprobs": likeliest,
        "text_offset": offsets,
    }
