"""Heads of groups: two opposed groups, and two that agree, in judgements of a known taste."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from truing.rewards.learned.fitting import Fit, fit, resampled_heads
from truing.rewards.learned.groups import OwnHead, around_each, own_heads
from truing.rewards.learned.sample import Sample
from truing.statistics.judgement_likelihood import Ranked

Floats = NDArray[np.float64]
WIDTH, RIDGES = 12, (0.1, 1.0, 10.0)
TASTE = np.random.default_rng(1).normal(size=WIDTH)


def _judged(count: int, opposed: bool, seed: int) -> tuple[Sample, Floats]:
    """So many comparisons, four fifths by a majority of 16 people; of three a prompt. The minority of 4
    likes the opposite, or the same."""
    generator = np.random.default_rng(seed)
    prompts = count // 3 + 1
    features = generator.normal(size=(2 * prompts, WIDTH))
    opinions, prompt, person, group = [], [], [], []
    for number in range(count):
        own = number % prompts
        few = bool(generator.random() < 0.2)
        taste = -TASTE if few and opposed else TASTE
        apart = (features[2 * own] - features[2 * own + 1]) @ taste
        won = generator.random() < expit(apart)
        opinions.append(Ranked((2 * own, 2 * own + 1), (1, 2) if won else (2, 1)))
        prompt.append(f"prompt {own}")
        person.append(f"{'few' if few else 'many'} {generator.integers(4 if few else 16)}")
        group.append("few" if few else "many")
    answers = tuple(((("user", f"prompt {n // 2}"),), f"answer {n}") for n in range(2 * prompts))
    of_answers = tuple(f"prompt {n // 2}" for n in range(2 * prompts))
    kinds = ("comparison",) * count
    sample = Sample(
        answers, tuple(opinions), kinds, *map(tuple, (prompt, person, group)), of_answers
    )
    return sample, features


def _fitted(opposed: bool, seed: int = 5) -> tuple[Sample, Floats, Fit, dict[str, OwnHead]]:
    sample, features = _judged(1000, opposed, seed)
    best = fit(sample, {"all": features}, RIDGES, "half_win", 5)
    return sample, features, best, own_heads(sample, features, best, "half_win", 5)


def _right(weights: Floats, taste: Floats) -> float:
    """How often new answers of equal prompts are ordered as a taste has them."""
    generator = np.random.default_rng(99)
    apart = generator.normal(size=(4000, WIDTH)) - generator.normal(size=(4000, WIDTH))
    return float((np.sign(apart @ weights) == np.sign(apart @ taste)).mean())


def test_an_opposed_minority_gets_its_own_head() -> None:
    sample, features, best, own = _fitted(opposed=True)
    assert own["few"].asked_for and own["few"].judgements == sample.group.count("few") < 240
    assert _right(best.head.weights, -TASTE) < 0.3  # what one head for all does to them
    assert _right(own["few"].weights, -TASTE) >= 0.80
    heads = resampled_heads(sample, features, best, "half_win", 4, seed=0)
    around = around_each(sample, features, best, "half_win", "few", heads)
    assert around.shape == heads.shape and _right(around.mean(0), -TASTE) >= 0.80


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_groups_that_agree_share_a_head(seed: int) -> None:
    _, _, best, own = _fitted(opposed=False, seed=seed)
    pooled = _right(best.head.weights, TASTE)
    for head in own.values():
        served = head.weights if head.asked_for else best.head.weights
        assert _right(served, TASTE) == pytest.approx(pooled, abs=0.02)


def test_a_group_of_a_few_judgements_has_none() -> None:
    sample, features = _judged(150, True, 5)
    best = fit(sample, {"all": features}, RIDGES, "half_win", 5)
    own = own_heads(sample, features, best, "half_win", 5)
    assert set(own) == {"many"} and sample.group.count("few") < 40
