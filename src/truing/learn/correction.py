"""Samples that were drawn with other numbers than those that learn, made good by importance ratios.

A sampler in bfloat16 rounds elsewhere than the pass that learns, and has an adapter merged into its
weights. Its distribution mu is then not the learner's distribution p, and what is learned from its
samples as if they were the learner's has another gradient than it should. So the learner computes the
log-probabilities of the batch again, before the first update; ratios of later updates and KL are
taken to those. Each action's loss is multiplied by a weight without gradient, from the ratio
r_bt = p(a_bt | s_bt) / mu(a_bt | s_bt):

    token:     w_bt = min(r_bt, 2)
    sequence:  w_bt = R_b where R_b <= 3, else 0,    R_b = prod_t r_bt

Truncated importance sampling: Ionides (2008), "Truncated importance sampling"; for actors a little
behind the learner Espeholt et al. (2018), "IMPALA", eq. 1; for the two passes of one language model Yao
et al. (2025), "Your efficient RL framework secretly brings you off-policy RL training". Sequences
masked out by their ratio: Liu, Li et al. (2025), "When speed kills stability: demystifying RL collapse
from the training-inference mismatch". A ratio beside PPO's own, of other policies: Hilton et al. (2022),
"Batch size-invariance for policy optimization".

Without its bound, R_b gives the expected gradient exactly: E_mu[R_b g_b] = E_p[g_b] for whatever g_b a
trajectory contributes, as long as mu gives every trajectory of p a chance. Its variance grows with the
length. r_bt vary less, and are exact where a trajectory has one action; over several they leave
out that states were met, and that later actions followed, more or less often (docs/objectives.md has by
how much). The bounds keep single samples from ruling a batch, and are biased where they bind.

Samples whose reward comes some steps after they were drawn (from people) are of another policy too: the one
that acted then. Their weight is min(r, 2), with r of each token (r_bt) or of the answer (R_b), times the
share of their judgements that came with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from truing.learn.objectives.kl import kl_estimate
from truing.learn.own_passes import log_probs_now
from truing.learn.update import LogRow, Policy
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.spec.people import Ratio
from truing.spec.run import Correction

LARGEST_LATE_RATIO = 2.0
LARGEST_TOKEN_RATIO = 2.0
LARGEST_SEQUENCE_RATIO = 3.0
_LARGEST_LOG_RATIO = 20.0  # keeps figures finite, far beyond both bounds


@runtime_checkable
class SeparatelySampled(Policy, Protocol):
    """A policy that samples and learns by different passes."""

    @property
    def sampler_differs(self) -> bool:
        """Whether their log-probabilities differ by more than float32 rounds."""
        ...


def corrected(
    policy: Policy, trajectories: Trajectories, correction: Correction, ranks: Ranks
) -> tuple[Trajectories, LogRow]:
    """The batch as the learner sees it, with weights; and what to log of the difference.

    As it was, at no cost, where sampler and learner agree, no correction is asked for, or the source
    has made it.
    """
    if not is_asked_for(policy, trajectories, correction):
        return trajectories, {}
    return reweighted(trajectories, learner_log_probs(policy, trajectories, ranks), correction)


def is_asked_for(policy: Policy, trajectories: Trajectories, correction: Correction) -> bool:
    """Whether samples are to be corrected, and haven't been by their source."""
    differs = isinstance(policy, SeparatelySampled) and policy.sampler_differs
    return differs and correction != "none" and trajectories.correction_BT is None


def learner_log_probs(policy: Policy, trajectories: Trajectories, ranks: Ranks) -> Tensor:
    """(B, T) by the pass that learns, in its pieces; several processes share the batch out."""

    def computed(rows: Sequence[int]) -> list[Tensor]:
        return log_probs_now(policy, trajectories.select(rows))

    rows, mask_BT = ranks.shared_out(range(len(trajectories)), computed), trajectories.mask_BT
    own_C = torch.cat(rows)
    return own_C.new_zeros(mask_BT.shape).masked_scatter(mask_BT, own_C)


def reweighted(
    trajectories: Trajectories, learner_BT: Tensor, correction: Correction
) -> tuple[Trajectories, LogRow]:
    """The batch with the learner's log-probabilities and its weights, and figures of both.

    Figures are means over the actions, for `sequence` over the trajectories; KL(sampler || learner)
    is per action (nats), the effective sample size (Kong, 1992) a share of the samples.
    """
    mask_BT = trajectories.mask_BT
    log_ratio_BT = (learner_BT - trajectories.log_prob_BT) * mask_BT
    if correction == "token":
        ratio = bounded(log_ratio_BT[mask_BT]).exp()
        weight = ratio.clamp(max=LARGEST_TOKEN_RATIO)
        beyond = {"truncated_fraction": _share(ratio > LARGEST_TOKEN_RATIO)}
        weight_BT = torch.zeros_like(log_ratio_BT).masked_scatter(mask_BT, weight)
    else:
        ratio = bounded(log_ratio_BT.sum(1)).exp()
        weight = torch.where(ratio <= LARGEST_SEQUENCE_RATIO, ratio, torch.zeros_like(ratio))
        beyond = {"masked_fraction": _share(ratio > LARGEST_SEQUENCE_RATIO)}
        weight_BT = weight[:, None] * mask_BT
    figures = {
        "importance_ratio": float(ratio.mean()),
        "sampler_kl": float(sampler_kl(log_ratio_BT[mask_BT]).mean()),
        "effective_sample_size": _effective_share(weight),
        **beyond,
    }
    return replace(trajectories, log_prob_BT=learner_BT, correction_BT=weight_BT), figures


def late(
    trajectories: Trajectories, learner_BT: Tensor, share_B: Tensor, ratio: Ratio
) -> tuple[Trajectories, LogRow]:
    """Samples of an earlier policy as the learner sees them, weighted, and figures of the ratios.

    `share_B` (B,) is how much of a whole trajectory each counts.
    """
    mask_BT = trajectories.mask_BT
    log_ratio_BT = (learner_BT - trajectories.log_prob_BT) * mask_BT
    if ratio == "answer":
        log_ratio_BT = log_ratio_BT.sum(1, keepdim=True).expand_as(log_ratio_BT)
    ratio_BT = bounded(log_ratio_BT).exp()
    weight_BT = ratio_BT.clamp(max=LARGEST_LATE_RATIO) * mask_BT
    figures = {
        "late_ratio": float(ratio_BT[mask_BT].mean()),
        "late_truncated": _share(ratio_BT[mask_BT] > LARGEST_LATE_RATIO),
        "late_sample_size": _effective_share(weight_BT[mask_BT]),
    }
    weight_BT = weight_BT * share_B[:, None].to(weight_BT.dtype)
    return replace(trajectories, log_prob_BT=learner_BT, correction_BT=weight_BT), figures


def sampler_kl(log_ratio: Tensor) -> Tensor:
    """Estimates of KL(sampler || learner) from each action."""
    return kl_estimate(-bounded(log_ratio), torch.zeros(()), "k3")


def bounded(log_ratio: Tensor) -> Tensor:
    """Log ratios whose exponentials are numbers."""
    return log_ratio.clamp(max=_LARGEST_LOG_RATIO)


def _share(where: Tensor) -> float:
    return float(where.double().mean())


def _effective_share(weight_N: Tensor) -> float:
    """(sum w)^2 / (N sum w^2): 1 where all weights are equal, 0 where none is left."""
    squares = float(weight_N.square().sum())
    return float(weight_N.sum()) ** 2 / (len(weight_N) * squares) if squares else 0.0
