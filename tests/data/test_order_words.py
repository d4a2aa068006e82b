"""Questions whose options can't stand in another order, and those that only look like it."""

from __future__ import annotations

import pytest

from truing.data.surveys.order_words import order_words

GRADES = ("Good", "Middling", "Bad")
MENTION = [
    ("How good is it? Choose A or B or C.", GRADES),
    ("How good is it? Answer with A, B or C.", GRADES),
    ("Which of the above statements do you agree with?", GRADES),
    ("Which of the above do you agree with?", GRADES),
    ("As printed above, how good is it?", GRADES),
    ("Do you agree with the first option or the last one?", GRADES),
    ("Do you think option B is fairer?", GRADES),
    ("Do you hold statement 2 to be right?", GRADES),
    ("Growth or forests: do you prefer the former or the latter?", GRADES),
    ("Growth or forests?", ("The former", "The latter")),
    ("Growth or forests?", ("Growth", "Forests", "Neither of the above")),
    ("Growth or forests?", ("Growth", "Forests", "Both A and B")),
    ("Growth or forests?", ("Growth", "Forests", "A and B")),
    ("Growth or forests?", ("More than the former", "Forests")),
    ("Which comes closer to your view? A: Taxes are high. B: Taxes are low.",
     ("Statement A", "Statement B")),
    ("Which comes closer to your view?", ("Statement A", "Statement B", "Both statements")),
    ("Which holds?", ("Only statement 1", "Only statement 2", "Statements I and II")),
    ("What should be built? (a) a bridge (b) a park", ("The bridge", "The park")),
    ("What should be built? 1) a bridge 2) a park", ("The bridge", "The park")),
    ("How good is it?", ("A. Good", "B. Bad")),
    ("How good is it?", ("(a) Good", "(b) Bad", "Middling")),
    ("How good is it?", ("1. Good", "2. Middling", "3. Bad")),
    ("How good is it?", ("A) Good", "B) Bad")),
    ("How good is it?", ("A: Good", "B: Bad")),
    ("How good is it?", ("i. Good", "ii. Bad")),
]  # fmt: skip
HARMLESS = [
    ("Do you take vitamin A or vitamin B?", ("Vitamin A", "Vitamin B", "Both")),
    ("Is there a Plan B for the town?", ("Plan B", "There is none")),
    ("How do you judge the above-average rents?", GRADES),
    ("Do you trust the former president?", GRADES),
    ("How was the latter half of the year?", GRADES),
    ("Would you answer a call from a stranger?", ("Yes", "No")),
    ("Was this town your first choice?", ("Yes", "No")),
    ("Which of the following is most important to you?", ("Peace", "Growth", "Neither of them")),
    ("What is your blood type?", ("A", "B", "AB", "O")),
    ("Which grade did you get?", ("A", "B", "C")),
    ("Who should win?", ("D. Grant", "H. Ford")),
    ("Who wrote it?", ("E. Bell", "C. Bell", "A. Bell")),
    ("How long do you sleep?", ("1.5 hours", "2.5 hours")),
    ("When do you get up?", ("1:30", "2:30", "3:30")),
    ("How satisfied are you?", ("0. Not at all", *map(str, range(1, 10)), "10. Wholly")),
    ("How satisfied are you, from 1 to 5?", tuple("12345")),
    ("How far do you live from the U.S. border?", ("Near", "Far")),
    ("Is 2. Bundesliga worth watching?", ("Yes", "No")),
    ("How many do you own?", ("None", "One or two", "Three")),
    ("How is the weather below?", GRADES),
    ("Do you agree that some of the items are dear?", ("Yes", "No")),
    ("Which holds? (1) Rents rise. (2) Rents fall.", ("Both", "The one", "The other", "None")),
    ("Should schools give pupils a choice?", ("Yes, all of them", "No")),
]


@pytest.mark.parametrize(("question", "options"), MENTION)
def test_what_mentions_order_or_letters_is_named(question: str, options: tuple[str, ...]) -> None:
    assert order_words(question, options)


@pytest.mark.parametrize(("question", "options"), HARMLESS)
def test_what_only_looks_like_it_is_left_alone(question: str, options: tuple[str, ...]) -> None:
    assert order_words(question, options) == ""
