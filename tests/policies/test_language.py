"""The weights in training, the copy sampled from and the reference."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest
import torch

from tiny import END, alone, plain, texts, tiny
from truing.learn.sources.rollout import rollout
from truing.methods.common import new_policy
from truing.models.engine.packed import PackedLinear
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.policies.language import (
    LanguagePolicy,
    PromptCompletion,
    pieces,
    requests_of,
    text_log_probs,
)
from truing.policies.trajectories import length_mask
from truing.spec.reading import make_spec
from truing.spec.run import AdapterSpec

FAMILIES = ("llama", "qwen3", "gemma3", "gpt2")
ADAPTERS = [AdapterSpec(kind="lora", rank=4, alpha=6.0), AdapterSpec(kind="full")]


def _policy(
    model: LanguageModel, adapter: AdapterSpec, *, moved: bool = True, temperature: float = 1.0
) -> LanguagePolicy:
    """A policy some way from its reference."""
    policy = LanguagePolicy(model, model, adapter, "float32", seed=2, temperature=temperature)
    generator = torch.Generator().manual_seed(1)
    if moved:
        with torch.no_grad():
            for parameter in policy.parameters.values():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return policy


def _requests() -> list[PromptWithContinuations]:
    one, two, *answers = texts(3, [5, 8, 4, 1, 6])
    return [PromptWithContinuations(one, answers[:2]), PromptWithContinuations(two, answers)]


def _scores(model: LanguageModel) -> torch.Tensor:
    return torch.cat([s.token_log_probs for row in model.score(_requests()) for s in row])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "full"])
def test_passes_without_gradients_follow_the_trained_weights(
    family: str, adapter: AdapterSpec
) -> None:
    model = tiny(family)
    base = _scores(model)
    fresh = _policy(model, adapter, moved=False)
    torch.testing.assert_close(_scores(fresh.trained), base, atol=1e-5, rtol=1e-5)
    policy = _policy(model, adapter)
    trained = _scores(policy.trained)
    assert float((trained - base).abs().max()) > 0.1
    with torch.enable_grad():
        live = policy.trained.continuation_log_probs(TokenTree(_requests()))
    torch.testing.assert_close(live.detach(), trained, atol=1e-5, rtol=1e-5)
    with torch.no_grad():  # packed weights are made anew when a parameter has been written to
        for parameter in policy.parameters.values():
            parameter.mul_(1.1)
    with torch.enable_grad():
        live = policy.trained.continuation_log_probs(TokenTree(_requests()))
    assert float((live.detach() - trained).abs().max()) > 1e-3
    trained = _scores(policy.trained)
    torch.testing.assert_close(live.detach(), trained, atol=1e-5, rtol=1e-5)
    assert torch.equal(_scores(policy.reference), base)
    assert torch.equal(_scores(policy.trained), trained)


def places(model: LanguageModel) -> set[int]:
    return {parameter.data_ptr() for parameter in model.model.parameters()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_leaves_the_frozen_weights_where_and_as_they_are(
    family: str, dtype: str
) -> None:
    """Whatever it starts from: a run's adapter, such as that of fine-tuning, is set into it."""
    model = tiny(family)
    model = LanguageModel(model.model.to(getattr(torch, dtype)), model.tokenizer)
    setup = SimpleNamespace(
        base=SimpleNamespace(model=model),
        spec=make_spec({"dtype": dtype}),
        source=None,
        sampled_rows=None,
    )
    fine_tuned, policy = (new_policy(setup, ADAPTERS[0], seed=seed) for seed in (1, 2))
    policy.set_parameters(fine_tuned.parameters)
    assert policy.reference is model
    frozen = [p for p in policy.trained.model.parameters() if not p.requires_grad]
    assert {p.data_ptr() for p in frozen} == places(model)
    assert {str(p.dtype) for p in frozen} == {f"torch.{dtype}"}
    assert all(p.dtype == torch.float32 for p in policy.parameters.values())


def test_a_start_that_is_not_the_reference_is_taken_over() -> None:
    reference, start = tiny(), tiny()
    own = places(start)
    policy = LanguagePolicy(reference, start, ADAPTERS[1], "float32", seed=0)
    assert places(policy.trained) == own
    same = LanguagePolicy(reference, reference, ADAPTERS[1], "float32", seed=0)
    assert not places(same.trained) & places(reference)


def test_only_the_adapter_is_trained() -> None:
    lora, full = (_policy(tiny(), adapter) for adapter in ADAPTERS)
    assert lora.parameters and all("lora_" in name for name in lora.parameters)
    layers = [name for name, _ in lora.trained.model.named_modules() if name.endswith("proj")]
    assert len(lora.parameters) == 2 * len(layers) == 2 * 2 * 7
    assert full.parameters.keys() == dict(tiny().model.named_parameters()).keys()


