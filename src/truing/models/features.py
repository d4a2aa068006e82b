"""Hidden states of answers: what a frozen model has to say about a text, as a vector.

Used by reward models (linear probes) and as sentence embeddings. The pass stops at the layer asked
for; what lies above it is never computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from truing.models.language_model import LanguageModel, packs
from truing.models.tree import Branch, TokenTree

Features = NDArray[np.floating[Any]]
PACK_TOKENS = 1024  # tokens in one pass: its activations fit the processor's cache (see LOG.md)


class _Reached(Exception):
    """Thrown out of the forward pass when the wanted layer has been computed."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden = hidden


def _stop_here(module: nn.Module, inputs: Any, output: Any) -> None:
    hidden = output[0] if isinstance(output, tuple) else output
    raise _Reached(hidden[0] if hidden.dim() == 3 else hidden)


def _layers(model: LanguageModel) -> nn.ModuleList:
    body = model.model.base_model
    layers = getattr(body, "layers", None) or getattr(body, "h", None)
    assert isinstance(layers, nn.ModuleList), f"no list of layers in {type(body).__name__}"
    return layers


def hidden_at(model: LanguageModel, tree: TokenTree, layer: int) -> Tensor:
    """Hidden states (N, E) behind the given layer (counted from 1), in the model's precision."""
    if model.decoder is not None:
        return model.decoder.hidden(tree.tokens_N, tree.positions_N, tree, layer)
    handle = _layers(model)[layer - 1].register_forward_hook(_stop_here)
    try:
        model.hidden(tree.tokens_N, tree.positions_N, tree)
    except _Reached as reached:
        return reached.hidden
    finally:
        handle.remove()
    raise AssertionError("the forward pass ended without reaching the layer")


def middle_layer(model: LanguageModel) -> int:
    """The first layer, at 7/15 of the depth, where probes for truth do their best (see LOG.md)."""
    return max(1, round(7 / 15 * len(_layers(model))))


@torch.inference_mode()
def answer_features(model: LanguageModel, branches: Sequence[Branch], layer: int) -> Features:
    """Mean and last hidden state of each continuation, side by side: (continuations, 2 E), float32.

    Every continuation needs at least one token.
    """
    rows: list[Tensor] = []
    for pack in packs(branches, PACK_TOKENS):
        tree = TokenTree(pack, keep_last=True)
        hidden_NE = hidden_at(model, tree, layer).float()
        lengths = torch.tensor([len(c) for branch in pack for c in branch.continuations])
        last_B = tree.last_B
        own = torch.cat(
            [torch.arange(int(e - n) + 1, int(e) + 1) for e, n in zip(last_B, lengths, strict=True)]
        )
        total_BE = hidden_NE.new_zeros(len(lengths), hidden_NE.shape[1])
        total_BE.index_add_(0, tree.owner_C, hidden_NE[own])
        rows.append(torch.cat((total_BE / lengths[:, None], hidden_NE[last_B]), dim=1))
    return torch.cat(rows).numpy()
