"""Checks that any task can use: exact programs that hold an answer against the case's references.

A check takes what it names among `answer`, `prompt`, `references`, `case`, `finished`, `row` and the
columns of the task's data, and gives a number, true or false, or None where there is nothing to grade.

A new one: a function below and a line in `CHECKS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from truing.rewards.json_values import parsed_json, same_value
from truing.types import normalised

Check = Callable[..., float | bool | None]
"""A program that grades one answer, called with what its parameters name."""

_NUMBER = re.compile(
    r"(?:(?<![\w.)])[-−])?"  # a minus sign, not the dash of 5-3
    r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\w)\.\d+)"  # 1,200.5 or 1200 or .5
)


def _spaced_once(text: str) -> str:
    return " ".join(text.split())


def stands_in(phrase: str, text: str) -> bool:
    """Whether a text holds a phrase as whole words, upper and lower case alike."""
    wanted = normalised(phrase)
    pattern = rf"(?<!\w){re.escape(wanted)}(?!\w)"
    return bool(wanted) and re.search(pattern, normalised(text)) is not None


def _last_number(text: str) -> Decimal | None:
    numbers = _NUMBER.findall(text)
    return Decimal(numbers[-1].replace(",", "").replace("−", "-")) if numbers else None


def json_valid(answer: str) -> bool:
    """Whether the answer is one JSON value with nothing around it."""
    try:
        parsed_json(answer)
    except ValueError:
        return False
    return True


def json_equal(answer: str, references: tuple[str, ...]) -> bool | None:
    """Whether the answer is the same JSON value as a reference, whatever the order of keys."""
    wanted = [parsed_json(reference) for reference in references]
    if not wanted:
        return None
    try:
        value = parsed_json(answer)
    except ValueError:
        return False
    return any(same_value(value, reference) for reference in wanted)


def exact(answer: str, references: tuple[str, ...]) -> bool | None:
    """Whether the answer is a reference, white space aside."""
    wanted = {_spaced_once(reference) for reference in references}
    return _spaced_once(answer) in wanted if wanted else None


def contains(answer: str, references: tuple[str, ...]) -> bool | None:
    """Whether the answer holds a reference as whole words, upper and lower case alike."""
    return any(stands_in(phrase, answer) for phrase in references) if references else None


def number(answer: str, references: tuple[str, ...]) -> bool | None:
    """Whether the answer's last number is a reference's last one: 1,200 is 1200.0."""
    wanted = {_last_number(reference) for reference in references} - {None}
    return _last_number(answer) in wanted if wanted else None


CHECKS: dict[str, Check] = {
    "json_valid": json_valid,
    "json_equal": json_equal,
    "exact": exact,
    "contains": contains,
    "number": number,
}
"""Every check that any task can use, by name."""
