"""Files of question sets: what they mean, and what is said of one that can't be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from truing.people.questions.sets import Question, QuestionSet, question_set, read_question_set
from truing.types import InputError

MANNERS = """\
name: manners
questions:
  - name: polite
    question: How polite is the answer?
    grades: [rude, neutral, polite]
  - name: asks
    question: Does it ask back?
    grades: [yes, no]
    scale: nominal
    optional: true
"""


def written(folder: Path, text: str, name: str = "manners.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_set_is_read_as_it_is_written_and_comes_back_from_the_store(tmp_path: Path) -> None:
    asked = read_question_set(written(tmp_path, MANNERS))
    assert asked == QuestionSet(
        "manners",
        (
            Question("polite", "How polite is the answer?", ("rude", "neutral", "polite")),
            Question("asks", "Does it ask back?", ("yes", "no"), "nominal", True),
        ),
    )
    assert list(asked.by_key()) == ["manners.polite", "manners.asks"]
    assert question_set(asked.name, [each.to_json() for each in asked.questions]) == asked
    unnamed = read_question_set(written(tmp_path, MANNERS.partition("\n")[2], "tone.yaml"))
    assert unnamed.name == "tone"


def _instead(before: str, after: str) -> str:
    assert before in MANNERS
    return MANNERS.replace(before, after, 1)


_BAD = {
    "empty": ("", ": questions: the file is empty"),
    "no mapping": ("- polite\n", ":1: not a mapping"),
    "no YAML": ("name: [", ": not valid YAML"),
    "no questions": ("name: manners\n", ":1: questions: missing"),
    "an empty list": ("name: manners\nquestions: []\n", ":2: questions: not a list with something"),
    "questions as a text": ("questions: How?\n", ":1: questions: not a list with something"),
    "a bad name": (_instead("manners", "Good manners"), ":1: name: no name: 'Good manners'"),
    "a long name": (_instead("manners", "m" * 21), ":1: name: 21 characters long"),
    "an unknown key": (MANNERS + "author: me\n", ":11: unknown key 'author'"),
    "a near key": (_instead("    grades", "    grade"), "question 1: unknown key 'grade'; did you mean"),
    "a doubled key": (_instead("    scale: nominal", "    name: two"), ":9: question 2: the key 'name'"),
    "a question without a name": (
        _instead("name: polite\n    question", "question"), ":3: question 1: name: missing",
    ),
    "a question without words": (_instead("How polite is the answer?", "''"), ":4: question 1: question"),
    "no grades": (_instead("    grades: [yes, no]\n", ""), ":6: question 2: grades: missing"),
    "one grade": (_instead("[yes, no]", "[yes]"), ":8: question 2: grades: 1 grade(s)"),
    "a doubled grade": (_instead("[yes, no]", "[yes, Yes]"), ":8: question 2: grades: 'Yes' stands twice"),
    "a grade in a grade": (_instead("[yes, no]", "[yes, [no]]"), ":8: question 2: grades: not a text"),
    "a doubled name": (_instead("asks", "polite"), ":6: question 2: name: 'polite' stands twice"),
    "a doubled question": (
        _instead("Does it ask back?", "How polite is the answer?"),
        ":6: question 2: question: 'How polite is the answer?' stands twice",
    ),
    "an unknown scale": (_instead("nominal", "ordinary"), ":9: question 2: scale: no 'ordinary'; did you"),
    "no truth": (_instead("true", "maybe"), ":10: question 2: optional: no 'maybe'; give true or false"),
}  # fmt: skip


@pytest.mark.parametrize("case", _BAD)
def test_what_cannot_be_asked_is_one_line_with_file_and_field(case: str, tmp_path: Path) -> None:
    text, said = _BAD[case]
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_question_set(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and said in message and "\n" not in message


def test_a_file_whose_name_is_no_word_needs_a_name(tmp_path: Path) -> None:
    path = written(tmp_path, MANNERS.partition("\n")[2], "My questions.yaml")
    with pytest.raises(InputError, match="name: missing, and the file's name 'My questions'"):
        read_question_set(path)
