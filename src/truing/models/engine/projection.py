"""Log-probabilities of given tokens, computed from hidden states in chunks of the vocabulary matrix.

A row of logits has as many numbers as the vocabulary; kept for every token they would be the largest
thing in memory. Here each chunk's logits live only while they are needed, and the backward pass
computes them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedConfig

from truing.models.engine.embedding import gradient_sum

CHUNK = 64  # rows of logits alive at once: 13 MB for a vocabulary of 49,152, which caches hold
LEARNING_CHUNK = 128  # products with a plain weight want more rows
KEPT_BYTES = 128 << 20  # of probabilities that a pass keeps for its gradient
_MULTIPLY = frozenset({"hyperclovax"})  # by what others call by the same name and divide by


class _Scores(TypedDict):
    softcap: float | None
    temperature: float


@dataclass(frozen=True)
class LogitRule:
    """What a model does to the numbers of its output layer: times `scale`, then the `softcap`."""

    scale: float = 1.0
    softcap: float | None = None

    @staticmethod
    def of(config: PreTrainedConfig) -> LogitRule:
        """Going by its configuration: Cohere's and Falcon-H1's name a factor, Granite's a divisor, Gemma
        2's a softcap. The trial at loading tells whether that is right."""
        softcap = getattr(config, "final_logit_softcapping", None)
        for name in ("logit_scale", "lm_head_multiplier", "logits_scaling"):
            value = getattr(config, name, None)
            if isinstance(value, int | float) and value > 0:
                divides = name == "logits_scaling" and config.model_type not in _MULTIPLY
                return LogitRule(1 / value if divides else float(value), softcap)
        return LogitRule(softcap=softcap)

    def scaled(self, logits: Tensor) -> Tensor:
        """Without the softcap."""
        return logits if self.scale == 1 else logits * self.scale

    def of_output_layer(self, temperature: float) -> _Scores:
        """The softcap and temperature that give the same scores from unscaled numbers x:
        c tanh(s x / c) / T is (c / s) tanh(x / (c / s)) / (T / s)."""
        softcap = None if self.softcap is None else self.softcap / self.scale
        return {"softcap": softcap, "temperature": temperature / self.scale}


def logits(
    hidden_NE: Tensor, weight_VE: Tensor, bias_V: Tensor | None, softcap: float | None
) -> Tensor:
    """Unnormalised log-probabilities (N, V) in float32."""
    return softcapped(torch.nn.functional.linear(hidden_NE, weight_VE, bias_V).float(), softcap)


def softcapped(scores: Tensor, softcap: float | None) -> Tensor:
    """c tanh(scores / c) for a softcap c, the scores themselves without one."""
    return scores if softcap is None else softcap * torch.tanh(scores / softcap)


def _at_temperature(scores_NV: Tensor, temperature: float) -> Tensor:
    return scores_NV if temperature == 1 else scores_NV.div_(temperature)


def _normalisers(scores_NV: Tensor) -> Tensor:
    """Log of the sum of exp(score) of each row: (N,).

    Leaves in the scores what is proportional to the probabilities: exp(score - highest score).
    """
    top_N1 = scores_NV.amax(-1, keepdim=True)
    total_N = scores_NV.sub_(top_N1).exp_().sum(-1)
    return total_N.log_().add_(top_N1[:, 0])


