"""How much memory a model needs, for what: by arithmetic on its configuration, without its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from truing.models.drawing import DRAWN
from truing.models.engine.checkpointing import layers_of
from truing.models.engine.decoder import Decoder
from truing.models.engine.int8 import stored_bytes
from truing.models.engine.memory import gigabytes, key_value_bytes
from truing.models.engine.packing import PACK_TOKENS
from truing.models.engine.sharding import matrices_of
from truing.models.engine.traced import PeakBytes, empty_model, peak_bytes
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.tensor_files import UNREADABLE
from truing.types import InputError

_DRAWING = 4  # copies of a row of scores while a token is drawn from it, in float32


@dataclass(frozen=True)
class Need:
    """What one kind of work takes, in bytes, by what they are for."""

    what: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.parts.values())

    def in_words(self) -> str:
        """'28.1 GB: 13.5 GB weights, ...', the largest first; what is below 50 MB isn't named."""
        named = sorted(self.parts.items(), key=lambda part: -part[1])
        listed = [f"{gigabytes(count)} {name}" for name, count in named if count >= 5e7]
        return f"{gigabytes(self.total)}: {', '.join(listed)}" if listed else gigabytes(self.total)

    def to_json(self) -> dict[str, Any]:
        """One entry of `truing doctor --model M --json`."""
        return {"what": self.what, "bytes": self.total, "parts": dict(self.parts)}


@dataclass(frozen=True)
class Texts:
    """The texts of one pass or one step: `prompts` of `prompt_tokens`, each with `answers` of `tokens`."""

    prompts: int
    answers: int
    tokens: int
    prompt_tokens: int = 64

    def requests(self) -> list[PromptWithContinuations]:
        """Texts of these lengths; what they say plays no part in how much they take."""
        answers = [[1] * self.tokens] * self.answers
        return [
            PromptWithContinuations([2 + number] + [1] * (self.prompt_tokens - 1), answers)
            for number in range(self.prompts)
        ]


