"""Pairs of answers as a source of trajectories."""

from __future__ import annotations

import pytest
import torch

from tiny import alone, plain, texts, tiny
from truing.learn.sources import pairs as pairs_module
from truing.learn.sources.pairs import (
    CONTRADICTORY,
    EMPTY,
    EQUAL,
    Comparisons,
    Pairs,
    at_most,
    compared,
)
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories, joined
from truing.spec.run import AdapterSpec
from truing.types import InputError

P, Q = (5, 6, 7), (5, 6, 8)
A, B, C, D = (9,), (9, 10), (11, 12), (13,)


def _policy() -> LanguagePolicy:
    model = tiny()
    return LanguagePolicy(model, model, AdapterSpec(rank=2), "float32", seed=1)


def _many(count: int = 7) -> list[Comparisons]:
    prompts, answers = texts(4, [6] * count), texts(5, [3, 5] * count)
    return [
        Comparisons(tuple(prompt), tuple(map(tuple, answers[2 * n : 2 * n + 2])), ((0, 1),))
        for n, prompt in enumerate(prompts)
    ]


def test_pairs_are_gathered_by_prompt_and_answers_stand_once() -> None:
    found, left_out = compared([(P, A, B), (Q, A, C), (P, A, C), (P, D, B), (P, A, B)])
    assert found == [
        Comparisons(P, (A, B, C, D), ((0, 1), (0, 2), (3, 1), (0, 1))),
        Comparisons(Q, (A, C), ((0, 1),)),
    ]
    assert left_out == {}
    assert found[1].actions == [PromptCompletion(Q, A), PromptCompletion(Q, C)]


def test_what_teaches_nothing_is_counted_with_its_reason() -> None:
    rows = [(P, A, B), (P, B, A), (P, A, A), (P, (), A), (P, A, ()), (P, A, B), (Q, B, A)]
    found, left_out = compared(rows)
    assert found == [Comparisons(Q, (B, A), ((0, 1),))]
    assert left_out == {CONTRADICTORY: 3, EQUAL: 1, EMPTY: 2}


def test_at_most_so_many_pairs_are_drawn_by_the_seed() -> None:
    [whole], _ = compared([(P, better, worse) for better in (A, B) for worse in (C, D)])
    [one], [again], [other] = (at_most([whole], 2, seed) for seed in (0, 0, 3))
    assert len(one.pairs) == 2 and one == again != other
    kept = {(one.answers[a], one.answers[b]) for a, b in one.pairs}
    assert kept < {(better, worse) for better in (A, B) for worse in (C, D)}
    assert set(one.answers) == {answer for pair in kept for answer in pair}
    assert at_most([whole], 9, 0) == [whole]


def test_every_prompt_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    source = Pairs(_policy(), _many(), 3, seed=0)
    assert source.steps_per_epoch == 3
    for _ in source.remember_reference(6):
        pass
    orders = []
    for epoch in (0, 1):
        batches = [source.batch(3 * epoch + step) for step in (1, 2, 3)]
        assert [row["pairs"] for _, row in batches] == [3, 3, 1]
        assert {row["epoch"] for _, row in batches} == {epoch + 1}
        orders.append([action.prompt for batch, _ in batches for action in batch.data[::2]])
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(each.prompt for each in _many())
    assert orders[0] != orders[1]
    assert (row := source.batch(1)[1])["chosen_length"] == 3 and row["rejected_length"] == 5


def test_the_reference_is_the_policy_before_it_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = _policy()
    source = Pairs(policy, _many(), 3, seed=0, mismatched=True)
    assert list(source.remember_reference(100)) == [1, 2, 3]
    with torch.no_grad():
        for parameter in policy.parameters.values():
            parameter.add_(0.1)
    model = plain("llama")
    for step in (2, 5):
        batch, _ = source.batch(step)
        for b, action in enumerate(batch.data):
            found = batch.reference_log_prob_BT[b, : len(action.tokens)]
            expected = alone(model, action.prompt, action.tokens).detach()
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    calls: list[int] = []
    evaluate = pairs_module.log_probs_now
    monkeypatch.setattr(
        pairs_module, "log_probs_now", lambda *given: calls.append(1) or evaluate(*given)
    )
    source.batch(5)
    assert calls == [1]  # the mismatched alone, as they are now


def test_fewer_steps_than_an_epoch_need_fewer_passes() -> None:
    source = Pairs(_policy(), _many(), 3, seed=0)
    assert list(source.remember_reference(2)) == [1, 2]
    source.batch(2)
    with pytest.raises(KeyError):
        source.batch(3)


def test_mismatched_answers_are_those_of_the_prompt_before() -> None:
    every = _many(3)
    source = Pairs(_policy(), every, 3, seed=0, mismatched=True)
    for _ in source.remember_reference(1):
        pass
    batch, _ = source.batch(1)
    others = {(action.prompt, action.tokens) for action in batch.data[6:]}
    assert others == {(every[n].prompt, a) for n in range(3) for a in every[n - 1].answers}
    assert batch.pair_N2 is not None and batch.pair_N2.max() < 6
    torch.testing.assert_close(batch.kl_B[6:], torch.zeros(6))  # nothing is learned yet


def test_no_pairs_and_too_few_prompts_are_refused() -> None:
    with pytest.raises(InputError, match="preference: there are no pairs"):
        Pairs(_policy(), [], 3, seed=0)
    with pytest.raises(InputError, match="one prompt has no answers to other prompts"):
        Pairs(_policy(), _many(1), 3, seed=0, mismatched=True)


def test_batches_of_pairs_are_joined_behind_one_another() -> None:
    nothing, mask = torch.zeros(2, 1), torch.ones(2, 1, dtype=torch.bool)
    pair = torch.tensor([[1, 0]])
    one = Trajectories(
        mask, nothing, torch.zeros(2).long(), nothing, nothing, ("a", "b"), pair_N2=pair
    )
    both = joined([one, one.unpaired, one])
    assert both.pair_N2 is not None and both.pair_N2.tolist() == [[1, 0], [5, 4]]
    assert joined([one.unpaired, one.unpaired]).pair_N2 is None
