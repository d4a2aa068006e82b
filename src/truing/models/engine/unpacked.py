"""A model's own forward pass, one text a row: for models that can't share a prompt.

The packed tree needs an attention that can be replaced, and no other memory beside it. A model that has
none or more (ALiBi, recurrent layers, convolutions) is run as `transformers` runs it: slower, and the same
numbers, in scoring, sampling and learning alike. trial.py finds out which models these are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from truing.models.engine.tree import PromptWithContinuations, Tokens

LOGITS_AT_ONCE = 50_000_000
"""Bounds the memory of one pass: about 200 MB of logits in float32."""
CACHES = ("past_key_values", "cache_params")
"""Names under which models of `transformers` give and take what they remember of a text."""
SENTENCE = (
    "prompts can't be shared between answers in a model of this kind, so each text is run alone: "
    "slower, with the same figures."
)
"""What a user is told."""
UNCACHED = (
    " What it keeps of a text gives other figures than the text itself, so each token that it writes is "
    "computed from the whole text: slower still."
)
"""What is added where the cache of the model's own is wrong, or it has none."""

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


class Continued:
    """Texts of one length that go on side by side, through the cache of the model's own.

    Not `cached`, they are read anew from the beginning for every token.
    """

    def __init__(self, model: PreTrainedModel, *, cached: bool) -> None:
        self._model, self._cached = model, cached
        self._remembered: dict[str, Any] = {}
        self._length = 0
        takes = inspect.signature(model.forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    def logits(self, text_NT: Tensor) -> Tensor:
        """(N, V), float32, of the tokens behind texts that begin with those of the last call.

        Raises ValueError where there should be a cache and the model gives none.
        """
        output = self._model(
            input_ids=text_NT[:, self._length :],
            use_cache=self._cached,
            **self._remembered,
            **self._options,
        )
        if self._cached:
            self._remembered = _remembered(self._model, output)
            self._length = text_NT.shape[1]
        return output.logits[:, -1].float()  # type: ignore[no-any-return]


@torch.inference_mode()
def generate_alone(
    model: PreTrainedModel, prompts: Sequence[Tokens], steps: int, draw: Draw, *, cached: bool
) -> None:
    """Lets every prompt go on, `steps` tokens at most; `cached` as for Continued.

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
        continued = Continued(model, cached=cached)
        for step in range(steps):
            logits_NV = continued.logits(text_NT)
            going_N = torch.tensor(going).to(model.device)
            token_N, ended = draw([places[row] for row in going], logits_NV[going_N])
            # Rows that have ended repeat a token that nobody looks at.
            next_N = text_NT.new_zeros(len(places)).index_copy_(0, going_N, token_N)
            going = [row for row, end in zip(going, ended, strict=True) if not end]
            if not going or step == steps - 1:
                break
            text_NT = torch.cat((text_NT, next_N[:, None]), 1)


def _remembered(model: PreTrainedModel, output: Any) -> dict[str, Any]:
    """What the next pass is to be given of this one. Raises ValueError where the model keeps nothing."""
    takes = inspect.signature(model.forward).parameters
    given = {name: getattr(output, name, None) for name in CACHES if name in takes}
    caches = {name: cache for name, cache in given.items() if cache is not None}
    if not caches:
        raise ValueError("the model keeps nothing of what it reads")
    return caches
