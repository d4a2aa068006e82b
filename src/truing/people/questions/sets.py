"""What a set of questions is, and how it is read from a YAML file.

Names are short words, for they become columns; what people see are the questions and the grades.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml

from truing.data.drafts import mistake
from truing.files import read_text
from truing.spec.yaml_text import yaml_node
from truing.statistics.agreement import Scale
from truing.types import InputError, did_you_mean

SET_NAME, QUESTION_NAME = 20, 24
"""Characters of a set's and of a question's name; both together are a flag's name in the store."""
TEXT, GRADE = 500, 80
MOST_QUESTIONS, MOST_GRADES = 30, 20
SCALES: tuple[Scale, ...] = get_args(Scale)
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
KEY = re.compile(rf"{_NAME.pattern}\.{_NAME.pattern}")
"""What a question's key looks like, `set.question`: the name of its flag and of its field."""
_KEYS = ("name", "questions")
_QUESTION_KEYS = ("name", "question", "grades", "scale", "optional")
_T = TypeVar("_T")
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Question:
    """A question about an answer, and the grades that it can be given, in their order."""

    name: str
    question: str
    grades: tuple[str, ...]
    scale: Scale = "ordinal"
    optional: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the store keeps it."""
        return {
            "name": self.name,
            "question": self.question,
            "grades": list(self.grades),
            "scale": self.scale,
            "optional": self.optional,
        }


@dataclass(frozen=True)
class QuestionSet:
    """Questions that are asked together about one answer."""

    name: str
    questions: tuple[Question, ...]

    def by_key(self) -> dict[str, Question]:
        """Questions by what they are called in the store: `set.question`."""
        return {f"{self.name}.{each.name}": each for each in self.questions}


def question_set(name: str, questions: Sequence[Mapping[str, Any]]) -> QuestionSet:
    """A set as the store keeps it."""
    return QuestionSet(
        name, tuple(Question(**{**each, "grades": tuple(each["grades"])}) for each in questions)
    )


class _File:
    """A YAML file's tree, read value by value; a mistake names file, line and field."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)

    def wrong(self, node: yaml.Node, field: str, what: str, right: str) -> InputError:
        return mistake(self.name, node.start_mark.line + 1, field, what, right)

    def mapping(self, node: yaml.Node, field: str, known: Sequence[str]) -> dict[str, yaml.Node]:
        """Values by key; each key is known and stands once."""
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(node, field, "not a mapping", f"give {', '.join(known)}")
        values: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                right = f"{did_you_mean(name, known)}known: {', '.join(known)}"
                raise self.wrong(key, field, f"unknown key {name!r}", right)
            if name in values:
                raise self.wrong(key, field, f"the key {name!r} stands twice", "leave one out")
            values[name] = value
        return values

    def listed(
        self, node: yaml.Node | None, at: yaml.Node, field: str, right: str
    ) -> list[yaml.Node]:
        """The values of a list that isn't empty."""
        if node is None:
            raise self.wrong(at, field, "missing", right)
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.wrong(node, field, "not a list with something in it", right)
        return list(node.value)

    def text(self, node: yaml.Node | None, at: yaml.Node, field: str, most: int) -> str:
        """A text in one line, as it is written: `yes` is a word here."""
        right = f"give a text of 1 to {most} characters"
        if node is None:
            raise self.wrong(at, field, "missing", right)
        text = " ".join(node.value.split()) if isinstance(node, yaml.ScalarNode) else ""
        if not text or len(text) > most:
            what = f"{len(text)} characters long" if text else "not a text"
            raise self.wrong(node, field, what, right)
        return text

    def name_of(self, node: yaml.Node | None, at: yaml.Node, field: str, most: int) -> str:
        """A name: a word of small letters, digits, `_` and `-`."""
        name = self.text(node, at, field, most)
        if not _NAME.fullmatch(name):
            right = "give small letters a to z, digits, _ and -, a letter first"
            raise self.wrong(node or at, field, f"no name: {name!r}", right)
        return name


