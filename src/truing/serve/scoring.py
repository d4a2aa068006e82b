"""Log-probabilities of every token of given texts, for programs that score through the completions API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from truing.models.engine.attention import MASKED
from truing.models.engine.long_rows import LongRow, in_pieces
from truing.models.engine.memory import attention_heads, key_value_bytes
from truing.models.engine.nesting import common_prefix
from truing.models.engine.packing import PACK_TOKENS
from truing.models.engine.projection import CHUNK
from truing.models.engine.room import halves, in_room
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.templates.speech import text_of

MOST_ALTERNATIVES = 5
TOKEN_BYTES, ALTERNATIVE_BYTES = 600, 250
"""What a scored token takes at most until it is sent: as numbers, as a document and as JSON."""


class GivenUp(Exception):
    """Nobody waits for the scores any more."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token's log-probability (nats) behind those before it, and that of the likeliest tokens there.

    None and no alternatives for a text's first token, which nothing predicts.
    """

    token: int
    log_prob: float | None
    likeliest: tuple[tuple[int, float], ...]


def scoring_bytes(model: LanguageModel, lengths: Sequence[int], alternatives: int) -> int:
    """Memory that scoring texts of so many tokens takes, and what is answered of them, at most."""
    config, size = model.model.config.get_text_config(), model.dtype.itemsize
    longest = max(lengths)
    kept = key_value_bytes(model.model, model.dtype) * longest
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    activations = min(longest, PACK_TOKENS) * (8 * config.hidden_size + 3 * inner) * size
    # A mask for each head at most, as booleans and as numbers; scores beside it.
    heads = attention_heads(config)
    masked = 3 * 4 * min(MASKED, heads * min(longest, PACK_TOKENS) ** 2)
    logits = 3 * 4 * (longest if model.unpacked else CHUNK) * int(config.vocab_size)
    answered = sum(lengths) * (TOKEN_BYTES + alternatives * ALTERNATIVE_BYTES)
    return int(kept + activations + masked + logits + answered)


def score_texts(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    alternatives: int,
    gone: Callable[[], bool] = lambda: False,
) -> list[list[ScoredToken]]:
    """Scores of all tokens of texts of at least one token each; what neighbours begin with, once.

    Equal, to rounding, to scoring each alone. Raises GivenUp, between two passes, where `gone` says so.
    """
    groups: list[list[Sequence[int]]] = []
    size, most = 0, min(PACK_TOKENS, model.pack_tokens)
    for row in rows:
        alike = bool(groups) and groups[-1][0][0] == row[0]
        if not alike or size + len(row) > most:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += len(row)

    def score(group: Sequence[Sequence[int]]) -> list[list[ScoredToken]]:
        if model.unpacked:
            return [_score_alone(model, row, alternatives) for row in group]
        if len(group) == 1 and len(group[0]) > min(PACK_TOKENS, model.pack_tokens):
            return [_score_long(model, group[0], alternatives, gone)]
        return _score_group(model, group, alternatives)

    found: list[list[ScoredToken]] = []
    for group in groups:
        if gone():
            raise GivenUp
        for scored in in_room(score, group, model.room, halves):
            found += scored
    return found


@torch.inference_mode()
def _score_long(
    model: LanguageModel, tokens: Sequence[int], alternatives: int, gone: Callable[[], bool]
) -> list[ScoredToken]:
    """Of a text too long for one pass."""
    row = LongRow(len(tokens) - 1, model.device)
    scored = [ScoredToken(tokens[0], None, ())]
    for hidden_NE in in_pieces(model.hidden, row, tokens[:-1], model.pack_tokens):
        if gone():
            raise GivenUp
        target = torch.tensor(tokens[len(scored) : len(scored) + len(hidden_NE)])
        target = target.to(model.device)
        scored += _scored(model, hidden_NE, target, alternatives)
    return scored


@torch.inference_mode()
def _score_alone(
    model: LanguageModel, tokens: Sequence[int], alternatives: int
) -> list[ScoredToken]:
    """Of one text, by a model that follows no plan."""
    tree = TokenTree([PromptWithContinuations(tokens[:1], [tokens[1:]])], device=model.device)
    scored = _scored(model, model.states(tree), tree.target_C, alternatives)
    return [ScoredToken(tokens[0], None, ()), *scored]


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
        return text_of(model.tokenizer, [token])

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
