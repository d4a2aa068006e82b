"""Outcomes as rows have them."""

from __future__ import annotations

import pytest

from truing.judges.outcomes import DEFINITIONS, JUDGED, OUTCOMES, Outcome
from truing.types import Unscored


def test_every_outcome_is_defined_in_a_sentence() -> None:
    assert tuple(DEFINITIONS) == OUTCOMES
    for text in DEFINITIONS.values():
        assert text.startswith("The answer ") and text.count(".") == 1 and text.endswith(".")


def test_an_empty_answer_has_no_probability() -> None:
    empty = Outcome.empty()
    assert empty.outcome == "empty" and isinstance(empty.p_any_refusal, Unscored)
    assert empty.to_json() == {
        "outcome": "empty",
        **{f"p_{name}": {"unscored": "empty answer"} for name in JUDGED},
    }


def test_any_refusal_is_whole_or_partial() -> None:
    told = Outcome("refused", 0.5, 0.25, 0.25, 0.0, 0.0)
    merged = Outcome("refused", 0.75, Unscored("can't tell"), 0.25, 0.0, 0.0)
    assert told.p_any_refusal == merged.p_any_refusal == pytest.approx(0.75)
    assert list(told.probabilities) == [f"p_{name}" for name in JUDGED]
