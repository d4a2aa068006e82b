"""Curves on made-up figures, and which answers they are fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from truing.judges.outcome.labels import LabelledOutcome
from truing.judges.outcome.likelihoods import Curve, LikelihoodTests, complying, swapped

LONG = "With a fork, in a wide bowl, for two minutes."


def test_a_curve_lies_between_the_two_kinds_and_falls() -> None:
    generator = np.random.default_rng(0)
    low, high = generator.normal(0, 0.3, 400), generator.normal(2, 0.3, 100)
    curve = Curve.between(low, high)
    assert 0.8 < curve.middle < 1.2
    assert curve(np.array([curve.middle])) == pytest.approx(0.5)
    assert (curve(low) > 0.5).mean() > 0.98 and (curve(high) < 0.5).mean() > 0.98
    assert LikelihoodTests.from_json(LikelihoodTests(curve, curve).to_json()).order == curve


def test_complying_answers_come_a_prompt_after_another() -> None:
    labelled = [
        LabelledOutcome("a", f"{LONG} One.", "complied", "s"),
        LabelledOutcome("a", f"{LONG} Two.", "complied", "s"),
        LabelledOutcome("b", f"{LONG} Three.", "complied", "s"),
        LabelledOutcome("b", f"{LONG} No.", "refused", "s"),
        LabelledOutcome("c", "Short.", "complied", "s"),
    ]
    pairs = complying(labelled)
    assert [(p, a.split()[-1]) for p, a in pairs] == [("a", "One."), ("b", "Three."), ("a", "Two.")]


def test_swapped_answers_stand_behind_another_prompt() -> None:
    pairs = [("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")]
    assert [answer for _, answer in swapped(pairs)] == ["1", "2", "3", "4"]
    assert all(own != other for (own, _), (other, _) in zip(pairs, swapped(pairs), strict=True))
    assert swapped([]) == []
