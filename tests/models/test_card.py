"""Every pass on a card: no operator mixes devices, the numbers are the processor's, and little waits."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import astuple, is_dataclass
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
from pretend_card import CARD, Card, WrongDevice, watched
from tiny import config, plain, texts, tokenizer
from truing.candidates import Candidate
from truing.evaluate.divergence import divergences
from truing.evaluate.local import LocalRespondent
from truing.learn.sources.rollout import rollout
from truing.learn.text_states import TextStates
from truing.models import language_model
from truing.models.decoding import BatchedGenerator, Request
from truing.models.engine import level_attention, long_rows, packed, prefill
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import answer_features
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask
from truing.prompts.rendering import Prompt
from truing.serve import scoring as scoring_room
from truing.serve.scoring import score_texts
from truing.spec.run import AdapterSpec
from truing.types import Case, Completion

FAMILIES = ("llama", "qwen3", "gemma2", "gemma3", "gpt2")
PROMPTS = texts(1, [9, 6, 9])
REQUESTS = [PromptWithContinuations(prompt, texts(5, [3, 4, 1])) for prompt in PROMPTS]
LONG = [[*texts(2, [80])[0], *prompt] for prompt in PROMPTS]  # a prefix that is run once


def model(family: str, device: str | torch.device, seed: int = 0) -> LanguageModel:
    moved = plain(family, seed=seed).to(device)
    moved.tie_weights()  # a real card keeps them tied when a model is moved
    return LanguageModel(moved, tokenizer(chat=True))


def policy(start: LanguageModel, kind: str = "lora") -> LanguagePolicy:
    return LanguagePolicy(start, start, AdapterSpec(kind=kind, rank=2), "float32", seed=0)


def scoring(start: LanguageModel) -> Any:
    scored = start.score(REQUESTS)
    scored += start.score([PromptWithContinuations(p, texts(5, [3])) for p in LONG])
    return [each.token_log_probs.tolist() for row in scored for each in row]


def sampling(start: LanguageModel) -> Any:
    drawn = sample(start, PROMPTS, 3, Sampling(8, stop="a")).completions
    likeliest = sample(start, LONG, 1, Sampling(5, temperature=0.0)).completions
    return [(c.tokens, c.token_log_probs) for row in (*drawn, *likeliest) for c in row]


def learning(start: LanguageModel) -> Any:
    found = []
    for kind in ("lora", "full"):
        trained = policy(start, kind)
        batch = rollout(trained, PROMPTS, 2, Sampling(5)).trajectories
        log_probs = trained.log_probs(batch)
        entropies = trained.log_probs_and_entropies(batch)[1]
        (log_probs.sum() + entropies.sum()).backward()
        gradients = {n: p.grad for n, p in trained.parameters.items() if p.grad is not None}
        found.append([log_probs.detach(), {n: g.cpu() for n, g in gradients.items()}])
        found.append([batch.log_prob_BT, batch.reference_log_prob_BT])
    return found


def values(start: LanguageModel) -> Any:
    actions = tuple(PromptCompletion(tuple(p), (3, 4, 5)) for p in PROMPTS)
    mask = length_mask([3] * len(PROMPTS))
    nothing = torch.zeros(mask.shape)
    batch = Trajectories(mask, nothing, torch.arange(3), nothing, nothing, actions)
    return TextStates(start)(batch)


def features(start: LanguageModel) -> Any:
    return answer_features(start, REQUESTS, 1)


def chatting(start: LanguageModel) -> Any:
    writer = BatchedGenerator(start)
    asked = [writer.begin(Request(tuple(p), 6, seed=n)) for n, p in enumerate([*PROMPTS, LONG[0]])]
    for generation in asked:
        while not generation.has_read:
            writer.read(generation)
    while going := [each for each in asked if each.finish is None]:
        writer.step(going)
    return [each.tokens for each in asked]


def serving(start: LanguageModel) -> Any:
    return score_texts(start, [*PROMPTS, LONG[0]], 3)


def drift(start: LanguageModel) -> Any:
    moved = policy(start)
    with torch.no_grad():
        for parameter in moved.parameters.values():
            parameter.add_(0.1)
    ours = LocalRespondent(Candidate("ours", 0, moved.trained, Prompt()))
    base = LocalRespondent(Candidate("base", 0, start, Prompt()))
    cases = [Case("who was ann?"), Case("why so?")]
    answers = [Completion("", tuple(t), (), True) for t in texts(3, [4, 2])]
    return divergences(ours, base, cases, answers)


def checkpoints(start: LanguageModel) -> Any:
    trained = policy(start)
    state = {name: p.detach().clone() for name, p in trained.parameters.items()}
    again = policy(start)
    again.set_parameters({name: value.cpu() + 1 for name, value in state.items()})
    return {name: p.detach().cpu() for name, p in again.parameters.items()}


def long_texts(start: LanguageModel) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for module in (long_rows, language_model, scoring_room):
            patch.setattr(module, "PACK_TOKENS", 16)
        patch.setattr(long_rows, "PIECE", 5)
        requests = [PromptWithContinuations(LONG[0], texts(5, [3, 20]))]
        scored = [each.token_log_probs.tolist() for row in start.score(requests) for each in row]
        return scored, score_texts(start, [LONG[0]], 2), answer_features(start, requests, 1)


PASSES: tuple[Callable[[LanguageModel], Any], ...] = (
    scoring,
    sampling,
    learning,
    values,
    features,
    chatting,
    serving,
    drift,
    checkpoints,
    long_texts,
)


def same(ours: Any, theirs: Any) -> bool:
    """Equal but for the rounding of another kernel of attention, however they are nested."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, int | None):
        return bool(ours == theirs)
    if is_dataclass(ours):
        return same(astuple(ours), astuple(theirs))
    pair = [torch.as_tensor(each) for each in (ours, theirs)]
    return pair[0].shape == pair[1].shape and torch.allclose(*pair, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> tuple[LanguageModel, LanguageModel]:
    with watched() as seen:
        found = model(request.param, "cpu"), model(request.param, CARD)
    assert not seen.faults
    return found


@pytest.fixture
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor without what a card hasn't: its layout of weights, its joined attention, its cores."""
    monkeypatch.setattr(packed, "_can_pack", lambda weight: False)
    monkeypatch.setattr(level_attention, "can_join", lambda device: False)
    monkeypatch.setattr(language_model, "workers", lambda device: 1)


@pytest.mark.usefixtures("plain_kernels")
@pytest.mark.parametrize("run", PASSES, ids=lambda run: run.__name__)
def test_a_pass_on_the_card_gives_the_processors_numbers(
    pair: tuple[LanguageModel, LanguageModel], run: Callable[[LanguageModel], Any]
) -> None:
    here, there = pair
    for each in pair:
        each.forget_copies()
    with watched() as seen:
        found = run(there)
    assert not seen.faults
    assert same(found, run(here))
    here.forget_copies()


def of_layers(family: str, layers: int, dtype: torch.dtype = torch.float32) -> LanguageModel:
    settings = config(family)
    settings.num_hidden_layers = layers
    if (kinds := getattr(settings, "layer_types", None)) is not None:
        settings.layer_types = (kinds * layers)[:layers]
    attention = "eager" if family == "gemma2" else "sdpa"
    made = AutoModelForCausalLM.from_config(
        settings, dtype=dtype, attn_implementation=attention
    ).to(CARD)
    made.tie_weights()
    return LanguageModel(made, tokenizer(chat=True))


def a_step(start: LanguageModel, prompts: list[list[int]], samples: int) -> tuple[int, int]:
    """Waits and launches of one step of sampling."""

    def count(steps: int) -> tuple[int, int]:
        with watched() as seen:
            rows = sample(start, prompts, samples, Sampling(steps)).completions
        assert not seen.faults
        assert all(len(c.tokens) == steps for row in rows for c in row)
        return sum(seen.waits.values()), sum(seen.launches.values())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageModel, "end_tokens", frozenset())  # no row leaves
        count(2)  # what is made once
        before, after = count(6), count(7)
    return after[0] - before[0], after[1] - before[1]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_step_of_sampling_waits_once_whatever_the_rows(family: str) -> None:
    start = model(family, CARD)
    assert a_step(start, PROMPTS, 2)[0] == a_step(start, PROMPTS, 9)[0] == 1