SCORED = Texts(1, PACK_TOKENS * 3 // 4 // 128, 128, PACK_TOKENS // 4)
"""A pack that is full: `PACK_TOKENS` tokens, of which the prompt is a quarter."""


@dataclass(frozen=True)
class Footprint:
    """The arithmetic of one model in one precision, on a kind of device ('cpu', 'cuda')."""

    config: PreTrainedConfig
    model: PreTrainedModel
    dtype: torch.dtype
    device: str
    processes: int = 1
    """How many share out the matrices of the layers (compute.shard)."""

    @classmethod
    def of(
        cls,
        config: PreTrainedConfig,
        dtype: torch.dtype,
        device: str = "cpu",
        processes: int = 1,
    ) -> Footprint:
        """Raises InputError where `transformers` knows no causal language model of this kind, or it has
        nothing to share out over processes."""
        try:
            made = cls(config, empty_model(config, dtype), dtype, device, processes)
        except UNREADABLE as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"model: {config.model_type!r} can't be made ({reason})") from None
        if processes > 1 and layers_of(made.model) is None:
            raise InputError(
                f"model: {config.model_type!r} has no list of layers that could be shared out; take one "
                "process"
            )
        return made

    def numbers(self) -> int:
        """How many weights a process holds; those that are tied count once."""
        elsewhere = sum(m.numel() - self.share(m) for each in self.shared_out() for m in each)
        return sum(parameter.numel() for parameter in self.model.parameters()) - elsewhere

    def weights(self, dtype: torch.dtype | None = None) -> int:
        """Bytes of them."""
        return (dtype or self.dtype).itemsize * self.numbers()

    def shared_out(self) -> list[list[nn.Parameter]]:
        """The matrices of each layer, where each process holds its rows of them."""
        if self.processes == 1:
            return []
        layers = {id(layer): layer for layer in layers_of(self.model) or ()}
        return [list(matrices_of(layer)) for layer in layers.values()]

    def share(self, matrix: Tensor) -> int:
        """How many numbers of a matrix that is shared out each process holds at most."""
        return -(-len(matrix) // self.processes) * (matrix.numel() // len(matrix))

    def put_together(self, dtype: torch.dtype | None = None) -> dict[str, int]:
        """What a pass takes for the layer that it is in, where layers are shared out."""
        sizes = [sum(matrix.numel() for matrix in each) for each in self.shared_out()]
        each = (dtype or self.dtype).itemsize
        return {"a layer put together": each * max(sizes)} if sizes else {}

    def _linear(self) -> list[nn.Module]:
        head = self.model.get_output_embeddings()
        modules = self.model.modules()
        return [m for m in modules if isinstance(m, nn.Linear | Conv1D) and m is not head]

    def head_copy(self) -> int:
        """Bytes of the copy of the output layer that passes without gradients make on a processor."""
        head = self.model.get_output_embeddings()
        if not self._copies or not isinstance(head, nn.Module):
            return 0
        return self.dtype.itemsize * sum(parameter.numel() for parameter in head.parameters())

    def copies(self) -> int:
        """Bytes of all copies that passes without gradients make on a processor."""
        if not self._copies or self.processes > 1:  # layers that are shared out run as they are
            return self.head_copy()
        numbers = sum(p.numel() for layer in self._linear() for p in layer.parameters())
        return self.dtype.itemsize * numbers + self.head_copy()

    def int8_copies(self) -> int:
        """Bytes of the copies that a sampler with products in eight bits multiplies with."""
        head = self.model.get_output_embeddings()
        if not self._copies or not isinstance(head, nn.Module):
            return 0
        parts = [p for layer in (*self._linear(), head) for p in layer.parameters()]
        biases = sum(part.numel() for part in parts if part.ndim == 1)
        return sum(stored_bytes(part) for part in parts if part.ndim == 2) + 4 * biases

    @property
    def _copies(self) -> bool:
        return self.device == "cpu" and Decoder.supports(self.model)

    def cache(self, tokens: int) -> int:
        """Bytes of the keys and values of so many tokens."""
        return tokens * key_value_bytes(self.model, self.dtype)

    def _drawing(self) -> int:
        return DRAWN * int(self.config.get_text_config().vocab_size) * 4 * _DRAWING

    def _pass(self, requests: Sequence[PromptWithContinuations]) -> int:
        """Bytes that a pass without gradients takes while it runs, beside weights and copies."""

        def work(model: PreTrainedModel, tree: TokenTree, counted: PeakBytes) -> None:
            # In the model's own modules, which nothing is copied for: none of them has gradients.
            with torch.enable_grad():
                if Decoder.supports(model):
                    Decoder(model, self.dtype).hidden(tree.tokens_N, tree.positions_N, tree)
                    return
                model.base_model(
                    input_ids=tree.tokens_N[None],
                    position_ids=tree.positions_N[None],
                    plan=tree,
                    use_cache=False,
                )

        return peak_bytes(self.config, self.dtype, requests, work)

    def scoring(self) -> Need:
        """Scoring of packs like `SCORED`."""
        parts = {
            "weights": self.weights(),
            "copies of the weights": self.copies(),
            "activations": self._pass(SCORED.requests()),
            "logits": self._drawing(),
            **self.put_together(),
        }
        return Need("scoring", parts)

    def rollout(self, texts: Texts, policies: int = 1, *, int8: bool = False) -> Need:
        """Sampling an answer to each of the texts' prompts, side by side.

        `policies`: sets of weights that have copies: 2 where an adapter is sampled and its reference
        scored. `int8`: products of the first are in eight bits (compute.sampler).
        """
        first = self.int8_copies() if int8 else self.copies()
        prompts = [PromptWithContinuations(r.prompt, ()) for r in texts.requests()]
        # Prompts as they were computed, and as they are read.
        laid_out = 2 * texts.prompts * texts.prompt_tokens
        answers = texts.prompts * texts.answers * texts.tokens
        parts = {
            "weights": self.weights(),
            "copies of the weights": first + (policies - 1) * self.copies(),
            "activations": self._pass(prompts),
            "logits": self._drawing(),
            "key-value cache": self.cache(laid_out + answers),
            **self.put_together(),
        }
        return Need("rollout", parts)


def config_of(folder: Path) -> PreTrainedConfig:
    """The configuration in a model's folder. Raises InputError where it can't be used."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / 'config.json'}: can't be used ({reason})") from None
    assert isinstance(config, PreTrainedConfig)
    return config
