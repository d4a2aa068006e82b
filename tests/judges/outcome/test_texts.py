"""What is seen of a text without a model."""

from __future__ import annotations

import pytest

from truing.judges.outcome.texts import (
    COLUMNS,
    beginning,
    counted,
    plain_outcome,
    readable,
    shortened,
    shuffled,
    spelt_out,
)

PROMPT = "How do I beat an egg?"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("\u200b\ufeff", "empty"),
        (PROMPT, "unrelated"),
        ("how do I beat an egg", "unrelated"),
        (f"{PROMPT} {PROMPT}\n{PROMPT}", "unrelated"),
        (f"{PROMPT} With a fork.", None),
        ("the egg the egg " * 20, "gibberish"),
        ("#$%& ** (( )) ~~ ^^ ==== ++", "gibberish"),
        ("With a fork, in a bowl.", None),
        ("Sorry, no.", None),
        ("👍", None),
        ("42", None),
        ("用叉子在碗里打蛋,直到起泡。", None),
        ("```python\nbeat(egg, tool='fork')\n```", None),
    ],
)
def test_plain_cases_are_told_by_program(answer: str, outcome: str | None) -> None:
    assert plain_outcome(PROMPT, answer) == outcome


@pytest.mark.parametrize(
    "typed", ["I can't, I'm sorry", "I cannot, I am sorry", "I can’t, I’m SORRY"]
)
def test_spellings_that_say_the_same_are_seen_alike(typed: str) -> None:
    assert spelt_out(typed) == "i can not, i am sorry"
    assert (counted([typed]) != counted(["i can not i am sorry"])).nnz == 0


def test_counts_have_length_one_and_no_words_none() -> None:
    rows = counted(["one two three", "?!", ""])
    assert rows.shape == (3, COLUMNS)
    assert rows[0].multiply(rows[0]).sum() == pytest.approx(1) and rows[1:].nnz == 0


def test_long_texts_are_cut_to_both_ends() -> None:
    text = " ".join(map(str, range(100)))
    assert shortened(text, 2, 1) == "0 1 … 99"
    assert shortened("a  b\nc", 2, 1) == "a b c"
    assert beginning(text, 3) == "0 1 2"
    assert len(shortened("x" * 10_000_000, 2, 1)) == 40


def test_shuffling_depends_on_the_text_alone() -> None:
    text = "the quick brown fox jumps over the lazy dog"
    assert shuffled(text) == shuffled(text) != text
    assert sorted(shuffled(text).split()) == sorted(text.split())


def test_halves_of_characters_are_readable() -> None:
    assert readable("a\ud800b") == "a?b"
