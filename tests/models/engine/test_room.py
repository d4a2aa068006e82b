"""A device whose memory runs out takes smaller passes, says so once, and the figures stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tiny import texts, tiny
from truing.learn.objectives.supervised import Supervised
from truing.learn.text_states import TextStates
from truing.learn.update import accumulate
from truing.models import sample_plan
from truing.models.engine import prefill
from truing.models.engine.room import LEAST, Room, fitting_rows, fitting_tokens, halves, in_room
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import answer_features
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.policies.language import LanguagePolicy, PromptCompletion, text_log_probs
from truing.policies.trajectories import Trajectories, length_mask
from truing.runs.ranks import Ranks
from truing.serve.scoring import score_texts
from truing.spec.run import AdapterSpec

PROMPTS = texts(1, [30, 25, 40, 28])


class _Small:
    """A model that has room for so many tokens in a pass; notes the passes that it had room for."""

    def __init__(self, model: LanguageModel, most: int, patch: pytest.MonkeyPatch) -> None:
        self.sentences: list[str] = []
        self.passes: list[int] = []
        model.room.tell = self.sentences.append
        real = model.hidden

        def hidden(tokens_N: Tensor, *rest: Any) -> Tensor:
            if len(tokens_N) > most:
                raise torch.OutOfMemoryError(f"{len(tokens_N)} tokens")
            self.passes.append(len(tokens_N))
            return real(tokens_N, *rest)

        patch.setattr(model, "hidden", hidden)


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("most", [70, 33])
def test_scores_stay(most: int, patch: pytest.MonkeyPatch) -> None:
    model = tiny()
    requests = [PromptWithContinuations(p, texts(3, [9, 20, 1])) for p in PROMPTS]
    requests.append(PromptWithContinuations(PROMPTS[0], texts(4, [60])))
    expected = model.score(requests)
    small = _Small(model, most, patch)
    found = model.score(requests)
    assert [len(row) for row in found] == [3, 3, 3, 3, 1]
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.token_log_probs, b.token_log_probs, rtol=0, atol=1e-4)
    assert max(small.passes) <= most
    assert len(small.sentences) == 1 and "memory ran out" in small.sentences[0]


@pytest.mark.parametrize("most", [70, 50])
def test_hidden_states_stay(most: int, patch: pytest.MonkeyPatch) -> None:
    model = tiny("gpt2")  # whose passes for hidden states are those of all others
    requests = [PromptWithContinuations(p, texts(3, [9, 20, 1])) for p in PROMPTS]
    actions = tuple(PromptCompletion(tuple(p), (3, 4, 5)) for p in PROMPTS)
    mask = length_mask([3] * len(PROMPTS))
    nothing = torch.zeros(mask.shape)
    batch = Trajectories(mask, nothing, torch.arange(len(PROMPTS)), nothing, nothing, actions)

    def run() -> list[Any]:
        features, states = answer_features(model, requests, 1), TextStates(model)(batch)
        scored = score_texts(model, PROMPTS, 2)
        served = [[each.log_prob or 0.0 for each in row] for row in scored]
        return [torch.tensor(features), states, *map(torch.tensor, served)]

    expected = run()
    small = _Small(model, most, patch)
    for ours, theirs in zip(run(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert max(small.passes) <= most and len(small.sentences) == 1


@pytest.mark.parametrize("most", [60, 33])
def test_samples_stay(most: int, patch: pytest.MonkeyPatch) -> None:
    model = tiny()
    expected = sample(model, PROMPTS, 6, Sampling(9, seed=2))
    small = _Small(model, most, patch)
    told: list[int] = []
    found = sample(model, PROMPTS, 6, Sampling(9, seed=2), told.append)
    for ours, theirs in zip(found.completions, expected.completions, strict=True):
        assert [c.tokens for c in ours] == [c.tokens for c in theirs]
    assert found.entropy == pytest.approx(expected.entropy, abs=1e-5)
    assert sum(told) == 24 and min(told) >= 0
    assert len(small.sentences) == 1


def test_samples_of_one_prompt_are_shared_out(patch: pytest.MonkeyPatch) -> None:
    model = tiny()
    expected = sample(model, PROMPTS[:1], 50, Sampling(4))
    small = _Small(model, 34, patch)
    assert [c.tokens for c in sample(model, PROMPTS[:1], 50, Sampling(4)).completions[0]] == [
        c.tokens for c in expected.completions[0]
    ]
    assert len(small.sentences) == 1


def _batch(prompts: list[list[int]]) -> Trajectories:
    actions = tuple(PromptCompletion(tuple(p), tuple(t)) for p in prompts for t in texts(5, [7, 4]))
    mask = length_mask([len(action.tokens) for action in actions])
    nothing = torch.zeros(mask.shape)
    return Trajectories(mask, nothing, torch.arange(len(actions)), nothing, nothing, actions)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_gradients_stay(kind: str, patch: pytest.MonkeyPatch) -> None:
    """Memory runs out in the backward pass, when some gradients are there already."""
    start = tiny()
    batch, objective = _batch(PROMPTS), Supervised()
    credit_BT = batch.mask_BT.float()

    def gradients(policy: LanguagePolicy) -> dict[str, Tensor]:
        accumulate(policy, objective, batch, credit_BT, 8.0, Ranks())
        return {n: p.grad for n, p in policy.parameters.items() if p.grad is not None}

    expected = gradients(LanguagePolicy(start, start, AdapterSpec(kind=kind), "float32", seed=0))
    sentences: list[str] = []
    start.room.tell = sentences.append
    policy = LanguagePolicy(start, start, AdapterSpec(kind=kind), "float32", seed=0)
    real, sizes = policy.log_probs, []

    def log_probs(part: Trajectories) -> Tensor:
        sizes.append(len(part))
        return real(part)

    def full(gradient: Tensor) -> Tensor:
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError
        return gradient

    first = next(p for name, p in policy.parameters.items() if "layers.0" in name)
    first.register_hook(full)  # the gradients of the layers above are there by then
    patch.setattr(policy, "log_probs", log_probs)
    found = gradients(policy)
    assert max(sizes) > 2 and sizes[-1] <= 2 and len(sentences) == 1
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_at_all_still_fails(patch: pytest.MonkeyPatch) -> None:
    model = tiny()
    _Small(model, 3, patch)
    with pytest.raises(torch.OutOfMemoryError):
        model.score([PromptWithContinuations(PROMPTS[0], texts(1, [3]))])


def test_a_batch_without_gradients_takes_several_passes() -> None:
    model, batch = tiny(), _batch(PROMPTS)
    with torch.no_grad():
        expected = text_log_probs(model, batch.data, batch.mask_BT)
        model.room.tokens = LEAST
        with pytest.MonkeyPatch.context() as patch:
            small = _Small(model, 60, patch)
            found = text_log_probs(model, batch.data, batch.mask_BT)
    assert len(small.passes) > 1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
@pytest.mark.parametrize("shared", [0, 90])
def test_prompts_run_in_packs_give_the_same_samples(family: str, shared: int) -> None:
    model = tiny(family)
    model.context_length = 1 << 20
    (system,) = texts(9, [shared])
    prompts = [[*system[: 60 if family == "gpt2" else None], *p[:25]] for p in PROMPTS]
    expected = sample(model, prompts, 3, Sampling(7))
    for tokens in (120, 40, LEAST):
        model.room.tokens = tokens
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prefill, "LONG_PREFIX", 50)
            small = _Small(model, 10**6, patch)
            found = sample(model, prompts, 3, Sampling(7))
        assert max(small.passes[: -6 or None]) <= max(tokens, 12) + (shared if tokens == 120 else 0)
        for ours, theirs in zip(found.completions, expected.completions, strict=True):
            assert [c.tokens for c in ours] == [c.tokens for c in theirs]


def test_room_is_halved_and_said_once() -> None:
    sentences: list[str] = []
    room = Room(100, sentences.append)
    calls: list[int] = []

    def work(items: list[int]) -> int:
        calls.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError
        return sum(items)

    assert in_room(work, [1, 2, 3, 4, 5], room, halves) == [3, 3, 9]
    assert calls == [5, 2, 3, 1, 2]
    assert room.tokens == 25 and room.share == 0.25 and len(sentences) == 1
    assert not Room(LEAST).shrink(LEAST)


def test_rows_and_tokens_follow_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    each = (
        2 * 2 * 2 * 8 * 4
    )  # keys and values of two layers with two heads of eight float32 numbers
    from truing.models.engine import room

    monkeypatch.setattr(room, "available_bytes", lambda device: 2 * 50 * 10 * each)
    assert fitting_rows(model.model, model.dtype, 10) == 50
    assert fitting_rows(model.model, model.dtype, 10**9) == 1
    per_token = (8 * 32 + 3 * 48) * 4 + 2 * each
    assert fitting_tokens(model.model, model.dtype) == 50 * 10 * each // per_token
    assert sample_plan.ROWS == 256
