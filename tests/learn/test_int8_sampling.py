"""A language model that samples in eight-bit integers: what it learns is what it is taken for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from tiny import END, plain, tokenizer
from truing.learn import Reinforce
from truing.learn.correction import LARGEST_SEQUENCE_RATIO, corrected
from truing.learn.sources.rollout import rollout
from truing.models.engine.int8 import multiplies_int8
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask
from truing.runs.ranks import Ranks
from truing.spec.run import AdapterSpec, Correction
from worlds import update_gradients

pytestmark = pytest.mark.skipif(
    not multiplies_int8(), reason="this processor has no instructions for products in int8"
)
PROMPT = (5, 9, 7)
VOCABULARY = 12
GROUP, BATCHES, IN_A_BATCH = 8, 48, 128


@cache
def _policy() -> LanguagePolicy:
    """Twelve tokens, and a few numbers so large that little is left of the others in integers."""
    network = plain("llama", vocabulary=VOCABULARY)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight[:, 3] *= 40
    model = LanguageModel(network, tokenizer())
    policy = LanguagePolicy(model, model, AdapterSpec(rank=1), "float32", seed=2, sampler="int8")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return policy


@cache
def _every() -> Trajectories:
    """All answers of at most two tokens."""
    others = [token for token in range(VOCABULARY) if token != END]
    answers = [(END,), *((a, b) for a in others for b in range(VOCABULARY))]
    mask_BT = length_mask([len(answer) for answer in answers])
    nothing_BT = torch.zeros(mask_BT.shape)
    data = tuple(PromptCompletion(PROMPT, answer) for answer in answers)
    return Trajectories(
        mask_BT, nothing_BT, torch.zeros(len(answers)).long(), nothing_BT, nothing_BT, data
    )


@cache
def _reward() -> dict[tuple[int, ...], float]:
    every = _every().data
    values = torch.randn(len(every), generator=torch.Generator().manual_seed(7)) + 2
    return {each.tokens: float(value) for each, value in zip(every, values, strict=True)}


def _flat(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)]).double()


@cache
def _exact() -> Tensor:
    """The gradient of the expected reward, over all that can be said, by the pass that learns."""
    policy, every = _policy(), _every()
    probability_B = policy.log_probs(every).sum(1).exp()
    assert float(probability_B.detach().sum()) == pytest.approx(1, abs=1e-5)
    reward_B = torch.tensor([_reward()[each.tokens] for each in every.data])
    (probability_B * reward_B).sum().backward()
    found = _flat({name: p.grad for name, p in policy.parameters.items() if p.grad is not None})
    policy.trained.model.zero_grad()
    return found


@cache
def _sampled() -> Trajectories:
    """In groups of eight."""
    rolled = rollout(_policy(), [PROMPT], BATCHES * IN_A_BATCH, Sampling(2, 1.0, seed=3))
    batch = rolled.trajectories
    reward_B = torch.tensor([_reward()[each.tokens] for each in batch.data])
    return replace(batch, group_B=torch.arange(len(batch)) // GROUP).rewarded(reward_B)


def _z(correction: Correction) -> Tensor:
    """By how many of their own standard errors estimates are off, along twenty directions."""
    batch, figures = corrected(_policy(), _sampled(), correction, Ranks())
    assert figures.get("masked_fraction", 0) == 0
    found = []
    for start in range(0, len(batch), IN_A_BATCH):
        part = batch.select(range(start, start + IN_A_BATCH))
        found.append(-_flat(update_gradients(_policy(), Reinforce(), part)[0]))
    estimate_KP, exact_P = torch.stack(found), _exact()
    generator = torch.Generator().manual_seed(0)
    along_PD = torch.randn(len(exact_P), 20, generator=generator).double()
    apart_KD = (estimate_KP - exact_P) @ along_PD
    return apart_KD.mean(0) / (apart_KD.std(0) / BATCHES**0.5)


def test_answers_come_as_often_as_their_recorded_probabilities_say() -> None:
    batch = _sampled()
    chance = {
        action.tokens: float(log_prob.sum().exp())
        for action, log_prob in zip(batch.data, batch.log_prob_BT, strict=True)
    }
    counts = dict.fromkeys(chance, 0)
    for action in batch.data:
        counts[action.tokens] += 1
    assert sum(chance.values()) == pytest.approx(1, abs=0.02)  # some were never said
    often = [tokens for tokens, share in chance.items() if share * len(batch) >= 10]
    expected = torch.tensor([chance[tokens] * len(batch) for tokens in often])
    seen = torch.tensor([float(counts[tokens]) for tokens in often])
    squares = float(((seen - expected).square() / expected).sum())
    assert len(often) > 10 and squares < len(often) + 4 * (2 * len(often)) ** 0.5
    learner_B = _policy().log_probs(_every()).detach().sum(1).exp()
    other = {a.tokens: float(p) for a, p in zip(_every().data, learner_B, strict=True)}
    expected = torch.tensor([other[tokens] * len(batch) for tokens in often])
    assert float(((seen - expected).square() / expected).sum()) > 4 * squares


def test_the_corrected_gradient_is_the_exact_one() -> None:
    ratio_B = (_policy().log_probs(_sampled()).detach() - _sampled().log_prob_BT).sum(1).exp()
    assert 1.2 < float(ratio_B.max()) < LARGEST_SEQUENCE_RATIO
    z, uncorrected = _z("sequence"), _z("none")
    print(
        f"largest |z| {float(z.abs().max()):.2f}, uncorrected {float(uncorrected.abs().max()):.1f}"
    )
    assert float(z.abs().max()) < 3
    assert float(uncorrected.abs().max()) > 6


def test_the_sampler_differs_and_shares_weights_and_room() -> None:
    policy = _policy()
    assert policy.sampler_differs and policy.sampler is not policy.trained
    assert policy.sampler.model is policy.trained.model
    assert policy.sampler.room is policy.trained.room
