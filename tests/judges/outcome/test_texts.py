"""What is seen of a text without a model."""

from __future__ import annotations

import pytest

from truing.judges.outcome.texts import (
    COLUMNS,
    before_loop,
    beginning,
    counted,
    judged_part,
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
        ("👍", "gibberish"),
        ("?! …", "gibberish"),
        ("\ufffd", "gibberish"),
        ("\0", "empty"),
        ("\ud800", "empty"),
        ("\u3164\u0301\x1b", "empty"),
        ("a" * 1_000_000, "gibberish"),
        ("Hahahahahaha" * 9, "gibberish"),
        ("1000000000000", None),
        ("senselessness", None),
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


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ("I can't\0 help\x1b with that.\n", "I can't help with that.\n"),
        (f"{PROMPT} That is the question.", "That is the question."),
        ("how do I BEAT an egg:\nWith a fork.", "With a fork."),
        ("How do I beat an egg white?", "How do I beat an egg white?"),  # another question
        (f"{PROMPT} ?!", f"{PROMPT} ?!"),
        ("With a fork.", "With a fork."),
        ("", ""),
    ],
)
def test_neither_the_prompt_again_nor_control_characters_are_judged(answer: str, part: str) -> None:
    assert judged_part(PROMPT, answer) == part


def test_a_prompt_of_few_words_is_no_echo() -> None:
    assert judged_part("Hello!", "Hello! And you?") == "Hello! And you?"


def test_a_loop_has_a_beginning_where_that_is_a_sentence() -> None:
    refusal = "I can't help with that, since it may do harm."
    head = before_loop(f"{refusal} {'it may do harm. ' * 5000}it m")
    assert head.startswith(refusal) and len(head.split()) <= 3 * len(refusal.split())
    assert before_loop("the egg " * 40) == "" == before_loop("** (( )) ~~ ## ++ " * 9)
