"""What the layers of each kind of model have that our own decoder runs: where families differ.

Gemma's norms multiply by 1 + weight; it has norms behind attention and feed-forward too, a GELU, and
embeddings times the square root of their size. Gemma 2 caps scores, Gemma 3 norms the heads of queries and
keys and turns them by one base where a window slides and by another where none does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedConfig

from truing.models.engine.attention import ScoreRule
from truing.models.engine.operators import GATES, Gate, rms_norm


@dataclass(frozen=True)
class Family:
    """Where a kind of model differs from Llama.

    `before` and `behind` name a layer's norms around attention and around feed-forward. `added_to_norms`
    is what is added to the weights of all its norms.
    """

    before: tuple[str, str] = ("input_layernorm", "post_attention_layernorm")
    behind: tuple[str, str] | None = None
    added_to_norms: float = 0.0
    turns_by_kind: bool = False
    caps_scores: bool = False


_GEMMA_NORMS: dict[str, Any] = {
    "before": ("input_layernorm", "pre_feedforward_layernorm"),
    "behind": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "added_to_norms": 1.0,
}
FAMILIES = {
    "llama": Family(),
    "mistral": Family(),
    "qwen2": Family(),
    "qwen3": Family(),
    "gemma2": Family(**_GEMMA_NORMS, caps_scores=True),
    "gemma3_text": Family(**_GEMMA_NORMS, turns_by_kind=True),
}
"""By `model_type`."""


def is_written_here(config: PreTrainedConfig) -> bool:
    """Whether our own decoder runs models of this configuration."""
    if config.model_type not in FAMILIES or _activation(config) not in GATES:
        return False
    if getattr(config, "use_bidirectional_attention", None):
        return False
    return float(getattr(config, "partial_rotary_factor", None) or 1.0) == 1.0


def _activation(config: PreTrainedConfig) -> str:
    name = getattr(config, "hidden_activation", None) or getattr(config, "hidden_act", "")
    return str(name)


class Norm:
    """A model's own root-mean-square norm, in few operators. `added`: what is added to its weight."""

    def __init__(self, module: Any, added: float) -> None:
        self._module, self._added = module, added
        self.eps = float(getattr(module, "variance_epsilon", None) or module.eps)
        self._sum: tuple[tuple[Any, ...], Tensor] | None = None

    def __call__(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Of the last axis, given as `dtype`."""
        # Off the processor one kernel does it where precisions are the same.
        kind = torch.float32 if x.device.type == "cpu" else dtype
        return rms_norm(x, self.gain(kind), self.eps, dtype)

    def gain(self, dtype: torch.dtype) -> Tensor:
        """What units are multiplied by; a sum is in `dtype`, a weight as it is."""
        weight: Tensor = self._module.weight
        if not self._added:
            return weight
        if torch.is_grad_enabled():
            return weight.float() + self._added
        state = (weight.data_ptr(), weight._version, dtype)
        if self._sum is None or self._sum[0] != state:
            self._sum = (state, (weight.float() + self._added).to(dtype))
        return self._sum[1]


class HeadNorms:
    """The norms of queries and of keys, of one size."""

    def __init__(self, query: Norm, key: Norm) -> None:
        self._query, self._key = query, key
        self._gains: tuple[list[int], Tensor] | None = None

    def __call__(self, heads_NHD: Tensor, queries: int, dtype: torch.dtype) -> Tensor:
        """Of heads of queries, then of keys."""
        query = self._query(heads_NHD[:, :queries], dtype)
        return torch.cat((query, self._key(heads_NHD[:, queries:], dtype)), dim=1)

    def at_once(self, heads_NHD: Tensor, queries: int, keys: int) -> Tensor:
        """The same in two kernels, without gradients; heads that are neither may come behind."""
        units = F.rms_norm(heads_NHD, heads_NHD.shape[-1:], None, self._query.eps)
        gains = [norm.gain(torch.float32) for norm in (self._query, self._key)]
        state = [gain.data_ptr() for gain in gains] + [gain._version for gain in gains]
        if self._gains is None or self._gains[0] != state:
            rows = [
                gain.expand(count, -1) for gain, count in zip(gains, (queries, keys), strict=True)
            ]
            self._gains = (state, torch.cat(rows))
        return units[:, : queries + keys].mul_(self._gains[1])


@dataclass(frozen=True)
class Parts:
    """What a layer has beside its matrix products.

    `before` and `behind`: norms around attention and around feed-forward. `turn`: the kind of layer that
    rotary embeddings are asked for; None where all have the same.
    """

    before: tuple[Norm, Norm]
    behind: tuple[Norm | None, Norm | None]
    of_heads: HeadNorms | None
    heads: tuple[int, int]
    rule: ScoreRule
    gate: Gate
    turn: str | None


def parts_of(layer: Any) -> Parts:
    """What a layer of a model that `is_written_here` has."""
    attention = layer.self_attn
    config = attention.config
    family = FAMILIES[config.model_type]
    mistral = config.model_type == "mistral"
    window = config.sliding_window if mistral else getattr(attention, "sliding_window", None)
    softcap = config.attn_logit_softcapping if family.caps_scores else None

    def norm(module: Any) -> Norm:
        return Norm(module, family.added_to_norms)

    first, second = (norm(getattr(layer, name)) for name in family.before)
    behind = [norm(getattr(layer, name)) for name in family.behind or ()]
    has_head_norms = getattr(attention, "q_norm", None) is not None
    return Parts(
        (first, second),
        (behind[0], behind[1]) if behind else (None, None),
        HeadNorms(norm(attention.q_norm), norm(attention.k_norm)) if has_head_norms else None,
        (config.num_attention_heads, config.num_key_value_heads),
        ScoreRule(float(attention.scaling), window, softcap),
        GATES[_activation(config)],
        attention.layer_type if family.turns_by_kind else None,
    )


def last_norm(body: Any) -> Norm:
    """The norm behind the last layer."""
    return Norm(body.norm, FAMILIES[body.config.model_type].added_to_norms)
