"""Attention that follows a plan instead of a mask, for any `transformers` model that lets it in.

`transformers` looks its attention function up by name (AttentionInterface). The one registered here
leaves projections, norms and position embeddings to the model and hands queries, keys and values to
a *plan*: a packed tree of token segments (scoring, learning) or a growing cache (sampling). The rest
of the model sees one row of tokens without padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from truing.models.engine.projection import softcapped

NAME = "truing_plan"
MASKED = 1 << 24
"""Numbers of one mask, or of one matrix of scores over all heads: 64 MB in float32."""


@dataclass(frozen=True)
class ScoreRule:
    """What a layer does to the products of queries and keys before the softmax.

    They are multiplied by `scale`; a `softcap` c then turns a score s into c tanh(s / c); `window` is
    the number of positions back that a token sees, itself included (None: all). `sinks_H` are scores,
    one for each query head, of a key more that every token sees and that has no value: it takes its
    share of the weights and gives nothing.
    """

    scale: float
    window: int | None = None
    softcap: float | None = None
    sinks_H: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether kernels that know scores and a mask alone give the right weights."""
        return self.softcap is None and self.sinks_H is None

    def weights(self, scores: Tensor, *heads: int) -> Tensor:
        """Softmax over the last axis, the keys, with the sinks beside them.

        `heads`: the shape in which the sinks fit the scores' other axes and one key.
        """
        if self.sinks_H is None:
            return scores.softmax(-1)
        sinks = self.sinks_H.to(scores.dtype).view(heads).expand(*scores.shape[:-1], 1)
        return torch.cat((scores, sinks), dim=-1).softmax(-1)[..., :-1]


class AttentionPlan(Protocol):
    """Says which keys each query attends to."""

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """(N, H, D): attention of the N packed tokens.

        H query heads, K key heads (H a multiple of K), D sizes.
        """
        ...


_WITHOUT_EFFECT = frozenset({"cache_position", "position_ids"})
"""Tensors that some models hand on to an attention that has no use for them. Any other may choose among
keys or weigh them (sparse attention, relative positions)."""
_current: ContextVar[AttentionPlan | None] = ContextVar("plan", default=None)


