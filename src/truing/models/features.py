"""Hidden states of answers: what a frozen model has to say about a text, as a vector.

Used by reward models (linear probes) and as sentence embeddings. The pass stops at the layer asked
for; what lies above it is never computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from truing.models.engine.attention import AttentionPlan
from truing.models.engine.checkpointing import layers_of
from truing.models.engine.long_rows import Hidden, LongRow, in_pieces, is_long
from truing.models.engine.packing import HIDDEN_TOKENS, packs, smaller
from truing.models.engine.room import in_room
from truing.models.engine.threads import in_parallel
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.engine.unpacked import padded_batches, rows_of
from truing.models.language_model import LanguageModel
from truing.types import InputError

Features = NDArray[np.floating[Any]]
Embed = Callable[[Sequence[tuple[str, str]]], Features]
"""(pairs, 2 E) features of (question, answer) pairs."""


@dataclass
class CachedEmbedder:
    """An embedder that isn't asked twice in a row for the same pairs."""

    embed: Embed
    _pairs: list[tuple[str, str]] | None = None
    _features: Features | None = None

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """As `embed`; not to be written to."""
        if self._features is None or self._pairs != list(pairs):
            self._features, self._pairs = self.embed(pairs), list(pairs)
        return self._features


class _Reached(Exception):
    """Thrown out of the forward pass when the wanted layer has been computed."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden = hidden


def _stop_here(module: nn.Module, inputs: Any, output: Any) -> None:
    raise _Reached(output[0] if isinstance(output, tuple) else output)


def _layers(model: LanguageModel) -> nn.ModuleList:
    if (layers := layers_of(model.model)) is not None:
        return layers
    kind = type(model.model).__name__
    raise InputError(f"model: {kind} has no list of layers to take hidden states from")


def _hidden_behind(layer: nn.Module, run: Callable[[], object]) -> Tensor:
    """What the layer gives when the model is run; nothing above it is computed."""
    handle = layer.register_forward_hook(_stop_here)
    try:
        run()
    except _Reached as reached:
        return reached.hidden
    finally:
        handle.remove()
    raise AssertionError("the forward pass ended without reaching the layer")


def own_places(tree: TokenTree) -> list[Tensor]:
    """Packed places of each continuation's tokens in a tree that keeps last ones; none may be empty."""
    lengths = [len(c) for request in tree.requests for c in request.continuations]
    return [
        torch.arange(last - length + 1, last + 1)
        for last, length in zip(tree.last_B.tolist(), lengths, strict=True)
    ]


def hidden_at(model: LanguageModel, tree: TokenTree, layer: int) -> Tensor:
    """Hidden states (N, E) behind the given layer (counted from 1), in the model's precision.

    Of an unpacked model those of the continuations' tokens alone, the others 0.
    """
    if model.unpacked:
        return _alone(model, tree, _layers(model)[layer - 1])
    return _behind(model, layer)(tree.tokens_N, tree.positions_N, tree)


def _behind(model: LanguageModel, layer: int) -> Hidden:
    """What gives the hidden states behind a layer, of a model that follows plans."""
    if model.decoder is not None:
        return partial(model.decoder.hidden, layers=layer)

    def hidden(
        tokens_N: Tensor, positions_N: Tensor, plan: AttentionPlan, only_M: Tensor | None = None
    ) -> Tensor:
        run = partial(model.hidden, tokens_N, positions_N, plan, only_M)
        found = _hidden_behind(_layers(model)[layer - 1], run)
        return found[0] if found.dim() == 3 else found

    return hidden


def _alone(model: LanguageModel, tree: TokenTree, layer: nn.Module) -> Tensor:
    own, rows = own_places(tree), rows_of(tree.requests)
    hidden_NE = torch.zeros(0)
    for places, tokens_BT, mask_BT in padded_batches(model.model, rows):
        run = partial(model.model, input_ids=tokens_BT, attention_mask=mask_BT, use_cache=False)
        with model.precision():
            hidden_BTE = _hidden_behind(layer, run)
        if not len(hidden_NE):
            hidden_NE = hidden_BTE.new_zeros(len(tree.tokens_N), hidden_BTE.shape[-1])
        for place, hidden_TE in zip(places, hidden_BTE, strict=True):
            start = len(rows[place][0])
            place_T = own[place].to(hidden_NE.device)
            hidden_NE[place_T] = hidden_TE[start : start + len(place_T)]
    return hidden_NE


