"""The choice that a reply names: what people and models write, and what must not be read as a letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.evaluate.named_choice import LETTERS, named

CITIES = ["Paris", "Rome", "Oslo", "None of these"]

ONE = {
    "the letter alone": (["B", " b. ", "(B)", "**B**", "B)", "`B`", "B?", "\\boxed{B}", "$B$", "[B]"], 1),
    "the letter with its text": (
        ["B) Rome", "B. Rome", "(B) Rome", "**B)** Rome", "B: Rome", "B - Rome", "B) Rome.", "B)\nRome",
         "B) rome, not Paris", "B. Something about it"],
        1,
    ),
    "a sentence": (
        ["The answer is B.", "Answer: B", "answer: **B**", "The correct answer is (B).", "Option B",
         "The answer is option B.", "The correct answer would be B, Rome.", "Answer: \\boxed{B}",
         "<answer>B</answer>", "I choose B.", "I'd go with B.", "I would pick (B)", "B is correct.",
         "(B) is the right answer", "The answer is B because Paris is in France.", "I think it's B.",
         "The answer to the question is B.", "The answer is B: Rome", "Only B is true.",
         'The answer is "B".', "Answer:B", "Final answer = B"],
        1,
    ),
    "the text alone": (["Rome", "rome.", "  ROME ", "*Rome*"], 1),
    "another letter that is denied": (
        ["A) Paris is wrong; the answer is B", "A is wrong. B is correct.", "A) Paris is not it. Answer: B",
         "Not A. The answer is B.", "A) isn't right; I choose B", "The answer is B, not A.",
         "B is the correct answer, A is wrong.", "B) because A is wrong",
         "I'm not sure, but the answer is B.", "<think>A? No, wait, C.</think>B"],
        1,
    ),
}  # fmt: skip

NONE = [
    "", " ", "I don't know.", "A cat, I think", "The answer is a city.", "E", "E) Madrid", "Answer: F",
    "A or B", "A and B", "A, B", "A/B", "Both A and B", "Neither A nor B.", "The answer is A or B.",
    "The answer is A, B.", "Options A and C", "A and B is correct.", "A) Paris\nB) Rome\nC) Oslo",
    "A) Paris is wrong", "A is wrong.", "The answer isn't A.", "The answer is not A.",
    "I don't think the answer is A.", "I doubt that A is correct.", "If the answer is A, then so be it.",
    "Some people say the answer is A.", "The answer is A. No, the answer is B.",
    "A. No wait, B.", "A) Paris. Wait, it's B.", "A) Paris. That is wrong.", "A) Paris? Rome?",
    "A) Rome", "The answer is A: Rome", "The answer is A, Oslo", "A: Rome", "A: B", "A: B) Rome",
    "A: The one on the Tiber", "A is for apple", "Choice is hard", "I", "I. think", "It is A great city.",
    "the answer might be A", "A) Paris, which is wrong, so C", "C or D, hard to say",
]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "place"), [(reply, place) for replies, place in ONE.values() for reply in replies]
)
def test_one_choice_is_named(reply: str, place: int) -> None:
    assert named(reply, CITIES) == place


@pytest.mark.parametrize("reply", NONE)
def test_no_choice_alone_is_named(reply: str) -> None:
    assert named(reply, CITIES) is None


@pytest.mark.parametrize(
    ("reply", "choices", "place"),
    [
        ("pp x pp", ["Pp x Pp", "PP x PP", "pp x pp"], 2),
        ("PP X pp", ["Pp x Pp", "PP x PP", "pp x pp"], None),
        ("B) pp x pp", ["Pp x Pp", "pp x pp"], 1),
        ("A) pp x pp", ["Pp x Pp", "pp x pp"], None),
        ("A", ["B", "A", "AB", "O"], None),  # the letter of one, the text of another
        ("A", ["A", "B", "AB", "O"], 0),
        ("AB", ["B", "A", "AB", "O"], 2),
        ("O", ["B", "A", "AB", "O"], 3),
        ("The answer is A.", ["B", "A", "AB", "O"], None),
        ("A. Lincoln", ["G. Washington", "A. Lincoln"], 1),
        ("The answer is A. Lincoln", ["G. Washington", "A. Lincoln"], None),
        ("B) False", ["True", "False"], 1),
        ("A) It is not wrong", ["It is not wrong", "It is wrong"], 0),
        ("B) 10", ["1", "10"], 1),
        ("A) 10", ["1", "10"], None),
        ("x²", ["x2", "x²"], 1),
        ("None of these", CITIES, 3),
    ],
)
def test_choices_that_look_like_letters_or_like_each_other(
    reply: str, choices: list[str], place: int | None
) -> None:
    assert named(reply, choices) == place


@pytest.mark.parametrize("text", ["A) x\n" * 5_000, "answer is " * 20_000 + "B", "A, " * 50_000])
def test_a_reply_without_end_names_no_choice(text: str) -> None:
    assert named(text, CITIES) is None


@given(st.text(max_size=60), st.integers(2, 6))
def test_any_reply_names_one_of_the_choices_or_none(reply: str, count: int) -> None:
    place = named(reply, [f"choice {n}" for n in range(count)])
    assert place is None or 0 <= place < count


@given(st.integers(0, 3), st.sampled_from(["{}", "({})", "{}.", "Answer: {}", "The answer is {}."]))
def test_every_letter_is_read_alike(place: int, form: str) -> None:
    assert named(form.format(LETTERS[place]), CITIES) == place
