"""From a table with a row for each respondent to how groups of them answered, weighted.

n is effective (Kish, 1965): (sum w)^2 / sum w^2 of those who chose an option. Respondents of weight 0
aren't counted, and said; an answer that the codebook doesn't know is left out, and said; where most are
such, column and codebook don't belong together, and the question is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from truing.data.drafts import mistake
from truing.data.surveys.codebook import AskedColumn, Codebook, code, read_codebook
from truing.data.surveys.question import LARGEST, AskedGroup, AskedQuestion, AskedSurvey
from truing.data.tables import Table, read_table
from truing.statistics.opinion_intervals import effective_n

OVERALL, EVERYBODY = "overall", "everybody"
"""The dimension and the group of all respondents."""


@dataclass(frozen=True)
class _Respondents:
    """The rows that count: their weights, and their codes by column."""

    weights: list[float]
    codes: dict[str, list[str]]


def codebook_survey(path: Path) -> AskedSurvey:
    """The survey that a codebook and the table beside it make. Raises InputError naming file and field."""
    book = read_codebook(path)
    table = read_table(str(path.parent / book.responses), f"{path}: responses")
    return respondents_survey(table, book, str(path))


def respondents_survey(table: Table, book: Codebook, file: str) -> AskedSurvey:
    """The survey of a table of respondents. Raises InputError where a column is missing or a weight
    is none."""
    _check_columns(table, book, file)
    if not table.rows:
        raise mistake(table.name, None, "", "a header and no respondent", "give a row for each")
    people, without = _respondents(table, book)
    if not people.weights:
        wrong = f"all {without} respondents have weight 0 or none, so that nobody counts"
        raise mistake(
            table.name, None, book.weight, wrong, "give weights above 0, or name no weight"
        )
    unscored: list[tuple[str, str]] = []
    asked = tuple(_questions(people, book, file, unscored))
    remarks = list(table.remarks)
    if without:
        remarks.append(f"{without} respondent(s) of weight 0 or without a weight aren't counted")
    return AskedSurvey(asked, file, tuple(unscored), tuple(remarks))


def _check_columns(table: Table, book: Codebook, file: str) -> None:
    weight = (book.weight,) if book.weight else ()
    for column in (*weight, *(each.column for each in book.questions), *book.groups):
        if column not in table.columns:
            wrong = f"no column {column!r} in {table.name}"
            raise mistake(file, None, column, wrong, f"its columns: {', '.join(table.columns)}")


def _respondents(table: Table, book: Codebook) -> tuple[_Respondents, int]:
    columns = {each.column for each in book.questions} | book.groups.keys()
    people = _Respondents([], {column: [] for column in columns})
    without = 0
    for row in table.rows:
        weight = 1.0
        if book.weight:
            weight = _weight(row.place, book, row.values.get(book.weight))
        if weight == 0:
            without += 1
            continue
        people.weights.append(weight)
        for column, codes in people.codes.items():
            codes.append(code(row.values.get(column)))
    return people, without


def _weight(place: str, book: Codebook, value: object) -> float:
    """A respondent's weight, 0 where there is none."""
    if code(value) in book.missing:
        return 0.0
    try:
        weight = float(str(value))
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise mistake(place, None, book.weight, f"{str(value)[:40]!r} as weight", "give 0 or more")
    if weight and not 1 / LARGEST <= weight <= LARGEST:
        wrong = f"{str(value)[:40]!r} as weight, which can't be counted with"
        right = f"give 0, or from {1 / LARGEST:g} to {LARGEST:g}"
        raise mistake(place, None, book.weight, wrong, right)
    return weight


def _questions(
    people: _Respondents, book: Codebook, file: str, unscored: list[tuple[str, str]]
) -> Iterator[AskedQuestion]:
    dimensions = [
        column for column in book.groups if _known_groups(people, book, file, column, unscored)
    ]
    for each in book.questions:
        place = f"{file} {each.column}"
        codes = people.codes[each.column]
        known = {*each.options, *each.refusals, *book.missing}
        strange = Counter(answer for answer in codes if answer not in known)
        answered = sum(answer in each.options for answer in codes)
        if not _few(strange, answered, ("answer(s)", "options"), place, unscored):
            continue
        groups = {OVERALL: {EVERYBODY: _group(people, each, range(len(codes)))}}
        groups |= {
            column: {
                name: _group(people, each, members)
                for name, members in _members(people, book, column).items()
            }
            for column in dimensions
            if column != each.column
        }
        yield AskedQuestion(
            place,
            each.question,
            tuple(each.options.values()),
            each.scale,
            tuple(each.refusals.values()),
            each.topic,
            book.source,
            {
                column: {name: group for name, group in values.items() if group}
                for column, values in groups.items()
            },
        )


def _few(
    strange: Counter[str],
    known: int,
    words: tuple[str, str],
    place: str,
    unscored: list[tuple[str, str]],
) -> bool:
    """Whether codes that the codebook doesn't know are no more than those that it knows; they are added to
    `unscored`."""
    if not strange:
        return True
    (code, _), count = strange.most_common(1)[0], strange.total()
    reason = f"{count} {words[0]} that the codebook doesn't know (such as {code[:40]!r})"
    if count > known:
        reason = f"implausible: {reason} where {known} are {words[1]}; mis-joined columns?"
    unscored.append((place, reason))
    return count <= known


def _known_groups(
    people: _Respondents,
    book: Codebook,
    file: str,
    column: str,
    unscored: list[tuple[str, str]],
) -> bool:
    """Whether a column of groups belongs to the codebook; codes that it doesn't know are said."""
    names = book.groups[column]
    if names is None:
        return True
    counted = Counter(code for code in people.codes[column] if code not in book.missing)
    strange = Counter({code: count for code, count in counted.items() if code not in names})
    known = counted.total() - strange.total()
    words = ("respondent(s) of a group", "of groups that it knows")
    return _few(strange, known, words, f"{file} groups.{column}", unscored)


def _members(people: _Respondents, book: Codebook, column: str) -> dict[str, list[int]]:
    """The respondents of each group in the codebook's order; those it doesn't name belong to none."""
    names = book.groups[column]
    members: dict[str, list[int]] = {name: [] for name in (names or {}).values()}
    for place, value in enumerate(people.codes[column]):
        if value in book.missing:
            continue
        name = value if names is None else names.get(value)
        if name is not None:
            members.setdefault(name, []).append(place)
    return members


def _group(people: _Respondents, asked: AskedColumn, members: Sequence[int]) -> AskedGroup | None:
    """A group's shares over the options; None where none of them chose one."""
    codes = people.codes[asked.column]
    answered = [place for place in members if codes[place] in asked.options]
    if not answered:
        return None
    sums = dict.fromkeys(asked.options, 0.0)
    for place in answered:
        sums[codes[place]] += people.weights[place]
    total = sum(sums.values())
    n = effective_n([people.weights[place] for place in answered])
    return AskedGroup([each / total for each in sums.values()], n)