@contextmanager
def following(plan: AttentionPlan) -> Iterator[None]:
    """For models that don't pass on to their layers what they are called with (StableLM, Nemotron)."""
    token = _current.set(plan)
    try:
        yield
    finally:
        _current.reset(token)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    plan: AttentionPlan | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The function that `transformers` calls in each layer; all of its rows are one packed row."""
    plan = _current.get() if plan is None else plan
    if plan is None:
        raise ValueError("attention follows a plan here, and was given none")
    for name, given in others.items():
        if isinstance(given, Tensor | float) and name not in _WITHOUT_EFFECT:
            raise ValueError(f"{name!r} is nothing that a plan knows of")
    if s_aux is not None and s_aux.shape != query.shape[1:2]:
        raise ValueError(f"a plan takes one sink a head, got {tuple(s_aux.shape)}")
    if query.shape[0] != 1:
        raise ValueError(f"a plan takes one packed row, got a batch of {query.shape[0]}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Latent attention (DeepSeek) has larger keys than values; zeros change neither scores nor sums.
    size, D = value.shape[-1], max(key.shape[-1], value.shape[-1])
    query_NHD, key_NKD, value_NKD = (
        F.pad(each[0].transpose(0, 1), (0, D - each.shape[-1]))
        if each.shape[-1] < D
        else each[0].transpose(0, 1)
        for each in (query, key, value)
    )
    output = plan.attend(
        int(module.layer_idx),  # type: ignore[arg-type]
        query_NHD,
        key_NKD,
        value_NKD,
        ScoreRule(scale, sliding_window, softcap, s_aux),
    )
    return output[..., :size].unsqueeze(0), None


# A plan carries its own mask. `transformers` makes none, and doesn't look at the positions of each pass
# (which waits for a card), for an attention without a mask function of its name.
AttentionInterface.register(NAME, _attention)


def use_plans(model: PreTrainedModel) -> bool:
    """Lets the model's attention follow plans where its code allows that; otherwise changes nothing.

    Not all that look attention up by name declare it, and not all that do have no other memory: a trial
    must tell (see trial.py).
    """
    allowed = bool(model._can_set_attn_implementation())
    if allowed:
        model.set_attn_implementation(NAME)
    return allowed


def grouped_attention(
    query_BHTD: Tensor,
    key_BKSD: Tensor,
    value_BKSD: Tensor,
    allowed_BTS: Tensor,
    rule: ScoreRule,
) -> Tensor:
    """Attention with grouped key heads under a mask, without copying keys for each query head.

    The H / K query heads that share a key head are laid behind one another as extra queries.
    `allowed_BTS` is boolean and has the rule's window in it; every query must see at least one key.
    Returns (B, H, T, D).
    """
    B, H, T, D = query_BHTD.shape
    K = key_BKSD.shape[1]
    dtype, device = query_BHTD.dtype, query_BHTD.device.type
    if dtype == torch.bfloat16 and query_BHTD.requires_grad and device == "cpu":
        # A processor's backward pass takes twice as long in bfloat16 as in float32.
        with torch.autocast(device, enabled=False):
            output = grouped_attention(
                query_BHTD.float(), key_BKSD.float(), value_BKSD.float(), allowed_BTS, rule
            )
        return output.to(dtype)
    folded = query_BHTD.reshape(B, K, (H // K) * T, D)
    mask = allowed_BTS.unsqueeze(1).repeat(1, 1, H // K, 1)
    if rule.plain:
        output = F.scaled_dot_product_attention(
            folded, key_BKSD, value_BKSD, attn_mask=mask, scale=rule.scale
        )
    else:
        scores = softcapped((folded @ key_BKSD.transpose(2, 3)) * rule.scale, rule.softcap)
        scores = scores.float().masked_fill(~mask, float("-inf"))
        weights = rule.weights(scores.view(B, K, H // K, T, -1), K, H // K, 1, 1)
        output = weights.flatten(2, 3).to(value_BKSD.dtype) @ value_BKSD
    return output.reshape(B, H, T, D)


def seen_before(start: int, low: int, end: int, window: int | None, device: torch.device) -> Tensor:
    """(1, T, S): which of the keys from `low` to `end` the tokens from `start` to `end` see: those up to
    themselves, at most `window` positions back."""
    position_T1 = torch.arange(start, end, device=device)[:, None]
    place_S = torch.arange(low, end, device=device)
    seen_TS = place_S <= position_T1
    if window is not None:
        seen_TS &= place_S > position_T1 - window
    return seen_TS[None]


def can_join(device: torch.device) -> bool:
    """Whether `joined_attention` works here: it needs the normalisers of the processor's kernel."""
    return device.type == "cpu" and not torch.is_grad_enabled()


def joined_attention(
    query_BHTD: Tensor,
    shared: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    allowed_BTS: Tensor,
    rule: ScoreRule,
) -> Tensor:
    """Attention to keys that all rows share, all of them visible, and to keys of each row's own.

    `shared` holds keys and values (K, R, D), `own` keys and values (B, K, S, D), under the mask
    `allowed_BTS`. Equal to attention over both together, without a copy of the shared ones for each
    row: two softmaxes are joined by their normalisers (as in Dao et al., 2022, section 3.1). No
    gradient. A sink of the rule's only adds to the normaliser; its window and softcap aren't for here.
    Returns (B, H, T, D).
    """
    B, H, T, D = query_BHTD.shape
    K, scale = shared[0].shape[0], rule.scale
    folded = query_BHTD.reshape(B, K, (H // K) * T, D)
    mask = torch.zeros(allowed_BTS.shape, dtype=folded.dtype).masked_fill_(
        ~allowed_BTS, float("-inf")
    )
    mask = mask.unsqueeze(1).repeat(1, 1, H // K, 1)
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    own_BKQD, own_normaliser = attend(folded, *own, attn_mask=mask, scale=scale)
    together = folded.transpose(0, 1).reshape(1, K, -1, D)
    keys, values = (part.unsqueeze(0) for part in shared)
    shared_1KQD, shared_normaliser = attend(together, keys, values, scale=scale)
    shape = (K, B, (H // K) * T)
    weight = torch.sigmoid(shared_normaliser.view(shape).transpose(0, 1) - own_normaliser)
    from_shared = shared_1KQD.view(*shape, D).transpose(0, 1)
    output = torch.lerp(own_BKQD.float(), from_shared.float(), weight.unsqueeze(-1))
    if rule.sinks_H is not None:
        normaliser = torch.logaddexp(shared_normaliser.view(shape).transpose(0, 1), own_normaliser)
        sinks_KQ = rule.sinks_H.float().view(K, -1).repeat_interleave(T, dim=1)
        output = output * torch.sigmoid(normaliser - sinks_KQ).unsqueeze(-1)
    return output.to(folded.dtype).reshape(B, H, T, D)
