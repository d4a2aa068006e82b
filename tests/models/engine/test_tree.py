"""Packed trees against plain `transformers`, one text at a time."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import pytest
import torch

from tiny import FAMILIES, alone, plain, texts, tiny
from truing.models import scoring
from truing.models.engine import packing, tree
from truing.models.engine.nesting import common_prefix
from truing.models.engine.packing import packs
from truing.models.engine.tree import (
    PromptWithContinuations,
    SharedPrefix,
    TokenTree,
)
from truing.types import InputError


def _shared() -> list[PromptWithContinuations]:
    start, *rest = texts(1, [6, 3, 5, 1, 1, 2, 7, 3, 1, 4])
    one, two, three, *answers = rest
    return [
        PromptWithContinuations(start + one, [answers[0], answers[1], answers[2]]),
        PromptWithContinuations(start + two, [answers[3]]),
        PromptWithContinuations(start + three, [answers[4], answers[5], answers[4]]),
    ]


def _single() -> list[PromptWithContinuations]:
    prompt, *answers = texts(2, [7, 1, 6])
    return [PromptWithContinuations(prompt, answers)]


def _identical() -> list[PromptWithContinuations]:
    prompt, one, two = texts(3, [6, 2, 5])
    return [PromptWithContinuations(prompt, [one, two]), PromptWithContinuations(prompt, [two])]


def _nothing_common() -> list[PromptWithContinuations]:
    answers = texts(4, [3, 1, 6])
    return [
        PromptWithContinuations([5], answers),
        PromptWithContinuations([7, 8, 9, 10, 11, 12], answers[:1]),
    ]


def _prompt_within_prompt() -> list[PromptWithContinuations]:
    (prompt, answer) = texts(5, [8, 4])
    return [
        PromptWithContinuations(prompt[:5], [answer]),
        PromptWithContinuations(prompt, [answer]),
        PromptWithContinuations(prompt[:5], []),
    ]


def _alike() -> list[PromptWithContinuations]:
    """Continuations that begin alike, within and without each other, twice, and none of a prompt."""
    start, one, two, a, b, c = texts(8, [5, 3, 2, 4, 3, 6])
    alike = [a + b, a + c, a, a[:2], a + b, c, a + b + c]
    return [
        PromptWithContinuations(start + one, alike),
        PromptWithContinuations(start + two, [b, b]),
        PromptWithContinuations(start + one, []),
    ]


SHAPES = {
    "alike": _alike,
    "shared": _shared,
    "single": _single,
    "identical": _identical,
    "nothing common": _nothing_common,
    "prompt within prompt": _prompt_within_prompt,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("keep_last", [False, True])
@pytest.mark.parametrize("merge", [False, True])
def test_one_tree_scores_as_each_text_alone(
    family: str, shape: str, keep_last: bool, merge: bool
) -> None:
    requests = SHAPES[shape]()
    ours, oracle = tiny(family), plain(family)
    with torch.no_grad():
        tree = TokenTree(requests, keep_last=keep_last, merge=merge)
        found = ours.continuation_log_probs(tree)
        expected = torch.cat(
            [alone(oracle, r.prompt, c) for r in requests for c in r.continuations]
        )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", ["shared", "identical", "prompt within prompt", "alike"])
@pytest.mark.parametrize("merge", [False, True])
def test_a_long_prefix_apart_changes_nothing(
    family: str, shape: str, merge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "LONG_PREFIX", 0)
    test_one_tree_scores_as_each_text_alone(family, shape, keep_last=True, merge=merge)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_many_continuations_are_merged_in_several_segments(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MERGED", 12)
    test_one_tree_scores_as_each_text_alone(family, "alike", keep_last=False, merge=True)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("shape", "merge"), [("shared", False), ("identical", False), ("alike", True)]
)
def test_gradients_equal_those_of_plain_transformers(family: str, shape: str, merge: bool) -> None:
    requests = SHAPES[shape]()
    ours, oracle = tiny(family), plain(family)
    ours.continuation_log_probs(TokenTree(requests, merge=merge)).sum().backward()
    torch.stack(
        [alone(oracle, r.prompt, c).sum() for r in requests for c in r.continuations]
    ).sum().backward()
    expected = dict(oracle.named_parameters())
    for name, parameter in ours.model.named_parameters():
        wanted = expected[name].grad
        assert (parameter.grad is None) == (wanted is None), name
        if wanted is not None:
            # Gradients of some weights are in the hundreds: 1e-5 of the largest.
            close = 1e-5 * max(1.0, float(wanted.abs().max()))
            torch.testing.assert_close(parameter.grad, wanted, atol=close, rtol=1e-5, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_at_the_last_tokens(family: str) -> None:
    requests = _shared()
    ours, oracle = tiny(family), plain(family)
    tree = TokenTree(requests, keep_last=True)
    with torch.no_grad():
        hidden = ours.hidden(tree.tokens_N, tree.positions_N, tree)
        whole = [[*r.prompt, *c] for r in requests for c in r.continuations]
        for places, rows in (
            (tree.last_B, whole),
            (tree.prompt_last_P, [r.prompt for r in requests]),
        ):
            for place, row in zip(places.tolist(), rows, strict=True):
                alone_TE = oracle.base_model(input_ids=torch.tensor([list(row)])).last_hidden_state[
                    0
                ]
                torch.testing.assert_close(hidden[place], alone_TE[-1], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_scores_do_not_depend_on_the_batch_or_its_order(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, requests = tiny(family), _shared() + _nothing_common()
    together = model.score(requests)
    backwards = model.score(requests[::-1])[::-1]
    one_by_one = [model.score([request])[0] for request in requests]
    monkeypatch.setattr(
        packing,
        "packs",
        lambda requests, size, nested: packs(requests, min(size, 30), nested=nested),
    )
    in_packs = model.score(requests)
    for other in (backwards, one_by_one, in_packs):
        assert [len(row) for row in other] == [len(row) for row in together]
        for scored, again in zip(chain(*together), chain(*other), strict=True):
            torch.testing.assert_close(
                scored.token_log_probs, again.token_log_probs, atol=1e-5, rtol=1e-5
            )
            assert scored.total == pytest.approx(
                float(again.token_log_probs.double().sum()), abs=1e-4
            )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", ["shared", "identical", "prompt within prompt", "alike"])
@pytest.mark.parametrize("apart", [False, True])
def test_an_opening_run_once_changes_nothing(
    family: str, shape: str, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "LONG_PREFIX", 0)
    monkeypatch.setattr(tree, "LONG_PREFIX", 0 if apart else 100)
    monkeypatch.setattr(
        packing,
        "packs",
        lambda requests, size, nested: packs(requests, min(size, 20), nested=nested),
    )
    requests = SHAPES[shape]()
    ours, oracle = tiny(family), plain(family)
    passes: list[list[int]] = []
    hidden = ours.hidden

    def watched(tokens_N: torch.Tensor, *rest: Any) -> torch.Tensor:
        passes.append(tokens_N.tolist())
        return hidden(tokens_N, *rest)

    monkeypatch.setattr(ours, "hidden", watched)
    found = ours.score(requests)
    with torch.no_grad():
        for request, row in zip(requests, found, strict=True):
            for continuation, scored in zip(request.continuations, row, strict=True):
                expected = alone(oracle, request.prompt, continuation)
                torch.testing.assert_close(scored.token_log_probs, expected, atol=1e-5, rtol=1e-5)
    shared_prefix = requests[0].prompt[: common_prefix([r.prompt for r in requests])]
    assert shared_prefix and passes[0] == shared_prefix
    assert sum(map(len, passes[1:])) < sum(
        len(r.prompt) - len(shared_prefix) + sum(map(len, r.continuations)) for r in requests
    )


def test_a_tree_must_go_beyond_its_opening() -> None:
    shared_prefix = SharedPrefix((1, 2), {})
    behind = TokenTree([PromptWithContinuations([1, 2, 3], [[4, 5]])], shared_prefix=shared_prefix)
    assert behind.tokens_N.tolist() == [3, 4] and behind.positions_N.tolist() == [2, 3]
    assert behind.source_C.tolist() == [0, 1] and behind.prompt_places() == [[0]]
    assert behind.prefix_length == 2
    for prompt in ([1, 2], [1, 3, 4]):
        with pytest.raises(ValueError, match="begin with its shared prefix"):
            TokenTree([PromptWithContinuations(prompt, [[4]])], shared_prefix=shared_prefix)


def test_shared_tokens_are_packed_once() -> None:
    requests = _shared()
    tree = TokenTree(requests)
    assert tree.prefix_length == 6
    # Prefix, the prompts' own tokens, continuations but for their last tokens.
    assert len(tree.tokens_N) == 6 + (3 + 5 + 1) + (0 + 1 + 6) + 2 + (0 + 3 + 0)
    longer = TokenTree(requests, keep_last=True)
    assert len(longer.tokens_N) == len(tree.tokens_N) + 7
    targets = [token for r in requests for c in r.continuations for token in c]
    assert tree.target_C.tolist() == longer.target_C.tolist() == targets
    lengths = [len(c) for r in requests for c in r.continuations]
    assert tree.owner_C.bincount().tolist() == lengths
    assert longer.tokens_N[longer.last_B].tolist() == [
        c[-1] for r in requests for c in r.continuations
    ]


def test_merged_beginnings_are_packed_once() -> None:
    prompt, a, b, c = [1, 2], [3, 4, 5], [3, 4, 6, 7], [8]
    tree = TokenTree([PromptWithContinuations(prompt, [a, b, c])], merge=True)
    assert tree.tokens_N.tolist() == [1, 2, 3, 4, 6]  # each last token left out
    assert tree.positions_N.tolist() == [0, 1, 2, 3, 4]
    assert tree.target_C.tolist() == [3, 4, 5, 3, 4, 6, 7, 8]
    assert tree.source_C.tolist() == [1, 2, 3, 1, 2, 3, 4, 1]
    assert tree.owner_C.tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    assert tree.last_B.tolist() == [3, 4, 1]


def test_packs_hold_every_request_once_and_fit() -> None:
    requests = [PromptWithContinuations(t, [t[:2]]) for t in texts(6, [10, 3, 4, 50, 2, 2, 9, 1])]
    found = list(packs(requests, 20))
    assert [r for pack in found for r in pack] == requests
    sizes = [[len(r.prompt) + len(r.continuations[0]) for r in pack] for pack in found]
    assert all(sum(size) <= 20 or len(size) == 1 for size in sizes)
    assert all(sum(a) + b[0] > 20 for a, b in pairwise(sizes))


def test_common_prefix_leaves_each_prompt_a_token() -> None:
    assert common_prefix([[1, 2, 3], [1, 2, 3]]) == 2
    assert common_prefix([[1, 2], [1, 2, 3]]) == 1
    assert common_prefix([[1], [1, 2]]) == 0
    assert common_prefix([[4, 1], [5, 1]]) == 0


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TokenTree([])
    with pytest.raises(ValueError, match="at least one"):
        TokenTree([PromptWithContinuations([1], []), PromptWithContinuations([], [[1]])])
    model = tiny()
    model.check_length(128, "prompt 3")
    with pytest.raises(InputError, match=r"prompt 3: 129 tokens.*holds 128"):
        model.check_length(129, "prompt 3")
