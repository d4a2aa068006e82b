"""Values that are linear in features: against moving averages, ridge regression, plain transformers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from tiny import plain, texts, tiny
from truing.learn.objectives.baselines import LearnedValue, MovingAverage
from truing.learn.objectives.values import LinearValue, TabularValue
from truing.learn.text_states import TextStates
from truing.models import language_model
from truing.models.language_model import LanguageModel
from truing.policies.language import PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask
from truing.types import InputError
from worlds import World, slippery_grid


def _nothing(trajectories: Trajectories) -> Tensor:
    return torch.zeros(*trajectories.mask_BT.shape, 0)


def _one_hot(trajectories: Trajectories) -> Tensor:
    return torch.nn.functional.one_hot(trajectories.data[..., 0], 6).float()


def _batch(world: World, seed: int) -> tuple[Trajectories, Tensor]:
    batch = world.draw(6, 4, seed, world.logits)
    return batch, batch.reward_BT.flip(1).cumsum(1).flip(1)


def test_without_features_it_is_a_moving_average() -> None:
    value, average = LinearValue(_nothing, 0, rate=0.3), MovingAverage(rate=0.3)
    for seed in range(5):
        batch, target_BT = _batch(slippery_grid(), seed)
        assert float(value.values(batch)[0, 0]) == pytest.approx(average.value)
        value.fit(batch, target_BT)
        average.learn(batch, target_BT)
    found = value.values(batch)
    assert found[~batch.mask_BT].eq(0).all() and (~batch.mask_BT).any()


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_one_batch_is_ridge_regression(ridge: float) -> None:
    batch, target_BT = _batch(slippery_grid(), 1)
    features = torch.randn(*batch.mask_BT.shape, 3, generator=torch.Generator().manual_seed(0))
    value = LinearValue(lambda _: features, 3, rate=1.0, ridge=ridge)
    mask = batch.mask_BT
    x, y = features[mask].double().numpy(), target_BT[mask].double().numpy()
    assert value.fit(batch, target_BT) == pytest.approx(float((y**2).mean()))  # before it
    # sklearn centres instead of leaving the constant unpenalised, which is the same.
    penalty = len(x) * (ridge * float((x**2).mean()) + 1e-12)
    oracle = Ridge(alpha=penalty, tol=1e-10).fit(x, y)
    assert value.values(batch)[mask].tolist() == pytest.approx(oracle.predict(x).tolist(), abs=1e-6)


def test_batches_count_as_the_rate_says() -> None:
    """Two batches at a rate of 0.25 are one regression with weights 0.75 and 0.25 for their means."""
    (one, target_one), (two, target_two) = (_batch(slippery_grid(), seed) for seed in (1, 2))
    value = LinearValue(_one_hot, 6, rate=0.25, ridge=0.1)
    value.fit(one, target_one)
    error = value.fit(two, target_two)
    parts = [(_one_hot(b)[b.mask_BT].double(), y[b.mask_BT].double())
             for b, y in ((one, target_one), (two, target_two))]  # fmt: skip
    weights = torch.cat([torch.full((len(y),), share / len(y)) for (_, y), share in
                         zip(parts, (0.75 * 0.25, 0.25), strict=True)]).double()  # fmt: skip
    x, y = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
    mean_square = float((weights[:, None] * x.square()).sum() / 6)
    oracle = Ridge(alpha=0.1 * mean_square, tol=1e-12).fit(
        x.numpy(), y.numpy(), sample_weight=weights.numpy()
    )
    found = value.values(two)[two.mask_BT]
    assert found.tolist() == pytest.approx(oracle.predict(parts[1][0].numpy()).tolist(), abs=1e-6)
    assert error > float((found - parts[1][1]).square().mean())


def test_one_hot_states_are_a_table() -> None:
    batch, target_BT = _batch(slippery_grid(), 3)
    linear, table = (
        LinearValue(_one_hot, 6, 1.0, ridge=1e-9),
        TabularValue(6, lambda t: t.data[..., 0], 1.0),
    )
    linear.fit(batch, target_BT)
    table.fit(batch, target_BT)
    torch.testing.assert_close(linear.values(batch), table.values(batch), atol=1e-5, rtol=0)


def test_what_was_learned_comes_back() -> None:
    batch, target_BT = _batch(slippery_grid(), 4)
    one, other = (LearnedValue(values=LinearValue(_one_hot, 6)) for _ in range(2))
    one.learn(batch, target_BT)
    assert one.state().keys() == other.state().keys()
    assert [x.shape for x in one.state().values()] == [x.shape for x in other.state().values()]
    other.load(one.state())
    assert torch.equal(one.advantage(batch, target_BT), other.advantage(batch, target_BT))
    for values in (one, other):  # and learning goes on alike
        values.learn(batch, target_BT)
    assert torch.equal(one.advantage(batch, target_BT), other.advantage(batch, target_BT))


def test_an_impossible_rate_is_refused() -> None:
    with pytest.raises(InputError, match="rate: must be above 0 and at most 1, got 0"):
        LinearValue(_nothing, 0, rate=0)


def _texts() -> Trajectories:
    one, two, *answers = texts(3, [5, 8, 4, 1, 6])
    actions = [PromptCompletion(tuple(p), tuple(a)) for p, a in
               ((one, answers[0]), (one, answers[1]), (two, answers[2]), (two, answers[0]))]  # fmt: skip
    mask_BT = length_mask([len(action.tokens) for action in actions])
    zeros = torch.zeros(mask_BT.shape)
    return Trajectories(mask_BT, zeros, torch.tensor([0, 0, 1, 1]), zeros, zeros, tuple(actions))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
def test_features_are_the_references_last_hidden_states(
    family: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, oracle, batch = tiny(family), plain(family), _texts()
    passes = 0
    forward = language_model.LanguageModel.states

    def counted(self: LanguageModel, tree: object) -> Tensor:
        nonlocal passes
        passes += 1
        return forward(self, tree)  # type: ignore[arg-type]

    monkeypatch.setattr(language_model.LanguageModel, "states", counted)
    if not packed:
        model = LanguageModel(plain(family), model.tokenizer)
        model.unpacked, model.decoder = True, None
        model.model.set_attn_implementation("eager")
    states = TextStates(model)
    found = states(batch)
    assert found.shape == (4, 6, states.size) and states.size == 32
    for row, action in enumerate(batch.data):
        text = torch.tensor([[*action.prompt, *action.tokens]])
        with torch.no_grad():
            hidden = oracle.base_model(input_ids=text).last_hidden_state[0]
        wanted = hidden[len(action.prompt) - 1 : -1]
        wanted = wanted / wanted.square().mean(1, keepdim=True).sqrt()
        torch.testing.assert_close(found[row, : len(wanted)], wanted, atol=1e-4, rtol=1e-4)
        assert found[row, len(wanted) :].eq(0).all()
    some = batch.select([2, 0])
    assert torch.equal(states(some), found[[2, 0]])
    assert passes == (1 if packed else 0)  # remembered, not computed again
    again = tuple(PromptCompletion(action.prompt, action.tokens) for action in batch.data)
    assert torch.equal(states(replace(batch, data=again)), found)
    assert passes == (2 if packed else 0)  # equal actions of another step are another batch
