"""GlobalOpinionQA (Durmus et al., 2023): Pew's and the World Values Survey's questions by country.

Two forms: as published, a row a question with `selections` printed as a dictionary from country to
shares; and a row for each question and country with `attribute` and `gold_distribution`. Neither says how
many people were asked, nor declares a scale: without a file of scales, options have no order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from truing.data.drafts import mistake
from truing.data.messages import checked_text
from truing.data.surveys.printed import printed_list, printed_mapping
from truing.data.surveys.question import AskedGroup, AskedQuestion
from truing.data.tables import Table, TableRow
from truing.types import normalised

PUBLISHED = {"question", "selections", "options"}
BY_COUNTRY = {"question", "options", "attribute", "gold_distribution"}
REFUSALS = (
    "DK/Refused",
    "Don't know",
    "Don't know/Refused",
    "Refused",
    "No answer",
    "Not applicable",
    "Not asked",
    "Other missing; Multiple answers Mail (EVS)",
    "Missing; Not available",
    "Missing; Unknown",
)
"""What its sources record where somebody gave no answer; all else counts as an option."""
_REFUSALS = {normalised(each) for each in REFUSALS}
COUNTRY = "country"
_PUBLISHED = "give GlobalOpinionQA's rows as they were published"
_ASKED = re.compile(r"\AQuestion: (.*)\nOptions: (.*)\nAnswer:\s*\Z", re.DOTALL)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def published_questions(table: Table) -> Iterator[AskedQuestion]:
    """The questions of the published form. Raises InputError naming row and column."""
    for row in table.rows:
        options = _texts(row, "options")
        selections = row.values["selections"]
        shares = printed_mapping(selections) if isinstance(selections, str) else selections
        if not isinstance(shares, Mapping):
            raise mistake(row.place, None, "selections", "no dictionary in it", _PUBLISHED)
        groups = {str(name): AskedGroup(_shares(row, each), None) for name, each in shares.items()}
        yield AskedQuestion(
            row.place,
            checked_text(row.values["question"], f"{row.place}: question"),
            options,
            refusals=_refusals(options),
            source=str(row.values.get("source") or "GlobalOpinionQA"),
            groups={COUNTRY: groups},
        )


def questions_by_country(table: Table, unscored: list[tuple[str, str]]) -> Iterator[AskedQuestion]:
    """The questions of the form by country; what one country says twice goes to `unscored`."""
    rows: dict[tuple[str, tuple[str, ...]], list[TableRow]] = defaultdict(list)
    for row in table.rows:
        text = checked_text(row.values["question"], f"{row.place}: question")
        rows[text, _texts(row, "options")].append(row)
    for (text, options), alike in rows.items():
        question, printed = _parts(text, options)
        yield AskedQuestion(
            alike[0].place,
            question,
            options,
            refusals=_refusals(options),
            source="GlobalOpinionQA",
            groups={COUNTRY: _countries(alike, unscored)},
            printed=printed,
        )


def _refusals(options: Sequence[str]) -> list[str]:
    return [each for each in options if normalised(each) in _REFUSALS]


def _parts(text: str, options: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The question, and the options that its text lists: `options` where these are the same."""
    match = _ASKED.match(text)
    if match is None:
        return text, ()
    listed = " ".join(f"{letter}. {each}" for letter, each in zip(_LETTERS, options, strict=False))
    return match[1], options if match[2].strip() == listed.strip() else (match[2],)


def _countries(rows: Sequence[TableRow], unscored: list[tuple[str, str]]) -> dict[str, AskedGroup]:
    groups: dict[str, AskedGroup] = {}
    conflicting: dict[str, str] = {}
    for row in rows:
        country = str(row.values["attribute"])
        group = AskedGroup(_shares(row, row.values["gold_distribution"]), None)
        if country in groups and groups[country] != group:
            conflicting[country] = row.place
        groups[country] = group
    for country, place in conflicting.items():
        unscored.append((f"{place} {COUNTRY}={country}", "given twice with different shares"))
        del groups[country]
    return groups


def _texts(row: TableRow, name: str) -> tuple[str, ...]:
    value = row.values[name]
    values = printed_list(value) if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise mistake(row.place, None, name, "no list of options in it", _PUBLISHED)
    return tuple(str(each).strip() for each in values)


def _shares(row: TableRow, values: Any) -> list[float]:
    numbers = isinstance(values, list) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in values
    )
    if not numbers:
        raise mistake(row.place, None, "shares", "no list of numbers in it", _PUBLISHED)
    return [float(each) for each in values]