def _normalised(scores_NV: Tensor, target_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the targets and log normalisers, (N,) each; the scores as _normalisers."""
    chosen_N = scores_NV.gather(-1, target_N[:, None])[:, 0]
    normaliser_N = _normalisers(scores_NV)
    return chosen_N - normaliser_N, normaliser_N


def frozen_token_log_probs(
    hidden_NE: Tensor,
    head: Callable[[Tensor], Tensor],
    row_C: Tensor,
    target_C: Tensor,
    *,
    softcap: float | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """As `token_log_probs`, without gradients, through any function to logits (N, V).

    `row_C` names the hidden state that each of the C targets follows; several may follow one.
    """
    log_prob_C = torch.empty(len(target_C), dtype=torch.float32, device=target_C.device)
    for start in range(0, len(hidden_NE), CHUNK):
        here = ((row_C >= start) & (row_C < start + CHUNK)).nonzero()[:, 0]
        # A copy: the logits may belong to somebody else.
        scores = head(hidden_NE[start : start + CHUNK]).to(torch.float32, copy=True)
        scores = _at_temperature(softcapped(scores, softcap), temperature)
        row = row_C[here] - start
        chosen = scores[row, target_C[here]]
        log_prob_C[here] = chosen - _normalisers(scores)[row]
    return log_prob_C


def _add_onehot(rows_NV: Tensor, target_N: Tensor) -> Tensor:
    """Adds 1 at the target of each row, in place."""
    return rows_NV.scatter_add_(1, target_N[:, None], torch.ones_like(rows_NV[:, :1]))


class _TokenLogProbs(torch.autograd.Function):
    """log softmax(h W^T / temperature)[target]; its gradient is (onehot - p) W / temperature.

    The first rows keep their p, as `KEPT_BYTES` allows; those of the others are computed again in the
    backward pass. `_TokenLogProbsOfFrozen` needs neither.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden_NE: Tensor, weight_VE: Tensor, target_N: Tensor, temperature: float
    ) -> Tensor:
        log_probs, normalisers, room = [], [], KEPT_BYTES
        kept: dict[int, Tensor] = {}
        for start in range(0, len(hidden_NE), LEARNING_CHUNK):
            part = slice(start, start + LEARNING_CHUNK)
            hidden, target = hidden_NE[part], target_N[part]
            scores = _at_temperature(logits(hidden, weight_VE, None, None), temperature)
            log_prob, normaliser = _normalised(scores, target)
            log_probs.append(log_prob)
            normalisers.append(normaliser)
            room -= scores.nbytes
            if room >= 0:
                kept[start] = scores
        ctx.save_for_backward(hidden_NE, weight_VE, target_N, torch.cat(normalisers))
        ctx.temperature = temperature
        ctx.kept = kept  # relative to each row's highest, as `_normalisers` leaves them
        return torch.cat(log_probs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (gradient_N,) = gradients
        hidden_NE, weight_VE, target_N, normaliser_N = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden_NE)
        total, grad_weight = gradient_sum(weight_VE)
        for start in range(0, len(hidden_NE), LEARNING_CHUNK):
            part = slice(start, start + LEARNING_CHUNK)
            hidden, target = hidden_NE[part], target_N[part]
            kept = ctx.kept.pop(start, None)  # written over, so a second backward pass finds none
            if kept is not None:
                p = kept.div_(kept.sum(-1, keepdim=True))
            else:
                scores = _at_temperature(logits(hidden, weight_VE, None, None), ctx.temperature)
                p = scores.sub_(normaliser_N[part, None]).exp_()
            minus_p = _add_onehot(p.neg_(), target)
            minus_p.mul_((gradient_N[part] / ctx.temperature)[:, None])
            grad_scores = minus_p.to(weight_VE.dtype)
            grad_hidden[part] = (grad_scores @ weight_VE).to(hidden_NE.dtype)
            total.addmm_(grad_scores.T, hidden.to(weight_VE.dtype))
        return grad_hidden, grad_weight, None, None


class _TokenLogProbsOfFrozen(torch.autograd.Function):
    """The same for a W without gradient: then (onehot - p) W is all that the backward pass needs, a
    row as short as a hidden state, and is kept instead of computing the logits again."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NE: Tensor, weight_VE: Tensor, target_N: Tensor, temperature: float
    ) -> Tensor:
        log_probs = []
        slope_NE = torch.empty_like(hidden_NE)
        for start in range(0, len(hidden_NE), LEARNING_CHUNK):
            part = slice(start, start + LEARNING_CHUNK)
            hidden, target = hidden_NE[part], target_N[part]
            scores = _at_temperature(logits(hidden, weight_VE, None, None), temperature)
            log_probs.append(_normalised(scores, target)[0])
            minus_p = _add_onehot(scores.div_(-scores.sum(-1, keepdim=True)), target)
            slope_NE[part] = minus_p.to(weight_VE.dtype) @ weight_VE
        ctx.save_for_backward(slope_NE.div_(temperature))
        return torch.cat(log_probs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (slope_NE,) = ctx.saved_tensors
        return slope_NE * gradients[0][:, None].to(slope_NE.dtype), None, None, None


def token_log_probs(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    target_N: Tensor,
    *,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Log-probability (nats, float32) of each target token given the hidden state before it: (N,).

    With `temperature` the distribution is softmax(logits / temperature), as in sampling.
    """
    if len(hidden_NE) == 0:
        return hidden_NE.new_zeros(0, dtype=torch.float32)
    if bias_V is None and softcap is None:
        hidden = hidden_NE.to(weight_VE.dtype)
        kind = _TokenLogProbs if weight_VE.requires_grad else _TokenLogProbsOfFrozen
        return kind.apply(hidden, weight_VE, target_N, temperature)  # type: ignore[no-any-return,no-untyped-call]
    parts = []
    for hidden, target in zip(hidden_NE.split(CHUNK), target_N.split(CHUNK), strict=True):
        scores = logits(hidden.to(weight_VE.dtype), weight_VE, bias_V, softcap) / temperature
        parts.append(scores.log_softmax(-1).gather(-1, target[:, None])[:, 0])
    return torch.cat(parts)


