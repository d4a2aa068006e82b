"""An adapter and a head from judgements: against the equation written out in plain transformers, torn
apart or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import softplus

from tiny import plain, texts, tiny
from truing.learn.judged_answers import (
    THRESHOLDS,
    WEIGHTS,
    Conversations,
    Judged,
    JudgedAnswer,
    Scorer,
    Thresholds,
    laid_out,
)
from truing.policies import language
from truing.policies.language import LanguagePolicy, pieces
from truing.rewards.learned.head import Standard
from truing.spec.reward_model import Pooling
from truing.spec.run import AdapterSpec
from truing.statistics.judgement_likelihood import Likelihood, Ranked, Rated, Ties, likelihood
from truing.statistics.linear_scores import LinearScores
from worlds import update_gradients

LAYER, RIDGE = 1, 0.7
OPINIONS = (
    Ranked((0, 1), (1, 2)),
    Ranked((2, 1), (1, 1)),
    Rated(0, 3),
    Ranked((3, 4), (2, 1)),
    Ranked((5, 6, 7), (1, 2, 2)),
    Rated(6, 1),
    Rated(8, 2),
    Rated(8, 3),
)
"""Comparisons, ties, a ranking of three with a tie and ratings of three levels, in four conversations."""
PAIRS = {0: [(0, 1, False)], 1: [(2, 1, True)], 3: [(4, 3, False)]}
PAIRS[4] = [(5, 6, False), (5, 7, False), (6, 7, True)]


def conversations() -> list[list[JudgedAnswer]]:
    """Three, two, three and one answers."""
    prompts, answers = texts(1, [4, 6, 3, 5]), texts(2, [2, 3, 6, 7, 4, 5, 2, 3, 4])
    owner = [0, 0, 0, 1, 1, 2, 2, 2, 3]
    return [
        [
            JudgedAnswer(tuple(prompts[number]), tuple(answers[place]), place)
            for place, own in enumerate(owner)
            if own == number
        ]
        for number in range(4)
    ]


def scorer_of(terms: Likelihood, pooling: Pooling) -> Scorer:
    """A scorer that has learned something already, so that no gradient is 0."""
    model = tiny()
    adapter = AdapterSpec(rank=3, alpha=6)
    policy = LanguagePolicy(model, model, adapter, "float32", seed=1)
    random, wide = np.random.default_rng(4), 64 if pooling == "both" else 32
    standard = Standard(random.normal(size=wide), random.random(wide) + 1)
    start = LinearScores(random.normal(size=wide), terms.start)
    scorer = Scorer(policy, LAYER, pooling, standard, start, terms.has_tie)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in scorer.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return scorer


def written_out(
    scorer: Scorer, terms: Likelihood, ties: Ties, pooling: Pooling
) -> tuple[float, dict[str, Tensor]]:
    """The loss and its gradients by parameter, in double, one text at a time."""
    model = plain("llama").double()
    leaves = {
        name: value.detach().double().requires_grad_() for name, value in scorer.parameters.items()
    }
    weights = dict(model.named_parameters())
    for name in {n.removesuffix(".lora_A") for n in leaves if n.endswith(".lora_A")}:
        change = 2 * leaves[f"{name}.lora_B"] @ leaves[f"{name}.lora_A"]
        weights[f"{name}.weight"] = weights[f"{name}.weight"].detach() + change
    scores = []
    for answer in (each for conversation in conversations() for each in conversation):
        text = torch.tensor([[*answer.prompt, *answer.tokens]])
        named = {"input_ids": text, "use_cache": False, "output_hidden_states": True}
        states = functional_call(model, weights, (), named).hidden_states[LAYER][0]
        own = states[len(answer.prompt) :]
        seen = {"mean": [own.mean(0)], "last": [own[-1]], "both": [own.mean(0), own[-1]]}[pooling]
        scaled = (torch.cat(seen) - scorer.mean_E) / scorer.scale_E
        scores.append(scaled @ leaves[WEIGHTS])
    loss = _loss(scores, leaves[THRESHOLDS], ties)
    loss = loss + RIDGE / 2 * leaves[WEIGHTS].square().sum()
    loss = loss / len(OPINIONS)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return float(loss.detach()), dict(zip(leaves, gradients, strict=True))


def _loss(scores: list[Tensor], raw: Tensor, ties: Ties) -> Tensor:
    tie = raw[0].exp() if ties == "rao_kupper" else torch.zeros(())
    first = raw[1] if ties == "rao_kupper" else raw[0]
    cuts = [-torch.inf, first, first + raw[-1].exp(), torch.inf]
    loss = torch.zeros(())
    for number, opinion in enumerate(OPINIONS):
        if isinstance(opinion, Rated):
            below, above = cuts[opinion.level - 1], cuts[opinion.level]
            score = scores[opinion.answer]
            chance = torch.sigmoid(above - score) - torch.sigmoid(below - score)
            loss = loss - chance.log()
            continue
        for better, worse, tied in PAIRS[number]:
            apart, share = scores[better] - scores[worse], 1 / len(PAIRS[number])
            if not tied:
                loss = loss + share * softplus(tie - apart)
            elif ties == "rao_kupper":
                chance = torch.sigmoid(tie - apart) - torch.sigmoid(-tie - apart)
                loss = loss - share * chance.log()
            else:
                loss = loss + share / 2 * (softplus(apart) + softplus(-apart))
    return loss


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm())


@pytest.mark.parametrize("ties", ["half_win", "rao_kupper"])
@pytest.mark.parametrize("pooling", ["mean", "last", "both"])
def test_the_gradient_is_that_of_the_equation(pooling: Pooling, ties: Ties) -> None:
    terms = likelihood(OPINIONS, 9, ties)
    scorer = scorer_of(terms, pooling)
    objective = Judged.of(terms, scorer, RIDGE)
    batch = laid_out([conversations()[place] for place in (2, 0, 3, 1)])
    found, row = update_gradients(scorer, objective, batch)
    loss, exact = written_out(scorer, terms, ties, pooling)
    assert row["loss"] == pytest.approx(loss, rel=1e-6)
    assert found.keys() == exact.keys() == scorer.parameters.keys()
    for name, gradient in exact.items():
        assert _relative(found[name], gradient) < 3e-6, name
    assert row["taught"] == 9 and not any(".layers.1." in name for name in found)


def test_conversations_torn_apart_by_pieces_give_the_same_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terms = likelihood(OPINIONS, 9, "rao_kupper")
    scorer = scorer_of(terms, "both")
    objective, batch = Judged.of(terms, scorer, RIDGE), laid_out(conversations())
    assert batch.units == [range(3), range(3, 5), range(5, 8), range(8, 9)]
    whole, row = update_gradients(scorer, objective, batch)
    for size in (1, 12, 24):
        assert len(list(pieces(batch.data, size, batch.units))) > 2

        def small(actions: object, size: int = size, units: object = ()) -> object:
            return pieces(actions, size, units)  # type: ignore[arg-type]

        monkeypatch.setattr(language, "pieces", small)
        found, its_row = update_gradients(scorer, objective, batch)
        assert its_row["loss"] == pytest.approx(row["loss"], rel=1e-5)
        for name, gradient in whole.items():
            assert _relative(found[name], gradient) < 3e-6, (size, name)


def test_steps_go_through_all_conversations_and_weigh_their_own_judgements() -> None:
    terms = likelihood(OPINIONS, 9)
    scorer = scorer_of(terms, "mean")
    objective, source = Judged.of(terms, scorer, RIDGE), Conversations(conversations(), 3, seed=5)
    assert source.steps_per_epoch == 2
    batches = [source.batch(step)[0] for step in (1, 2)]
    places = sorted(action.place for batch in batches for action in batch.data)
    assert places == list(range(9))
    counts = [objective.count(batch) for batch in batches]
    assert sum(counts) == len(OPINIONS)
    losses = [update_gradients(scorer, objective, batch)[1]["loss"] for batch in batches]
    every = update_gradients(scorer, objective, laid_out(conversations()))[1]["loss"]
    assert np.dot(losses, counts) / sum(counts) == pytest.approx(every, rel=1e-6)
    orders = [[a.place for a in source.batch(step)[0].data] for step in (1, 3, 5)]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize(
    ("start", "has_tie"),
    [([0.4, -1.0, 0.5, 2.0], True), ([-1.0, 0.5], False), ([0.3], True), ([], False)],
)
def test_thresholds_begin_where_they_are_and_stay_in_order(
    start: list[float], has_tie: bool
) -> None:
    thresholds = Thresholds(np.array(start), has_tie)
    assert thresholds().tolist() == pytest.approx(start, abs=1e-6)
    with torch.no_grad():
        thresholds.raw_T.sub_(5.0)
    moved = thresholds().tolist()
    assert all(a < b for a, b in zip(moved[has_tie:], moved[has_tie + 1 :], strict=False))
    assert not has_tie or moved[0] > 0
