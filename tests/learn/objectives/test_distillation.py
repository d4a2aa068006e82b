"""Distillation from the reference, against autograd of its written-out equation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tabular import TabularPolicy
from tiny import plain, texts, tiny
from truing.learn import Distillation, Supervised
from truing.learn.sources.demonstrations import Demonstrations, demonstrated
from truing.learn.update import accumulate, evaluate
from truing.models.adapter import add_adapter
from truing.policies import language
from truing.policies.language import LanguagePolicy, PromptCompletion, pieces
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.spec.run import AdapterSpec
from truing.types import InputError

VOCABULARY, WEIGHT = 30, 0.7
REWARDS = [1.0, 0.0, 0.25, 0.0]


def _actions() -> list[PromptCompletion]:
    prompts, answers = texts(5, [4, 6, 5], VOCABULARY), texts(6, [3, 5, 2, 1], VOCABULARY)
    places = [0, 1, 1, 2]  # two answers to one prompt
    pairs = zip((prompts[place] for place in places), answers, strict=True)
    return [PromptCompletion(tuple(prompt), tuple(answer)) for prompt, answer in pairs]


def _batch() -> Trajectories:
    return demonstrated(_actions()).rewarded(torch.tensor(REWARDS))


@torch.no_grad()
def _moved(adapter: AdapterSpec, family: str = "llama") -> LanguagePolicy:
    """A policy some way from its reference."""
    model = tiny(family, vocabulary=VOCABULARY)
    policy = LanguagePolicy(model, model, adapter, "float32", 0)
    generator = torch.Generator().manual_seed(1)
    for parameter in policy.parameters.values():
        parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return policy


def _gradients(policy: LanguagePolicy, objective: Any) -> dict[str, Tensor]:
    batch = _batch()
    for parameter in policy.parameters.values():
        parameter.grad = None
    accumulate(policy, objective, batch, objective.credit(batch), len(batch), Ranks())
    return {name: p.grad.clone() for name, p in policy.parameters.items() if p.grad is not None}


def _written_out(policy: LanguagePolicy, family: str) -> dict[str, Tensor]:
    """The equation's gradient, in float64, through `transformers` alone, a text at a time."""
    reference: nn.Module = plain(family, vocabulary=VOCABULARY).double()
    model = plain(family, vocabulary=VOCABULARY)
    if policy.adapter.kind == "lora":
        add_adapter(model.requires_grad_(False), policy.adapter, 0)
    model = model.double()
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in policy.parameters.items():
            own[name].copy_(parameter)
    loss = torch.zeros((), dtype=torch.float64)
    for action, reward in zip(_actions(), REWARDS, strict=True):
        text_1T = torch.tensor([[*action.prompt, *action.tokens]])
        states = slice(len(action.prompt) - 1, -1)
        log_p = model(text_1T).logits[0, states].double().log_softmax(-1)
        log_q = reference(text_1T).logits[0, states].double().log_softmax(-1).detach()
        likelihood = log_p[torch.arange(len(action.tokens)), list(action.tokens)].sum()
        divergence = (log_q.exp() * (log_q - log_p)).sum()
        loss = loss - reward * likelihood + WEIGHT * (1 - reward) * divergence
    (loss / len(REWARDS)).backward()
    return {name: own[name].grad.float() for name in policy.parameters}  # type: ignore[union-attr]


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_its_gradient_is_that_of_the_equation(kind: str, family: str) -> None:
    policy = _moved(AdapterSpec(kind=kind, rank=4), family)
    gradients = _gradients(policy, Distillation(kl_weight=WEIGHT))
    exact = _written_out(policy, family)
    largest = max(float(gradient.abs().max()) for gradient in exact.values())
    assert largest > 0.01 and gradients.keys() == exact.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, exact[name], atol=1e-6 * largest, rtol=1e-4)


def test_small_pieces_give_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    policy, objective = _moved(AdapterSpec(rank=4)), Distillation(kl_weight=WEIGHT)
    whole = _gradients(policy, objective)
    monkeypatch.setattr(language, "pieces", lambda actions, size: pieces(actions, 1))
    for name, gradient in _gradients(policy, objective).items():
        torch.testing.assert_close(gradient, whole[name], atol=1e-6, rtol=1e-4)


def test_the_reference_runs_actions_in_packs_that_no_order_changes() -> None:
    actions = _actions()
    alone = _moved(AdapterSpec(rank=4))
    by_itself = {action: alone._states_of_reference(action) for action in actions}
    found = []
    for order in (actions, actions[::-1]):
        policy = _moved(AdapterSpec(rank=4))
        policy.hold_to_reference(actions)
        found.append({action: policy._states_of_reference(action) for action in order})
    for action in actions:
        assert torch.equal(found[0][action], found[1][action])
        torch.testing.assert_close(found[0][action], by_itself[action], atol=1e-5, rtol=1e-5)


def test_a_policy_that_is_its_reference_stays() -> None:
    model = tiny(vocabulary=VOCABULARY)
    policy = LanguagePolicy(model, model, AdapterSpec(rank=4), "float32", 0)
    batch, objective = demonstrated(_actions()).rewarded(torch.zeros(4)), Distillation()
    current = evaluate(policy, objective, batch)
    assert current.divergence_BT is not None
    assert float(current.divergence_BT.detach().abs().max()) < 1e-6
    objective.loss(current, objective.credit(batch), batch).loss_B.sum().backward()
    gradients = [p.grad for p in policy.parameters.values() if p.grad is not None]
    assert gradients and max(float(gradient.abs().max()) for gradient in gradients) < 1e-5


def test_with_reward_1_it_is_supervised_fine_tuning() -> None:
    policy, batch = _moved(AdapterSpec(rank=4)), demonstrated(_actions())
    losses = []
    for objective in (Distillation(kl_weight=WEIGHT), Supervised()):
        current = evaluate(policy, objective, batch)
        assert current.divergence_BT is None  # no pass of the reference for nothing
        losses.append(objective.loss(current, objective.credit(batch), batch).loss_B.detach())
    assert torch.equal(*losses)


def test_demonstrations_come_with_their_rewards() -> None:
    source = Demonstrations(_actions(), 2, 0, (), REWARDS)
    seen: dict[PromptCompletion, float] = {}
    for step in (1, 2):
        batch = source.batch(step)[0]
        seen |= dict(zip(batch.data, batch.return_B.tolist(), strict=True))
    assert seen == dict(zip(_actions(), REWARDS, strict=True))


def test_a_policy_without_a_reference_is_refused() -> None:
    policy = TabularPolicy(torch.zeros(3, 2))
    mask_BT = torch.ones(1, 1, dtype=torch.bool)
    nothing_BT = torch.zeros(1, 1)
    batch = Trajectories(mask_BT, nothing_BT, torch.tensor([0]), nothing_BT, nothing_BT)
    with pytest.raises(InputError, match="distillation: TabularPolicy doesn't tell how far"):
        evaluate(policy, Distillation(), batch)
