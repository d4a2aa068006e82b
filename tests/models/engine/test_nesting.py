"""Beginnings that prompts have in common: what is run once, in which order, and that nothing changes."""

from __future__ import annotations

import random

import pytest
import torch

from tiny import END, FAMILIES, plain, texts, tiny
from truing.models.engine import nesting
from truing.models.engine.nesting import Branch, branching, neighbours
from truing.models.engine.packing import packs
from truing.models.engine.tree import PromptWithContinuations, SharedPrefix, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample


def _prompts() -> list[list[int]]:
    """Two systems with two wordings each, of which some have several ends; one prompt twice."""
    one, other, a, b, *ends = texts(3, [12, 9, 7, 8, 3, 2, 5, 1, 4])
    prompts = [one + a + ends[0], one + a + ends[1], one + b + ends[2], other + b + ends[3]]
    return [*prompts, other + a + ends[4], one + a, prompts[1]]


@pytest.fixture
def every_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little a beginning saves, it is run apart."""
    monkeypatch.setattr(nesting, "SAVED", 1)


def test_only_beginnings_that_save_enough_are_branches() -> None:
    shared = list(range(30))
    prompts = [[*shared, 40, 41], [*shared, 50], [*shared[:3], 60], [*shared[:3], 70, 71]]
    assert branching(prompts, 0) == ([Branch(0, 0, 30, -1)], [0, 0, -1, -1])
    assert branching(prompts[:2], 8) == ([], [-1, -1])
    five = [[*shared, 40 + n] for n in range(5)]
    assert branching(five, 24) == ([Branch(0, 24, 30, -1)], [0] * 5)


def test_branches_hang_on_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nesting, "SAVED", 2)
    prompts = [[1, 2, 3, 4, 5, 9], [1, 2, 3, 4, 5, 8], [1, 2, 3, 7], [1, 6]]
    branches, hangs_on = branching(prompts, 1)
    assert branches == [Branch(0, 1, 3, -1), Branch(0, 3, 5, 0)] and hangs_on == [1, 1, 0, -1]
    deep = [[1] * (number + 2) for number in range(3000)]
    branches, hangs_on = branching(deep, 0)
    assert len(branches) > 1000 and len(hangs_on) == 3000


def test_like_beginnings_become_neighbours_only_where_that_saves_a_tenth() -> None:
    first, second = [1] * 20, [2] * 20
    apart = [[*first, 5], [*second, 5], [*first, 6], [*second, 6]]
    assert neighbours(apart) == [0, 2, 1, 3]
    assert neighbours([[3, 4, 5], [1, 4, 5], [2, 4, 5]]) == [0, 1, 2]
    assert neighbours([]) == []


@pytest.mark.usefixtures("every_beginning")
@pytest.mark.parametrize("known", [False, True])
def test_every_prompt_sees_its_own_tokens_alone(known: bool) -> None:
    start = [7, 8, 9]
    prompts = sorted([*start, *prompt] for prompt in _prompts())
    requests = [PromptWithContinuations(prompt, ()) for prompt in prompts]
    tree = TokenTree(
        requests, nested=True, shared_prefix=SharedPrefix(tuple(start), {}) if known else None
    )
    shared = prompts[0][: tree.prefix_length]
    begin = 0 if known else tree.prefix_length
    for prompt, places, last in zip(
        prompts, tree.prompt_places(), tree.prompt_last_P.tolist(), strict=True
    ):
        assert [*shared, *tree.tokens_N[places].tolist()] == prompt
        assert tree.positions_N[places].tolist() == list(range(len(shared), len(prompt)))
        assert places[-1] == last and min(places) >= begin
    beginnings = {tuple(prompt[: n + 1]) for prompt in prompts for n in range(len(prompt) - 1)}
    # A prompt's last token is its own, whatever else stands there.
    assert len(tree.tokens_N) == len(beginnings) + len(prompts) - (len(start) if known else 0)


@pytest.mark.usefixtures("every_beginning")
@pytest.mark.parametrize("size", [4096, 20], ids=["one pass", "many"])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_prompts_run_alone(
    family: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, oracle, prompts = tiny(family), plain(family), _prompts()
    random.Random(0).shuffle(prompts)
    monkeypatch.setattr(LanguageModel, "pack_tokens", size)
    found = sample(model, prompts, 2, Sampling(5, temperature=0)).completions
    for prompt, completions in zip(prompts, found, strict=True):
        with torch.no_grad():
            text = oracle.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=5,
                do_sample=False,
                eos_token_id=END,
                pad_token_id=END,
            )
        wanted = tuple(text[0, len(prompt) :].tolist())
        assert [c.tokens[: len(wanted)] for c in completions] == [wanted, wanted]


@pytest.mark.usefixtures("every_beginning")
@pytest.mark.parametrize("size", [4096, 20], ids=["one pass", "many"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_the_whole_text(
    family: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LanguageModel, "pack_tokens", size)
    model, oracle, prompts = tiny(family), plain(family), _prompts()
    random.Random(0).shuffle(prompts)
    requests = [
        PromptWithContinuations(p, [[5, 6, 7], [5, 9], [8]][n % 3 :]) for n, p in enumerate(prompts)
    ]
    read: list[int] = []
    hidden = model.hidden
    monkeypatch.setattr(
        model, "hidden", lambda *given: read.append(len(given[0])) or hidden(*given)
    )
    rows = model.score(requests)
    for request, row in zip(requests, rows, strict=True):
        for continuation, scored in zip(request.continuations, row, strict=True):
            text = torch.tensor([[*request.prompt, *continuation]])
            with torch.no_grad():
                wanted = oracle(text).logits[0, len(request.prompt) - 1 : -1].log_softmax(-1)
            alone = wanted.gather(1, torch.tensor(continuation)[:, None])[:, 0]
            torch.testing.assert_close(scored.token_log_probs, alone, atol=1e-4, rtol=0)
    if size > 100:
        beginnings = {tuple(p[: n + 1]) for p in prompts for n in range(len(p) - 1)}
        assert sum(read) < len(beginnings) + len(prompts) + 4 * len(prompts)


def test_packs_count_what_neighbours_share_once() -> None:
    shared = texts(5, [30])[0]
    alike = [[*shared, 100 + n] for n in range(6)]
    other = [[*texts(6, [30])[0], 200 + n] for n in range(6)]
    requests = [PromptWithContinuations(prompt, ()) for prompt in [*alike, *other]]
    assert len(list(packs(requests, 100))) == 2
    assert len(list(packs(requests, 100, nested=True))) == 1


@pytest.mark.usefixtures("every_beginning")
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_gradients_are_those_of_the_flat_tree(family: str) -> None:
    model = tiny(family)
    requests = [PromptWithContinuations(prompt, [[3, 4, 5], [6, 7]]) for prompt in _prompts()]
    gradients, sizes = [], []
    for nest in (False, True):
        tree = TokenTree(requests, nested=nest)
        model.model.zero_grad()
        log_prob_C = model.continuation_log_probs(tree, 1.0)
        (log_prob_C * torch.arange(len(log_prob_C))).sum().backward()
        parameters = model.model.parameters()
        gradients.append([p.grad.clone() for p in parameters if p.grad is not None])
        sizes.append(len(tree.tokens_N))
    assert sizes[1] < sizes[0] and gradients[0]
    for flat, nested_ in zip(*gradients, strict=True):
        assert (nested_ - flat).norm() <= 1e-5 * flat.norm() + 1e-6