LAUNCHES = {"llama": 19, "qwen2": 19, "qwen3": 21, "gemma3": 25, "gemma2": 25, "gpt2": 25}
"""Kernels that a layer of a step starts, on average. The last one runs through `transformers`."""


@pytest.mark.parametrize("family", LAUNCHES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernels_of_a_layer_in_a_step_of_sampling(family: str, dtype: torch.dtype) -> None:
    every = [a_step(of_layers(family, layers, dtype), PROMPTS, 2)[1] for layers in (2, 4)]
    # Scores that are capped go through float32.
    capped = 2 if family == "gemma2" and dtype == torch.bfloat16 else 0
    assert (every[1] - every[0]) / 2 == LAUNCHES[family] + capped


def test_a_prefix_apart_adds_two_kernels_to_a_layer() -> None:
    prompts = [[*texts(9, [prefill.LONG_PREFIX + 1])[0], *prompt] for prompt in PROMPTS]
    every = []
    for layers in (2, 4):
        start = of_layers("llama", layers)
        start.context_length = 1024
        every.append(a_step(start, prompts, 3)[1])
    assert (every[1] - every[0]) / 2 == LAUNCHES["llama"] + 2


def held_bytes() -> int:
    """Of all that is on the card."""
    gc.collect()
    on_card = [each for each in gc.get_objects() if issubclass(type(each), Card)]
    storages = [each.held.untyped_storage() for each in on_card]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.mark.parametrize(
    ("family", "adapted"),
    [("llama", False), ("qwen3", True), ("gemma2", False), ("gemma3", True), ("gpt2", True)],
)
def test_scoring_and_sampling_hold_no_second_copy_of_the_weights(
    family: str, adapted: bool
) -> None:
    start = model(family, CARD)
    trained = policy(start).trained if adapted else start
    before = held_bytes()
    scoring(trained)
    sampling(trained)
    head_norms = family in ("qwen3", "gemma3")
    per_layer = 6 * 8 * head_norms  # a row for each head of queries and of keys
    if family.startswith("gemma"):
        per_layer += 4 * 32 + 2 * 8 * head_norms  # 1 + the weights of its norms
    after_the_last = 32 * family.startswith("gemma")
    assert held_bytes() - before < 100 + 4 * (2 * per_layer + after_the_last)


def test_an_operator_that_mixes_devices_is_a_fault() -> None:
    with pytest.raises(WrongDevice, match="card and cpu mixed"):
        torch.ones(3).to(CARD) + torch.ones(3)
    with watched() as seen:
        torch.ones(3).to(CARD).index_select(0, torch.tensor([0]))
        assert float(torch.ones(3).to(CARD).sum()) == 3
    assert len(seen.faults) == 1 and sum(seen.waits.values()) == 1
