"""Truing's own form of survey: a question in each line of a JSONL file, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from truing.data.drafts import mistake
from truing.data.json_kinds import kind_of
from truing.data.messages import checked_text
from truing.data.surveys.question import AskedGroup, AskedQuestion, SurveyQuestion, equal_steps
from truing.data.tables import Table, TableRow
from truing.types import did_you_mean

KEYS = ("question", "options", "scale", "refusals", "topic", "source", "groups")
EQUAL = "equal"
"""A scale of equal steps, in the order in which the options are listed."""
_RIGHT = 'give {"question": "...", "options": ["...", "..."], "scale": "equal", "groups": {...}}'
_SHARES = 'give {"shares": [0.4, 0.6], "n": 812}'


def is_own_form(columns: tuple[str, ...]) -> bool:
    """Whether these are the keys of Truing's own form."""
    return {"question", "options"} <= set(columns) <= {*KEYS, "id"}


def own_questions(table: Table) -> Iterator[AskedQuestion]:
    """The questions of a table of that form. Raises InputError at the first that isn't in it."""
    for row in table.rows:
        yield _question(row)


def own_records(questions: Sequence[SurveyQuestion]) -> list[dict[str, Any]]:
    """The questions as objects of that form, one a line."""
    return [
        {
            "question": each.question,
            "options": list(each.options),
            "scale": None if each.scale is None else list(each.scale),
            "refusals": list(each.refusals),
            "topic": each.topic,
            "source": each.source,
            "groups": {
                dimension: {
                    value: {"shares": list(group.shares), "n": group.n}
                    for value, group in values.items()
                }
                for dimension, values in each.groups.items()
            },
        }
        for each in questions
    ]


def _question(row: TableRow) -> AskedQuestion:
    for name in row.values:
        if name not in (*KEYS, "id"):
            right = f"{did_you_mean(name, KEYS)}the keys are {', '.join(KEYS)}"
            raise mistake(row.place, None, name, "unknown key", right)
    for name in ("question", "options"):
        if name not in row.values:
            raise mistake(row.place, None, name, "missing", _RIGHT)
    options = _texts(row, "options")
    refusals = _texts(row, "refusals") if row.values.get("refusals") is not None else ()
    return AskedQuestion(
        row.place,
        checked_text(row.values["question"], f"{row.place}: question"),
        options,
        _scale(row, options, refusals),
        refusals,
        _label(row, "topic"),
        _label(row, "source"),
        _groups(row),
    )


def _texts(row: TableRow, name: str) -> tuple[str, ...]:
    value = row.values[name]
    if not isinstance(value, list):
        raise mistake(
            row.place, None, name, f"{kind_of(value)} stands here", "give a list of texts"
        )
    return tuple(checked_text(each, f"{row.place}: {name}") for each in value)


def _label(row: TableRow, name: str) -> str:
    value = row.values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise mistake(row.place, None, name, f"{kind_of(value)} stands here", "give a text")
    return value.strip()


def _scale(
    row: TableRow, options: Sequence[str], refusals: Sequence[str]
) -> tuple[float, ...] | None:
    value = row.values.get("scale")
    if value is None:
        return None
    if value == EQUAL:
        return equal_steps(options, refusals)
    if not isinstance(value, list):
        right = f'give a position for each option, "{EQUAL}" (steps in the listed order) or null'
        raise mistake(row.place, None, "scale", f"{kind_of(value)} stands here", right)
    return tuple(_number(each, row, "scale", "give positions like [1, 2, 3]") for each in value)


def _number(value: object, row: TableRow, name: str, right: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mistake(row.place, None, name, f"{kind_of(value)} where a number belongs", right)
    try:
        return float(value)
    except OverflowError:
        raise mistake(row.place, None, name, "a number too large to count with", right) from None


def _groups(row: TableRow) -> dict[str, dict[str, AskedGroup]]:
    value = row.values.get("groups")
    if value is None:
        return {}
    return {
        dimension: {
            name: _group(row, f"groups.{dimension}.{name}", each)
            for name, each in _object(row, f"groups.{dimension}", values).items()
        }
        for dimension, values in _object(row, "groups", value).items()
    }


def _object(row: TableRow, name: str, value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    right = 'give {"country": {"Spain": {"shares": [0.4, 0.6], "n": 812}}}'
    raise mistake(row.place, None, name, f"{kind_of(value)} stands here", right)


def _group(row: TableRow, name: str, value: object) -> AskedGroup:
    record = _object(row, name, value)
    if unknown := sorted(record.keys() - {"shares", "n"}):
        raise mistake(row.place, None, f"{name}.{unknown[0]}", "unknown key", _SHARES)
    shares = record.get("shares")
    if not isinstance(shares, list):
        wrong = f"{kind_of(shares)} where a list of shares belongs"
        raise mistake(row.place, None, f"{name}.shares", wrong, _SHARES)
    n = record.get("n")
    return AskedGroup(
        [_number(each, row, f"{name}.shares", _SHARES) for each in shares],
        None if n is None else _number(n, row, f"{name}.n", _SHARES),
    )
