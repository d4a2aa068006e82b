"""Where a first sentence ends, and that nothing is left that tells whether an answer ended."""

from __future__ import annotations

import pytest

from truing.judges.first_sentence import first_sentence, first_sentence_closed


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("Glass is a solid. It does not", "Glass is a solid."),
        ("Is it? Nobody knows", "Is it?"),
        ("No. Glass is a solid.", "No."),
        ("Glass is a solid", "Glass is a solid"),
        ('She wrote "glass." Then she', 'She wrote "glass."'),
        ("A solid\nQ: What is", "A solid"),
        ("  Three points… and a half. More", "Three points… and a half."),
        ("Dr. Ann Lee and J. R. Roe say so. And", "Dr. Ann Lee and J. R. Roe say so."),
        ("The U.S. Army did, e.g. in 1920. Later", "The U.S. Army did, e.g. in 1920."),
        ("1. A solid. 2. A", "1. A solid."),
        ("It was in 1920. Later", "It was in 1920."),
        ("It is 3.5 metres", "It is 3.5 metres"),
        ("ガラスは固体です。 それは", "ガラスは固体です。"),
        ("", ""),
        ("...", "..."),
    ],
)
def test_the_first_sentence(answer: str, sentence: str) -> None:
    assert first_sentence(answer) == sentence
    assert first_sentence(sentence) == sentence


@pytest.mark.parametrize(
    ("ended", "cut_off"),
    [
        ("Glass is a solid.", "Glass is a solid"),
        ("Glass is a solid!", "Glass is a solid,"),
        ("Glass is a solid. It does not flow.", "Glass is a solid. It does"),
        ('He said "solid."', 'He said "solid"'),
    ],
)
def test_an_answer_that_ended_is_the_same_as_one_cut_off(ended: str, cut_off: str) -> None:
    closed = first_sentence_closed(ended)
    assert closed == first_sentence_closed(cut_off) == first_sentence_closed(closed)
    assert closed.endswith(".")


@pytest.mark.parametrize("nothing", ["", "...", " ?! ", '"."'])
def test_an_answer_without_a_word_is_empty(nothing: str) -> None:
    assert first_sentence_closed(nothing) == ""