@torch.no_grad()
def last_hidden(model: LanguageModel, requests: Sequence[PromptWithContinuations]) -> Tensor:
    """Last hidden states (C, E) of the texts before each continuation token, in order."""
    if not model.unpacked:
        return model.states(TokenTree(requests, device=model.device))
    rows = rows_of(requests)
    # Nothing follows a last token, so it isn't read.
    read = [(prompt, continuation[:-1]) for prompt, continuation in rows]
    found: dict[int, Tensor] = {}
    for places, tokens_BT, mask_BT in padded_batches(model.model, read):
        with model.precision():
            body = model.model.base_model
            output = body(input_ids=tokens_BT, attention_mask=mask_BT, use_cache=False)
        for place, hidden_TE in zip(places, output.last_hidden_state, strict=True):
            start = len(rows[place][0]) - 1
            found[place] = hidden_TE[start : start + len(rows[place][1])]
    return torch.cat([found[place] for place in range(len(rows))])


def depth(model: LanguageModel) -> int:
    """How many layers the model has."""
    return len(_layers(model))


def middle_layer(model: LanguageModel) -> int:
    """The first layer, at 7/15 of the depth, where probes for truth do their best (see LOG.md)."""
    return max(1, round(7 / 15 * depth(model)))


@torch.inference_mode()
def answer_features(
    model: LanguageModel, requests: Sequence[PromptWithContinuations], layer: int
) -> Features:
    """Mean and last hidden state of each continuation, side by side: (continuations, 2 E), float32.

    Every continuation needs at least one token.
    """

    def vectors(pack: Sequence[PromptWithContinuations]) -> Tensor:
        if not model.unpacked and any(is_long(each, 0, model.pack_tokens) for each in pack):
            return torch.cat([_long_vectors(model, request, layer) for request in pack])
        return mean_and_last(model, pack, layer).cpu()

    def fitting(pack: Sequence[PromptWithContinuations]) -> Tensor:
        return torch.cat(in_room(vectors, pack, model.room, smaller))

    every = list(packs(requests, min(HIDDEN_TOKENS, model.pack_tokens)))
    return torch.cat(in_parallel(fitting, every, model.workers)).numpy()


def mean_and_last(
    model: LanguageModel, requests: Sequence[PromptWithContinuations], layer: int
) -> Tensor:
    """(continuations, 2 E) as `answer_features` gives them, of one pass. Differentiable."""
    tree = TokenTree(requests, keep_last=True, device=model.device)
    hidden_NE = hidden_at(model, tree, layer)
    hidden_NE = hidden_NE.to(torch.promote_types(hidden_NE.dtype, torch.float32))
    lengths = torch.tensor([len(c) for request in requests for c in request.continuations])
    total_BE = hidden_NE.new_zeros(len(lengths), hidden_NE.shape[1])
    own_C = torch.cat(own_places(tree)).to(model.device)
    total_BE.index_add_(0, tree.owner_C, hidden_NE[own_C])
    mean_BE = total_BE / lengths.to(model.device)[:, None]
    return torch.cat((mean_BE, hidden_NE[tree.last_B]), dim=1)


def _long_vectors(model: LanguageModel, request: PromptWithContinuations, layer: int) -> Tensor:
    """(continuations, 2 E): the same of texts too long for one pass."""
    found = []
    for continuation in request.continuations:
        tokens = [*request.prompt, *continuation]
        row, total_E = LongRow(len(tokens), model.device), torch.zeros((), device=model.device)
        for hidden_NE in in_pieces(_behind(model, layer), row, tokens, model.pack_tokens):
            own_NE = hidden_NE[max(0, len(request.prompt) - row.length) :].float()
            total_E = total_E + own_NE.sum(0)
        found.append(torch.cat((total_E / len(continuation), own_NE[-1])))
    return torch.stack(found).cpu()