def test_the_seed_draws_the_adapter() -> None:
    model, adapter = tiny(), ADAPTERS[0]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, same, other = (
        LanguagePolicy(model, model, adapter, "float32", seed).parameters for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_end_token_is_trained_though_it_pads() -> None:
    (before, after, answer) = texts(4, [3, 2, 4])
    prompt = (*before, END, *after)  # as behind a turn of a chat
    policy = _policy(tiny(pad=END), ADAPTERS[1], moved=False)
    action = PromptCompletion(prompt, tuple(answer))
    text_log_probs(policy.trained, [action], length_mask([4])).sum().backward()
    found = policy.trained.model.get_input_embeddings().weight.grad
    gradients = {}
    for pad in (None, END):
        oracle = plain("llama", pad=pad)
        alone(oracle, prompt, answer).sum().backward()
        gradients[pad] = oracle.get_input_embeddings().weight.grad
    assert float(gradients[END][END].abs().max()) == 0  # what padding does to it elsewhere
    assert float(gradients[None][END].abs().max()) > 1e-3
    # The two oracles draw the same weights but for the row of the padding token.
    assert float(found[END].abs().max()) > 1e-3
    copied = plain("llama", pad=END)
    copied.get_input_embeddings().padding_idx = None
    alone(copied, prompt, answer).sum().backward()
    torch.testing.assert_close(
        found, copied.get_input_embeddings().weight.grad, atol=1e-4, rtol=1e-4
    )


def test_parameters_are_set_by_name() -> None:
    model = tiny()
    one, other = _policy(model, ADAPTERS[0]), _policy(model, ADAPTERS[0], moved=False)
    other.set_parameters({name: p.detach() for name, p in one.parameters.items()})
    assert torch.equal(_scores(other.trained), _scores(one.trained))
    values = {name: p.detach() for name, p in one.parameters.items()}
    before = _scores(other.trained)
    missing = dict(list(values.items())[1:])
    for foreign in (
        missing,
        values | {"more": torch.zeros(1)},
        {},
        dict(model.model.named_parameters()),
    ):
        with pytest.raises(ValueError, match="another kind of training"):
            other.set_parameters(foreign)
    assert torch.equal(_scores(other.trained), before)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "full"])
@pytest.mark.parametrize("temperature", [1.0, 0.8])
def test_rollouts_carry_the_log_probs_of_policy_and_reference(
    adapter: AdapterSpec, temperature: float
) -> None:
    policy = _policy(tiny(vocabulary=10), adapter, temperature=temperature)
    prompts = texts(5, [4, 6], 10)
    rolled = rollout(policy, prompts, 3, Sampling(9, temperature, seed=4))
    batch = rolled.trajectories
    assert batch.return_B.isnan().all() and batch.group_B.tolist() == [0, 0, 0, 1, 1, 1]
    lengths = [len(c.tokens) for row in rolled.completions for c in row]
    assert batch.mask_BT.sum(1).tolist() == lengths and len(set(lengths)) > 1
    now, entropy_BT = policy.log_probs_and_entropies(batch)
    torch.testing.assert_close(batch.log_prob_BT, policy.log_probs(batch), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.log_prob_BT, now, atol=1e-4, rtol=0)
    assert entropy_BT[~batch.mask_BT].eq(0).all()
    mean = float(entropy_BT[batch.mask_BT].mean().detach())
    assert mean == pytest.approx(rolled.entropy, abs=1e-4)
    oracle = plain("llama", vocabulary=10)
    for b, action in enumerate(batch.data):
        with torch.no_grad():
            scores = oracle(torch.tensor([[*action.prompt, *action.tokens]])).logits[0]
        table = (scores / temperature).log_softmax(-1)
        first, tokens = len(action.prompt) - 1, torch.tensor(action.tokens)
        wanted = table[first : first + len(tokens)].gather(1, tokens[:, None])[:, 0]
        torch.testing.assert_close(
            batch.reference_log_prob_BT[b, : len(tokens)], wanted, atol=1e-4, rtol=0
        )
        assert batch.reference_log_prob_BT[b, len(tokens) :].eq(0).all()
    assert float(batch.kl_B.abs().max()) > 0.01


def _copies() -> int:
    gc.collect()
    return sum(type(thing) is PackedLinear for thing in gc.get_objects())


@pytest.mark.parametrize("free", [0, 1 << 40], ids=["little", "plenty"])
def test_a_learning_pass_drops_copies_of_weights(
    free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what it changes, and where little memory is free all."""
    monkeypatch.setattr("truing.policies.language.available_bytes", lambda device: free)
    policy = _policy(tiny(), ADAPTERS[1])
    before = _copies()
    base, trained = _scores(policy.reference), _scores(policy.trained)
    batch = rollout(policy, texts(5, [4, 6]), 3, Sampling(9, 1.0, seed=4)).trajectories
    assert _copies() > before
    both = _copies()
    for learn in (policy.log_probs, policy.log_probs_and_entropies):
        learn(batch)
        left = _copies()
        assert before < left < both if free else left == before
        assert torch.equal(_scores(policy.reference), base)  # made anew, the same
        assert torch.equal(_scores(policy.trained), trained)


def test_pieces_fill_a_pass_and_cover_the_batch() -> None:
    start, *rest = texts(8, [20, *range(1, 9), *range(3, 15)])
    prompts, answers = rest[:8], rest[8:]
    actions = [
        PromptCompletion((*start, *prompt), tuple(answer))
        for prompt in prompts
        for answer in answers[: 1 + len(prompt) % 4]
    ]
    for size in (30, 60, 200, 10**6):
        ranges = list(pieces(actions, size))
        assert [place for part in ranges for place in part] == list(range(len(actions)))
        for part in ranges:
            chosen = [actions[place] for place in part]
            packed = len(TokenTree(requests_of(chosen), keep_last=True).tokens_N)
            alike = len({action.prompt for action in chosen}) == 1
            twice = 2 * len(chosen[0].prompt + chosen[0].tokens)
            assert packed <= (max(size, twice) if alike else size) or len(part) == 1
            if part.stop < len(actions):  # one more would not have fitted
                more = [*chosen, actions[part.stop]]
                assert len(TokenTree(requests_of(more), keep_last=True).tokens_N) > size
