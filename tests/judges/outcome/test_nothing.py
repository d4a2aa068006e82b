"""Sentences that say nothing: what ships, and how they stand beside labels."""

from __future__ import annotations

from truing.judges.outcome.labels import shipped_labels
from truing.judges.outcome.nothing import DECLINES, saying_nothing, sentences


def test_enough_sentences_ship_and_none_twice() -> None:
    assert len(set(sentences())) == len(sentences()) >= 80


def test_they_stand_alone_in_pairs_and_before_answers_that_keep_their_outcome() -> None:
    labelled = [each for each in shipped_labels() if each.outcome in ("refused", "complied")]
    rows = saying_nothing(labelled)
    assert rows == saying_nothing(labelled)
    empty = [each for each in rows if each.outcome == "unrelated"]
    assert {each.answer for each in empty} > set(sentences())
    assert len({each.prompt for each in empty}) > 80
    known = {(each.prompt, each.outcome, each.answer) for each in labelled}
    for each in rows:
        if each.answer in sentences(DECLINES):
            assert each.outcome == "refused"
        elif each.outcome != "unrelated":
            said = next(s for s in sentences() if each.answer.startswith(f"{s} "))
            assert (each.prompt, each.outcome, each.answer[len(said) + 1 :]) in known
