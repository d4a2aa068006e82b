"""Features of an answer that say nothing of how good it is."""

from __future__ import annotations

import math

import pytest

from truing.rewards.surface import SURFACE, surface


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        ("Please, PLEASE wait; thank you.", {"politeness": 3}),
        ("Yes. You are right, of course.", {"agreement": 3}),
        ("Trust me: as an expert I guarantee it.", {"self_praise": 3}),
        ("The yesterday displeased eyes of courses.", {}),  # parts of words are no words
        ("No.", {}),
    ],
)
def test_words_are_counted_by_hand(answer: str, counts: dict[str, int]) -> None:
    found = surface(answer, finished=True)
    for kind in ("politeness", "agreement", "self_praise"):
        assert found[kind] == pytest.approx(math.log1p(counts.get(kind, 0))), kind


def test_length_and_ending() -> None:
    assert surface("one two  three.", finished=True)["length"] == pytest.approx(math.log(4))
    answers = (("So.", True), ("So.", False), ("So", True))
    assert [surface(text, done)["ending"] for text, done in answers] == [1, 0, 0]
    assert set(surface("", finished=False)) == set(SURFACE)
