"""Who draws a policy's samples: the policy itself, or others that are sent each version of its weights.

A version is the number of updates behind the weights. Every sample carries that of the policy that gave it,
so that a learner knows how old it is, and can weight or leave it (learn/correction.py, learn/sources/).
Nothing here says how weights and samples travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from truing.models.sampling import Sampling, sample
from truing.types import Completion, InputError

if TYPE_CHECKING:
    from truing.policies.language import LanguagePolicy


class SamplerGone(InputError):
    """Nobody is left who could sample; the message says how to go on. What was learned can be saved.

    No mistake of the user's, though it is raised in all processes that learn together as theirs are.
    """

    exit_code: int = 1


@dataclass(frozen=True)
class Group:
    """The completions of one prompt, and the version of the policy that gave them."""

    version: int
    completions: list[Completion]


@dataclass(frozen=True)
class Sampled:
    """Completions of prompts, in order. `entropy` is the mean entropy (nats) of the distributions that
    tokens were drawn from, or an unbiased estimate of it."""

    groups: list[Group]
    entropy: float


def entropy_of(groups: Sequence[Group]) -> float:
    """Nats per token: the mean of -log p of what was drawn, which is expected to be the entropy."""
    log_probs = [
        value for group in groups for each in group.completions for value in each.token_log_probs
    ]
    return -sum(log_probs) / max(1, len(log_probs))


class Sampler(Protocol):
    """Draws completions by a version of a policy.

    `publish` is called in the thread that learns, between updates; `sample` in any one thread, at the same
    time perhaps. Whoever implements it may spread prompts over several workers; a prompt's completions stay
    together, and depend on prompt, sample numbers, version and seed alone.
    """

    def publish(self, version: int) -> None:
        """Takes the policy's weights, as they are now, for this version."""
        ...

    def sample(
        self, version: int, prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling
    ) -> Sampled:
        """`samples` completions of each prompt (token ids), by a version that was published.

        A worker that has this version not yet may answer by an older one, and says so. Log-probabilities
        are those of the distribution drawn from; see Sampling. Raises SamplerGone where nobody is left.
        """
        ...

    def close(self) -> None:
        """Ends what is going on."""
        ...


class LocalSampler:
    """The policy's own sampling passes, here: what it gives is of the weights as they are now."""

    def __init__(self, policy: LanguagePolicy) -> None:
        self.policy = policy

    def publish(self, version: int) -> None:
        """See Sampler: the weights are here."""

    def sample(
        self, version: int, prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling
    ) -> Sampled:
        """See Sampler."""
        drawn = sample(self.policy.sampler, prompts, samples, sampling)
        return Sampled([Group(version, each) for each in drawn.completions], drawn.entropy)

    def close(self) -> None:
        """See Sampler."""
