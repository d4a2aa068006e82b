"""Answers with a head, and judgements of them as what is learned: a reward model's part of the one loop.

    loss = 1/J sum_j -log P_j(s, t) + ridge / (2 J) |w|^2,    s_a = w . (x_a - mean) / scale

over the J judgements of a step's conversations (ridge: over all that are learned from), each as
statistics/judgement_likelihood.py has it: Bradley and Terry's comparisons, ties as half a win or by Rao
and Kupper's threshold, ratings between thresholds t, a ranking as one judgement. x_a is what the head
sees of an answer's states under the base with an adapter; the adapter, w and t are learned together.
`mean` and `scale` stay those of the frozen states.

The loop knows policies by the log-probabilities of their actions. Here these are scores, each on its
answer's last token, so that conversations that fill more than one pass are learned from as elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PrivateAttr
from torch import Tensor, nn
from torch.nn.functional import softplus

from truing.learn.objectives.objective import Current, Loss, Objective
from truing.learn.update import LogRow
from truing.models.engine.checkpointing import layers_of
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask
from truing.rewards.learned.head import Standard, pooled
from truing.spec.reward_model import Pooling
from truing.statistics.judgement_likelihood import Likelihood
from truing.statistics.linear_scores import LinearScores

Floats = NDArray[np.float64]
WEIGHTS, THRESHOLDS = "head.weights", "head.thresholds"


@dataclass(frozen=True)
class JudgedAnswer(PromptCompletion):
    """An answer, and its place among all that were judged."""

    place: int


class Thresholds:
    """Thresholds that stay in order: that of ties as its logarithm, those of ratings as the first and the
    logarithms of the distances between them."""

    def __init__(self, start_T: Floats, has_tie: bool) -> None:
        self.first = int(has_tie)
        ties, between = np.log(start_T[: self.first]), start_T[self.first :]
        apart = np.log(np.diff(between))
        raw_T = np.concatenate([ties, between[:1], apart])
        self.raw_T = nn.Parameter(torch.tensor(raw_T, dtype=torch.float32))

    def __call__(self) -> Tensor:
        """(T,) differentiable."""
        raw_T, first = self.raw_T, self.first
        between = torch.cat([raw_T[first : first + 1], raw_T[first + 1 :].exp()]).cumsum(0)
        return torch.cat([raw_T[:first].exp(), between])


class Scorer:
    """A language model with an adapter and a head; see learn.loop.Policy."""

    def __init__(
        self,
        language: LanguagePolicy,
        layer: int,
        pooling: Pooling,
        standard: Standard,
        start: LinearScores,
        has_tie: bool,
    ) -> None:
        """The head begins as `start`."""
        self.language, self.layer, self.pooling = language, layer, pooling
        mean_E, scale_E = (
            torch.tensor(each, dtype=torch.float32, device=language.trained.device)
            for each in (standard.mean, standard.scale)
        )
        self.mean_E, self.scale_E = mean_E, scale_E
        weights_E = torch.tensor(start.weights, dtype=torch.float32, device=mean_E.device)
        self.weights_E = nn.Parameter(weights_E)
        self.thresholds = Thresholds(start.thresholds, has_tie)
        self.adapter = _below(language, layer)

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The adapter's below the layer that is read, the head's weights and, where it has any,
        thresholds."""
        raw_T = self.thresholds.raw_T
        own = {THRESHOLDS: raw_T} if len(raw_T) else {}
        return {**self.adapter, WEIGHTS: self.weights_E, **own}

    @property
    def head(self) -> LinearScores:
        """What the head has become."""
        weights_E, threshold_T = self.weights_E.detach().cpu(), self.thresholds().detach()
        return LinearScores(weights_E.double().numpy(), threshold_T.double().numpy())

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        """(B, T) scores, each on the last token. Differentiable."""
        vectors_BV = self.language.answer_vectors(trajectories.data, self.layer)
        seen_BE = (pooled(vectors_BV, self.pooling) - self.mean_E) / self.scale_E
        score_B = (seen_BE @ self.weights_E).cpu()
        last_B1 = trajectories.mask_BT.sum(1, keepdim=True) - 1
        nothing_BT = torch.zeros(trajectories.mask_BT.shape, dtype=score_B.dtype)
        return nothing_BT.scatter(1, last_B1, score_B[:, None])

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        """See learn.loop.Policy."""
        return self.language.pieces(trajectories)

    def shrink(self) -> bool:
        """See learn.update.ShrinkingPolicy."""
        return self.language.shrink()


