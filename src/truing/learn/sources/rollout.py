"""(policy, prompts) -> trajectories: the one place where a policy acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy, PromptCompletion, text_log_probs
from truing.policies.sampler import LocalSampler, Sampled
from truing.policies.trajectories import Trajectories, length_mask, padded
from truing.types import Completion


@dataclass(frozen=True)
class Rollout:
    """Trajectories of text without rewards yet, and the completions behind them, in order.

    `entropy` is the mean entropy (nats) of the distributions that tokens were drawn from.
    """

    trajectories: Trajectories
    completions: list[list[Completion]]
    entropy: float


def rollout(
    policy: LanguagePolicy,
    prompts: Sequence[Sequence[int]],
    samples: int,
    sampling: Sampling,
    *,
    reference: bool = True,
) -> Rollout:
    """`samples` completions of each prompt, with log-probabilities under policy and reference.

    The state is the text so far, an action the next token, the transition appends it, and the
    reward comes at the end: it is NaN (unscored) until somebody sets it. Without `reference`, for
    objectives that don't ask for KL, its log-probabilities are NaN and cost no pass.
    """
    sampled = LocalSampler(policy).sample(0, prompts, samples, sampling)
    return of_samples(policy, prompts, sampled, sampling.temperature, reference=reference)


def of_samples(
    policy: LanguagePolicy,
    prompts: Sequence[Sequence[int]],
    sampled: Sampled,
    temperature: float,
    *,
    reference: bool = True,
) -> Rollout:
    """The trajectories of completions that somebody drew for the policy, as many of each prompt; see
    `rollout`. Log-probabilities are those of whoever drew."""
    actions: list[PromptCompletion] = []
    log_probs: list[tuple[float, ...]] = []
    for prompt, group in zip(prompts, sampled.groups, strict=True):
        actions += [
            PromptCompletion(tuple(prompt), completion.tokens) for completion in group.completions
        ]
        log_probs += [completion.token_log_probs for completion in group.completions]
    mask_BT = length_mask([len(action.tokens) for action in actions])
    reference_BT = torch.full(mask_BT.shape, float("nan"))
    if reference:
        reference_BT = reference_log_probs(policy.reference, actions, temperature)
    samples = len(actions) // max(1, len(prompts))
    trajectories = Trajectories(
        mask_BT=mask_BT,
        reward_BT=torch.full(mask_BT.shape, float("nan")),
        group_B=torch.arange(len(prompts)).repeat_interleave(samples),
        log_prob_BT=padded(log_probs),
        reference_log_prob_BT=reference_BT,
        data=tuple(actions),
    )
    completions = [group.completions for group in sampled.groups]
    return Rollout(trajectories, completions, sampled.entropy)


@torch.no_grad()
def reference_log_probs(
    reference: LanguageModel, actions: Sequence[PromptCompletion], temperature: float
) -> torch.Tensor:
    """(B, T) log-probabilities (nats) of the actions under the reference."""
    mask_BT = length_mask([len(action.tokens) for action in actions])
    return text_log_probs(reference, actions, mask_BT, temperature)
