"""What the pass that learns says of trajectories, without learning from them."""

from __future__ import annotations

from torch import Tensor

from truing.learn.update import Policy
from truing.models.engine.checkpointing import nothing_kept
from truing.policies.trajectories import Trajectories


def log_probs_now(policy: Policy, batch: Trajectories) -> list[Tensor]:
    """(T,) log-probabilities of each trajectory's own actions, computed in the policy's pieces.

    By the pass that learns, to the bit, but for what it would keep for its gradient. Under `no_grad` a
    language model would take the pass that samples, through frozen copies, which round otherwise.
    """
    alone = batch.unpaired
    with nothing_kept():
        pieces = [policy.log_probs(alone.select(piece)).detach() for piece in policy.pieces(batch)]
    every = (log_prob_T for piece_BT in pieces for log_prob_T in piece_BT)
    return [log_prob_T[mask_T] for log_prob_T, mask_T in zip(every, batch.mask_BT, strict=True)]