def _below(language: LanguagePolicy, layer: int) -> dict[str, nn.Parameter]:
    """What is trained in the model, without the layers that a score doesn't hear of."""
    layers = layers_of(language.trained.model)
    assert layers is not None, "a reader of states has found them"
    above = {id(each) for module in layers[layer:] for each in module.parameters()}
    return {name: each for name, each in language.parameters.items() if id(each) not in above}


class Judged(Objective):
    """The likelihood of judgements; see above."""

    name: Literal["judged"] = "judged"
    _terms: Likelihood = PrivateAttr()
    _scorer: Scorer = PrivateAttr()
    _ridge: float = PrivateAttr()

    @classmethod
    def of(cls, terms: Likelihood, scorer: Scorer, ridge: float) -> Self:
        """Of the judgements that have terms."""
        made = cls()
        made._terms, made._scorer, made._ridge = terms, scorer, ridge / terms.judged
        return made

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return "the likelihood of judgements"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): 0; the loss says it all."""
        return torch.zeros(trajectories.mask_BT.shape)

    def has_gradient(self, trajectories: Trajectories, credit_BT: Tensor) -> Tensor:
        """(B,) all of them: an answer is there because it was judged."""
        return torch.ones(len(trajectories), dtype=torch.bool)

    def count(self, trajectories: Trajectories) -> float:
        """The number of judgements."""
        return self._among(trajectories).judged

    def loss(self, current: Current, credit_BT: Tensor, trajectories: Trajectories) -> Loss:
        """The loss of each judgement's terms, as that of the first answer in each; what isn't of one
        answer (gaps between thresholds, the ridge) as that of the first of all."""
        terms = self._among(trajectories)
        score_B = current.log_prob_BT.sum(1)
        contrast_NB, cuts_NT, weight_N, gaps_MT, gap_weight_M = (
            torch.tensor(each, dtype=score_B.dtype)
            for each in (
                terms.contrast.toarray(), terms.cuts, terms.weight, terms.gaps, terms.gap_weight
            )
        )  # fmt: skip
        threshold_T = self._scorer.thresholds().to(score_B.dtype)
        term_N = weight_N * softplus(-(contrast_NB @ score_B + cuts_NT @ threshold_T))
        gap_M = gap_weight_M * torch.log(-torch.expm1(-(gaps_MT @ threshold_T)))
        penalty = self._ridge / 2 * terms.judged * self._scorer.weights_E.square().sum().cpu()
        loss_B = torch.zeros(len(score_B), dtype=score_B.dtype)
        loss_B = loss_B.index_add(0, contrast_NB.ne(0).int().argmax(1), term_N)
        rest = nn.functional.pad((penalty - gap_M.sum())[None], (0, len(score_B) - 1))
        return Loss(loss_B + rest, {})

    def _among(self, trajectories: Trajectories) -> Likelihood:
        return self._terms.among([action.place for action in trajectories.data])


class Conversations:
    """Each step's batch: `prompts_per_step` conversations with all answers to each.

    They are shuffled anew for each epoch by (seed, epoch); the last batch of an epoch may have fewer.
    """

    def __init__(
        self, answers: Sequence[Sequence[JudgedAnswer]], prompts_per_step: int, seed: int
    ) -> None:
        self.answers, self.prompts_per_step, self.seed = answers, prompts_per_step, seed

    @property
    def steps_per_epoch(self) -> int:
        """Updates that an epoch takes."""
        return -(-len(self.answers) // self.prompts_per_step)

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """See learn.loop.Source."""
        epoch, number = divmod(step - 1, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.answers))
        size = self.prompts_per_step
        chosen = order[number * size : (number + 1) * size].tolist()
        return laid_out([self.answers[place] for place in chosen]), {"epoch": epoch + 1}


def laid_out(conversations: Sequence[Sequence[JudgedAnswer]]) -> Trajectories:
    """Answers as trajectories; those of one conversation are linked, because judgements compare them."""
    actions = tuple(action for each in conversations for action in each)
    mask_BT = length_mask([len(action.tokens) for action in actions])
    sizes = torch.tensor([len(each) for each in conversations])
    last_P = sizes.cumsum(0) - 1
    ends_P2 = torch.stack([last_P - sizes + 1, last_P], 1)
    nothing_BT = torch.zeros(mask_BT.shape)
    group_B = torch.arange(len(conversations)).repeat_interleave(sizes)
    linked_N2 = ends_P2[sizes > 1]
    return Trajectories(
        mask_BT, nothing_BT, group_B, nothing_BT, nothing_BT, actions, pair_N2=linked_N2
    )
