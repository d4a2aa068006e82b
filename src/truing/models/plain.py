"""Scoring through a model's own forward pass, one text a row: for models that can't share a prompt.

The packed tree needs an attention that can be replaced and logits that are the output layer's own.
A model that hides either (ALiBi, recurrent layers, scaled logits) is run as `transformers` runs it:
slower, and the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from truing.models.attention import use_plans
from truing.models.tree import Branch, Tokens, TokenTree
from truing.types import InputError

LOGITS_AT_ONCE = 50_000_000
"""Bounds the memory of one pass: about 200 MB of logits in float32."""
CLOSE = {torch.float32: 1e-3, torch.bfloat16: 0.3}
"""Nats that rounding may part the two ways by, for a token of the trial text."""


def alone(model: PreTrainedModel, rows: Sequence[tuple[Tokens, Tokens]]) -> list[Tensor]:
    """Log-probabilities of each continuation's tokens after its prompt, rows padded on the right."""
    found: list[Tensor | None] = [None] * len(rows)
    for batch in _batches(model, rows):
        whole = [[*rows[place][0], *rows[place][1]][:-1] for place in batch]
        longest = max(map(len, whole))
        tokens_BT = torch.tensor([[*row, *[0] * (longest - len(row))] for row in whole])
        mask_BT = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in whole])
        logits_BTV = model(
            input_ids=tokens_BT.to(model.device),
            attention_mask=mask_BT.to(model.device),
            use_cache=False,
        ).logits
        for row, place in enumerate(batch):
            prompt, continuation = rows[place]
            start = len(prompt) - 1
            scores_CV = logits_BTV[row, start : start + len(continuation)].float().log_softmax(-1)
            target_C = torch.tensor(list(continuation), dtype=torch.long, device=model.device)
            found[place] = scores_CV.gather(1, target_C[:, None])[:, 0]
    return [row for row in found if row is not None]


def _batches(model: PreTrainedModel, rows: Sequence[tuple[Tokens, Tokens]]) -> Iterator[list[int]]:
    """Places of rows of like length, as many as the memory for their logits allows."""
    budget = max(1, LOGITS_AT_ONCE // int(model.config.vocab_size))
    order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]) + len(rows[place][1]))
    batch: list[int] = []
    for place in order:
        length = sum(map(len, rows[place]))
        if batch and (len(batch) + 1) * length > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def score_alone(model: PreTrainedModel, branches: Sequence[Branch]) -> list[list[Tensor]]:
    """Token log-probabilities of every continuation of every prompt, in the order given."""
    rows = [(branch.prompt, c) for branch in branches for c in branch.continuations]
    scored = iter(alone(model, rows))
    return [[next(scored) for _ in branch.continuations] for branch in branches]


def trial(model: PreTrainedModel) -> TokenTree:
    """A small tree of arbitrary tokens, to see whether packed passes give the model's own numbers."""
    top = min(int(model.config.vocab_size), 1000) - 1
    tokens = [1 + (7919 * place) % top for place in range(24)]
    return TokenTree([Branch(tokens[:9], [tokens[9:14], tokens[14:16]]),
                      Branch([*tokens[:5], *tokens[16:20]], [tokens[20:]])])  # fmt: skip


def lets_plans_in(model: PreTrainedModel) -> bool:
    """Lets the model's attention follow plans where its code allows that; otherwise changes nothing."""
    try:
        use_plans(model)
    except InputError:
        return False
    return True


@torch.inference_mode()
def greedy_alone(
    model: PreTrainedModel, prompt: Tokens, max_new_tokens: int, end_tokens: Collection[int]
) -> list[int]:
    """The likeliest next tokens of one text, through `transformers`' own generation."""
    tokens_BT = torch.tensor([list(prompt)], device=model.device)
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(end_tokens) or None,
        pad_token_id=0,
    )
    found_BT = model.generate(  # type: ignore[operator]
        tokens_BT, attention_mask=torch.ones_like(tokens_BT), generation_config=settings
    )
    return [int(token) for token in found_BT[0, len(prompt) :]]