def token_log_probs_and_entropies(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    target_N: Tensor,
    *,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """As `token_log_probs`, with the entropy (nats) of each distribution: (N,) each, differentiable.

    Logits are computed again in the backward pass, a piece at a time.
    """

    def piece(hidden: Tensor, weight: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        scores = logits(hidden.to(weight.dtype), weight, bias_V, softcap) / temperature
        log_probs_NV = scores.log_softmax(-1)
        # A token that can't be drawn adds nothing: 0 log 0 = 0.
        terms = log_probs_NV.exp() * log_probs_NV.clamp(min=-1e4)
        return log_probs_NV.gather(-1, target[:, None])[:, 0], -terms.sum(-1)

    pairs = zip(hidden_NE.split(LEARNING_CHUNK), target_N.split(LEARNING_CHUNK), strict=True)
    pieces = [
        checkpoint(piece, hidden, weight_VE, target, use_reentrant=False)
        for hidden, target in pairs
    ]
    log_probs, entropies = zip(*pieces, strict=True)
    return torch.cat(log_probs), torch.cat(entropies)


class _DivergencesFromFrozen(torch.autograd.Function):
    """KL(q || softmax(h W^T / temperature)) for a W without gradient: as `_TokenLogProbsOfFrozen`, with the
    whole distribution q in place of a token."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NE: Tensor,
        weight_VE: Tensor,
        reference_NE: Tensor,
        reference_scores: Callable[[Tensor], Tensor],
        temperature: float,
    ) -> Tensor:
        divergences = []
        slope_NE = torch.empty_like(hidden_NE)
        for start in range(0, len(hidden_NE), LEARNING_CHUNK):
            part = slice(start, start + LEARNING_CHUNK)
            scores = _at_temperature(logits(hidden_NE[part], weight_VE, None, None), temperature)
            log_p = scores.log_softmax(-1)
            log_q = reference_scores(reference_NE[part]).log_softmax(-1)
            q = log_q.exp()
            divergences.append(_weighted_gaps(q, log_q, log_p))
            slope_NE[part] = log_p.exp_().sub_(q).to(weight_VE.dtype) @ weight_VE
        ctx.save_for_backward(slope_NE.div_(temperature))
        return torch.cat(divergences)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (slope_NE,) = ctx.saved_tensors
        return slope_NE * gradients[0][:, None].to(slope_NE.dtype), None, None, None, None


def _weighted_gaps(q_NV: Tensor, log_q_NV: Tensor, log_p_NV: Tensor) -> Tensor:
    # A token that the reference can't draw adds nothing: 0 log 0 = 0.
    return (q_NV * (log_q_NV.clamp(min=-1e4) - log_p_NV.clamp(min=-1e4))).sum(-1)


def divergence_of_scores(scores_NV: Tensor, reference_NV: Tensor) -> Tensor:
    """KL(reference || model), nats, of both's scores: (N,), differentiable in the model's."""
    log_q_NV = reference_NV.log_softmax(-1)
    return _weighted_gaps(log_q_NV.exp(), log_q_NV, scores_NV.log_softmax(-1))


def divergences(
    hidden_NE: Tensor,
    weight_VE: Tensor,
    reference_NE: Tensor,
    reference_scores: Callable[[Tensor], Tensor],
    *,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """KL(reference || model), nats, of the tokens behind hidden states of both: (N,), over the whole
    vocabulary, differentiable in the model's.

    `reference_scores` gives the reference's scores (N, V), at the temperature, of its hidden states.
    """
    hidden_NE = hidden_NE.to(weight_VE.dtype)
    if bias_V is None and softcap is None and not weight_VE.requires_grad:
        return _DivergencesFromFrozen.apply(  # type: ignore[no-any-return,no-untyped-call]
            hidden_NE, weight_VE, reference_NE, reference_scores, temperature
        )

    def piece(hidden: Tensor, reference: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = reference_scores(reference)
        scores = logits(hidden, weight_VE, bias_V, softcap) / temperature
        return divergence_of_scores(scores, wanted)

    pairs = zip(hidden_NE.split(LEARNING_CHUNK), reference_NE.split(LEARNING_CHUNK), strict=True)
    return torch.cat([checkpoint(piece, *pair, use_reentrant=False) for pair in pairs])