def read_question_set(path: Path) -> QuestionSet:
    """The set of a YAML file: `questions`, and its `name` (the file's without one).

    Raises InputError in one line with file, line and field.
    """
    file, text = _File(path), read_text(path)
    right = "give {name: ..., question: ..., grades: [..., ...]} for each question"
    root = yaml_node(text, str(path))
    if root is None:
        raise mistake(str(path), None, "questions", "the file is empty", right)
    keys = file.mapping(root, "", _KEYS)
    name = _set_name(file, path, root, keys.get("name"))
    nodes = file.listed(keys.get("questions"), root, "questions", right)
    if len(nodes) > MOST_QUESTIONS:
        right = f"at most {MOST_QUESTIONS} fit a page; make two sets of them"
        raise file.wrong(nodes[MOST_QUESTIONS], "questions", f"{len(nodes)} questions", right)
    return QuestionSet(name, _questions(file, nodes))


def _set_name(file: _File, path: Path, root: yaml.Node, node: yaml.Node | None) -> str:
    if node is not None:
        return file.name_of(node, root, "name", SET_NAME)
    name = path.name.partition(".")[0]
    if len(name) > SET_NAME or not _NAME.fullmatch(name):
        right = f"add name: with up to {SET_NAME} small letters, digits, _ and -, a letter first"
        raise file.wrong(root, "name", f"missing, and the file's name {name!r} is none", right)
    return name


def _questions(file: _File, nodes: Sequence[yaml.Node]) -> tuple[Question, ...]:
    questions: list[Question] = []
    for number, node in enumerate(nodes, start=1):
        question = _question(file, node, f"question {number}")
        for field in ("name", "question"):
            value = getattr(question, field)
            if any(getattr(each, field) == value for each in questions):
                right = f"give each question another {field}"
                raise file.wrong(
                    node, f"question {number}: {field}", f"{value!r} stands twice", right
                )
        questions.append(question)
    return tuple(questions)


def _question(file: _File, node: yaml.Node, where: str) -> Question:
    keys = file.mapping(node, where, _QUESTION_KEYS)
    return Question(
        name=file.name_of(keys.get("name"), node, f"{where}: name", QUESTION_NAME),
        question=file.text(keys.get("question"), node, f"{where}: question", TEXT),
        grades=_grades(file, keys.get("grades"), node, f"{where}: grades"),
        scale=_word(file, keys.get("scale"), f"{where}: scale", {each: each for each in SCALES})
        or "ordinal",
        optional=bool(_word(file, keys.get("optional"), f"{where}: optional", _TRUTHS)),
    )


def _grades(file: _File, node: yaml.Node | None, at: yaml.Node, where: str) -> tuple[str, ...]:
    right = "give a list of two grades or more, from one end of the scale to the other"
    nodes = file.listed(node, at, where, right)
    if not 2 <= len(nodes) <= MOST_GRADES:
        right = right if len(nodes) == 1 else f"give at most {MOST_GRADES}"
        raise file.wrong(nodes[0], where, f"{len(nodes)} grade(s)", right)
    grades: list[str] = []
    for each in nodes:
        grade = file.text(each, each, where, GRADE)
        if grade.casefold() in map(str.casefold, grades):
            raise file.wrong(each, where, f"{grade!r} stands twice", "give each grade another name")
        grades.append(grade)
    return tuple(grades)


def _word(file: _File, node: yaml.Node | None, where: str, words: Mapping[str, _T]) -> _T | None:
    """What one of a few words means; None where it is left out."""
    if node is None:
        return None
    word = node.value if isinstance(node, yaml.ScalarNode) else ""
    if word not in words:
        hint = did_you_mean(word, words)
        raise file.wrong(node, where, f"no {word!r}", f"{hint}give {' or '.join(words)}")
    return words[word]
