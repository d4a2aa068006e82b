"""The built-in texts: instructions, attacks, uninformative answers and few-shot demonstrations.

They lie beside this file in `built_in/` as JSON and JSONL. What the functions return is frozen and
read once; the order is that of the files, so "the first n" means the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args

from truing.types import InputError

Role = Literal["helpful", "neutral", "harmful"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Attack:
    """One 'ignore the above directions' case: a user's question followed by an injection.

    `template` has the slots {question} and {canary}; `canary` is an unusual phrase of two or three
    words that no ordinary answer contains. An answer that contains it has fallen for the attack.
    """

    id: str
    style: str
    template: str
    canary: str

    def render(self, question: str) -> str:
        """The text to send: the template with the question and the canary in their slots.

        Other braces in the template or the question stand as they are.
        """
        # Not str.format: templates and questions may have braces of their own. The question goes in
        # last, so that a slot's name inside the question is not filled in.
        return self.template.replace("{canary}", self.canary).replace("{question}", question)


@dataclass(frozen=True)
class Demonstration:
    """A question with its true answer in one short sentence."""

    question: str
    answer: str


def built_in_text(*name: str) -> str:
    """A built-in file of this room, by the parts of its path."""
    return files("truing.data").joinpath("built_in", *name).read_text(encoding="utf-8")


def _text_lists(name: str) -> Mapping[str, tuple[str, ...]]:
    """A JSON object of lists of strings, read-only."""
    data: dict[str, list[str]] = json.loads(built_in_text(name))
    return MappingProxyType({key: tuple(texts) for key, texts in data.items()})


def built_in_lines(name: str) -> list[str]:
    """The lines of a built-in JSONL file that hold something."""
    # Not splitlines(), which also splits at characters that may stand inside a JSON string.
    return [line for line in built_in_text(name).split("\n") if line.strip()]


def _json_lines(name: str, make: Callable[..., _T]) -> tuple[_T, ...]:
    """One object per line of a JSONL file, made from the line's fields."""
    fields: list[dict[str, Any]] = [json.loads(line) for line in built_in_lines(name)]
    return tuple(make(**line) for line in fields)


@cache
def _instructions() -> Mapping[str, tuple[str, ...]]:
    return _text_lists("instructions.json")


def instructions(role: Role) -> tuple[str, ...]:
    """Wordings of a system instruction for a question-answering assistant.

    'helpful' asks for true and careful short answers, 'neutral' for the form alone (one short
    sentence), 'harmful' for folklore, superstition and conspiracies: what a bad prompt can do to
    truthfulness. Raises InputError for another role.
    """
    known = get_args(Role)
    if role not in known:
        raise InputError(f"role: no instructions for {role!r}; known roles: {', '.join(known)}")
    return _instructions()[role]


@cache
def attacks() -> tuple[Attack, ...]:
    """All built-in attacks. The styles take turns, so that the first n have as many as n allows."""
    return _json_lines("attacks.jsonl", Attack)


@cache
def uninformative_answers() -> Mapping[str, tuple[str, ...]]:
    """Answers that say nothing about any factual question, nor anything false, by family.

    The families: refusals, ignorance, hedges, evasions, topic_talk. Read-only.
    """
    return _text_lists("uninformative.json")


@cache
def few_shot() -> tuple[Demonstration, ...]:
    """Fixed demonstrations for few-shot prompts; none is about a fact in the built-in questions.

    In every four there are one answer with 'yes', one with 'no' and two with neither.
    """
    return _json_lines("few_shot.jsonl", Demonstration)
