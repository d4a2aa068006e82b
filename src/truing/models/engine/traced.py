"""How much memory a pass takes, found without weights: the pass itself, run on tensors without content.

PyTorch's fake tensors have shapes and precisions and no numbers, so that a pass of a model of any size
takes a moment and no memory. What it would take is counted as tensors come and go.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from truing.models.engine.attention import NAME
from truing.models.engine.making import ONE_AT_A_TIME
from truing.models.engine.tree import PromptWithContinuations, TokenTree


class PeakBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are made within it, at the moment when they are the most: `peaks`
    of each lap, of which there is one until `lap` begins another."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peaks = [0]
        self._now = 0
        self._live: set[int] = set()

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        """Runs an operator and notes what it made."""
        output = operator(*arguments, **(named or {}))
        given = {
            tensor.untyped_storage()._cdata
            for tensor in (*arguments, *(named or {}).values())
            if isinstance(tensor, Tensor)
        }
        tree_map_only(Tensor, lambda made: self._note(made, given), output)
        return output

    def lap(self) -> None:
        """Begins another lap, with what there is."""
        self.peaks.append(self._now)

    def _note(self, tensor: Tensor, given: set[int]) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live or key in given:
            return
        self._live.add(key)
        self._now += storage.nbytes()
        self.peaks[-1] = max(self.peaks[-1], self._now)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, count: int) -> None:
        self._live.discard(key)
        self._now -= count


def empty_model(config: PreTrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """The model of a configuration without its numbers, on PyTorch's meta device."""
    with ONE_AT_A_TIME, torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
    assert isinstance(model, PreTrainedModel)
    return model


Work = Callable[[PreTrainedModel, TokenTree, PeakBytes], object]
Requests = Sequence[PromptWithContinuations]


def peak_bytes(config: PreTrainedConfig, dtype: torch.dtype, requests: Requests, work: Work) -> int:
    """The most bytes beside the weights that `work` takes with the model of a configuration, on a tree of
    these texts.

    The model has attention plans, weights without numbers, and no gradients. It is run with its first
    layer, below which nothing has a gradient, and with as many others as there are different ones, once
    and twice; in each lap, each further one takes as much again.
    """
    layers = int(config.get_text_config().num_hidden_layers)
    few = _period(getattr(config.get_text_config(), "layer_types", None) or [""])
    least, most = 1 + few, 1 + 2 * few
    if most >= layers:
        return max(_peaks(config, dtype, requests, work))
    less, more = (
        _peaks(_with_layers(config, count), dtype, requests, work) for count in (least, most)
    )
    each = [(b - a) / few for a, b in zip(less, more, strict=True)]
    return max(round(b + e * (layers - most)) for b, e in zip(more, each, strict=True))


def _period(kinds: Sequence[str]) -> int:
    """After how many layers their kinds come again."""
    counts = range(1, len(kinds) + 1)
    return next(n for n in counts if list(kinds[n:]) == list(kinds[: len(kinds) - n]))


def _with_layers(config: PreTrainedConfig, count: int) -> PreTrainedConfig:
    few = copy.deepcopy(config)
    text = few.get_text_config()
    text.num_hidden_layers = count
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:count]
    return few


def _peaks(
    config: PreTrainedConfig, dtype: torch.dtype, requests: Requests, work: Work
) -> list[int]:
    # Another tree for each run: it keeps the masks that a run made, and the next would seem to need none.
    tree = TokenTree(requests)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with ONE_AT_A_TIME:
            model = AutoModelForCausalLM.from_config(
                config, dtype=dtype, attn_implementation=NAME, trust_remote_code=False
            )
        model.eval().requires_grad_(False)
        with PeakBytes() as counted:
            work(model, tree, counted)
        return list(counted.peaks)
