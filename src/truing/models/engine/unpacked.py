"""A model's own forward pass, one text a row: for models that can't share a prompt.

The packed tree needs an attention that can be replaced and logits that are the output layer's own.
A model that hides either (ALiBi, attention sinks, recurrent layers, scaled logits) is run as
`transformers` runs it: slower, and the same numbers, in scoring, sampling and learning alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from truing.models.engine.attention import ScoreRule
from truing.models.engine.tree import PromptWithContinuations, Tokens, TokenTree

LOGITS_AT_ONCE = 50_000_000
"""Bounds the memory of one pass: about 200 MB of logits in float32."""
CACHES = ("past_key_values", "cache_params")
"""Names under which models of `transformers` give and take what they remember of a text."""
SENTENCE = (
    "prompts can't be shared between answers in a model of this kind, so each text is run alone: "
    "slower, with the same figures."
)
"""What a user is told."""

Row = tuple[Tokens, Tokens]  # a prompt and its continuation
Draw = Callable[[Sequence[int], Tensor], tuple[Tensor, list[bool]]]


def rows_of(requests: Sequence[PromptWithContinuations]) -> list[Row]:
    """Every continuation with its prompt, in order."""
    return [(request.prompt, c) for request in requests for c in request.continuations]


def padded_batches(
    model: PreTrainedModel, rows: Sequence[Row]
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Places of rows of like length, their tokens (B, T) and mask (B, T), padded on the right.

    Each batch holds as many as the memory for their logits allows. A causal model looks at nothing
    on its right, so that padding changes no number.
    """
    budget = max(1, LOGITS_AT_ONCE // int(model.config.get_text_config().vocab_size))
    order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]) + len(rows[place][1]))
    batch: list[int] = []
    for place in order:
        length = sum(map(len, rows[place]))
        if batch and (len(batch) + 1) * length > budget:
            yield _padded(rows, batch, model.device)
            batch = []
        batch.append(place)
    if batch:
        yield _padded(rows, batch, model.device)


def _padded(
    rows: Sequence[Row], places: list[int], device: torch.device
) -> tuple[list[int], Tensor, Tensor]:
    whole = [[*rows[place][0], *rows[place][1]] for place in places]
    longest = max(map(len, whole))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in whole])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in whole])
    return places, tokens.to(device), mask.to(device)


def logits_alone(
    model: PreTrainedModel, requests: Sequence[PromptWithContinuations]
) -> Iterator[tuple[int, Tensor]]:
    """For each continuation its number and the logits (C, V), float32, before each of its tokens.

    In any order. Differentiable.
    """
    rows = rows_of(requests)
    # Nothing follows a last token: it isn't read, and needs no room in the model's context.
    read = [(prompt, continuation[:-1]) for prompt, continuation in rows]
    for places, tokens_BT, mask_BT in padded_batches(model, read):
        output = model(input_ids=tokens_BT, attention_mask=mask_BT, use_cache=False)
        for logits_TV, place in zip(output.logits, places, strict=True):
            start = len(rows[place][0]) - 1
            yield place, logits_TV[start : start + len(rows[place][1])].float()


def log_probs_alone(
    model: PreTrainedModel,
    requests: Sequence[PromptWithContinuations],
    temperature: float = 1.0,
    *,
    entropies: bool = False,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (C,) of all continuation tokens in order; the distributions' entropies (C,),
    zeros where they aren't asked for. Nats, float32, differentiable."""
    rows = rows_of(requests)
    nothing = torch.zeros(0, device=model.device)
    found, spread = [nothing] * len(rows), [nothing] * len(rows)
    for place, logits_CV in logits_alone(model, requests):
        scores_CV = (logits_CV / temperature).log_softmax(-1)
        target_C = torch.tensor(list(rows[place][1]), dtype=torch.long, device=model.device)
        found[place] = scores_CV.gather(1, target_C[:, None])[:, 0]
        spread[place] = torch.zeros_like(found[place])
        if entropies:
            # A token that can't be drawn adds nothing: 0 log 0 = 0.
            spread[place] = -(scores_CV.exp() * scores_CV.clamp(min=-1e4)).sum(-1)
    return torch.cat([nothing, *found]), torch.cat([nothing, *spread])


@torch.inference_mode()
def generate_alone(
    model: PreTrainedModel, prompts: Sequence[Tokens], steps: int, draw: Draw
) -> None:
    """Lets every prompt go on, `steps` tokens at most, through the cache of the model's own.

    `draw` gets N places of prompts and the logits (N, V), float32, of their next tokens; it gives the
    tokens (N,) and whether each ends its row. Only prompts of one length share a pass:
    padding on the left would change what recurrent layers remember.
    """
    by_length: dict[int, list[int]] = {}
    for place, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(place)
    for places in by_length.values():
        text_NT = torch.tensor([list(prompts[place]) for place in places]).to(model.device)
        going = list(range(len(places)))
        remembered: dict[str, Any] = {}
        fresh_NT = text_NT
        for step in range(steps):
            output = model(input_ids=fresh_NT, use_cache=True, **remembered)
            logits_NV = output.logits[:, -1].float()
            going_N = torch.tensor(going).to(model.device)
            token_N, ended = draw([places[row] for row in going], logits_NV[going_N])
            # Rows that have ended repeat a token that nobody looks at.
            next_N = text_NT.new_zeros(len(places)).index_copy_(0, going_N, token_N)
            going = [row for row, end in zip(going, ended, strict=True) if not end]
            if not going or step == steps - 1:
                break
            text_NT = torch.cat((text_NT, next_N[:, None]), 1)
            remembered = _remembered(model, output)
            fresh_NT = text_NT[:, -1:] if remembered else text_NT


def _remembered(model: PreTrainedModel, output: Any) -> dict[str, Any]:
    """What the next pass is to be given of this one; nothing where the model keeps nothing."""
    takes = inspect.signature(model.forward).parameters
    given = {name: getattr(output, name, None) for name in CACHES if name in takes}
    return {name: cache for name, cache in given.items() if cache is not None}


# --- Whether a model is one of these ----------------------------------------------------------


class ProbeTree(TokenTree):
    """A small tree of arbitrary tokens, which notes the windows that attention is told of."""

    def __init__(self, model: PreTrainedModel) -> None:
        top = min(int(model.config.get_text_config().vocab_size), 1000) - 1
        tokens = [1 + (7919 * place) % top for place in range(24)]
        requests = (
            PromptWithContinuations(tokens[:9], [tokens[9:14], tokens[14:16]]),
            PromptWithContinuations([*tokens[:5], *tokens[16:20]], [tokens[20:]]),
        )
        super().__init__(requests, device=model.device)
        self.windows: set[int | None] = set()

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        self.windows.add(rule.window)
        return super().attend(layer, query_NHD, key_NKD, value_NKD, rule)


def agree(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether log-probabilities that were computed in `dtype` differ by rounding alone."""
    apart = (found - expected).abs()
    if dtype in (torch.float32, torch.float64):
        return bool(apart.max() <= 1e-3)
    return bool(apart.mean() <= 0.3)


def hides_a_window(model: PreTrainedModel, windows: set[int | None]) -> bool:
    """Whether the configuration speaks of a window, longer than the probe, that attention isn't told
    of: it would stand in a mask, which plans don't read."""
    config = model.config.get_text_config()
    set_ = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    kinds = getattr(config, "layer_types", None)
    used = kinds is None or any(kind != "full_attention" for kind in kinds)
    return used and any(set_) and windows <= {None}
