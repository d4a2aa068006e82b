"""The one door for tables of delimited text: CSV, TSV, and what spreadsheets make of the two.

The delimiter is the one that the file's ending says, unless the first rows fit another one alone; then
that one is used, and said. Columns without a name that hold nothing are passed over.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from truing.data.drafts import mistake
from truing.types import InputError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MOST_CHARACTERS = 2**31 - 1
"""In a cell. The library's own limit of 131,072 is below what documents have."""
_LOOKED_AT = 20  # rows that a delimiter must fit
_CLOSE = 'close every quote; write " in a cell as ""'

Line = tuple[int, list[str]]

csv.field_size_limit(MOST_CHARACTERS)


def numbered_rows(
    file: str, text: str, delimiter: str = ",", *, quoted: bool = True
) -> Iterator[Line]:
    """(number of the line it begins on, cells) of each row that has anything in it.

    Unless `quoted`, quotation marks are part of a cell. Raises InputError naming the line where the
    text isn't CSV.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Where a quote is left open, no later line can be trusted.
            raise mistake(file, begins, "", f"not valid CSV ({error})", _CLOSE) from None
        if any(cell.strip() for cell in row):
            yield begins, row
        begins = reader.line_num + 1


@dataclass(frozen=True)
class Delimited:
    """The rows of a text, and what is to be said of how they were read."""

    rows: Iterator[Line]
    remarks: tuple[str, ...] = ()


def delimited(file: str, text: str, usual: str = ",", *, quoted: bool = True) -> Delimited:
    """The rows of a text that `usual` delimits, or the one delimiter that its first rows fit.

    Raises InputError where several fit and the usual one doesn't; the rows raise as `numbered_rows`.
    """
    if named := re.match(r"sep=([,;\t|])(\r\n|\r|\n)", text):  # as Excel is told
        delimiter, text = named[1], named[2] + text[named.end() :]
    else:
        delimiter = _delimiter(file, text, usual, quoted=quoted)
    rows = numbered_rows(file, text, delimiter, quoted=quoted or delimiter != usual)
    if delimiter == usual:
        return Delimited(rows)
    return Delimited(rows, (f"read as columns separated by {DELIMITERS[delimiter]}",))


def _delimiter(file: str, text: str, usual: str, *, quoted: bool) -> str:
    widths = {
        each: _widths(file, text, each, quoted=quoted or each != usual) for each in DELIMITERS
    }
    of_usual = widths.pop(usual)
    split = [each for each, width in widths.items() if width[:1] > [1]]
    if of_usual[:1] > [1] and (len(set(of_usual)) == 1 or not split):
        return usual
    fitting = [each for each in split if len(set(widths[each])) == 1]
    if len(fitting) == 1:
        return fitting[0]
    if of_usual[:1] > [1] or not split:
        return usual
    if len(split) == 1:
        return split[0]
    listed = " or ".join(DELIMITERS[each] for each in split)
    right = f"separate them by {DELIMITERS[usual]}, in every row alike"
    raise mistake(file, 1, "header", f"columns may be separated by {listed}", right)


def _widths(file: str, text: str, delimiter: str, *, quoted: bool) -> list[int]:
    """Cells in each of the first rows; none where the text can't be read with this delimiter."""
    rows = numbered_rows(file, text, delimiter, quoted=quoted)
    try:
        return [len(row) for _, row in islice(rows, _LOOKED_AT)]
    except InputError:
        return []


@dataclass(frozen=True)
class Header:
    """The names of the columns that count by their place, and how many cells a row has."""

    file: str
    names: dict[int, str]
    width: int

    def cells(self, line: int, row: Sequence[str]) -> dict[str, str]:
        """A row by the names of its columns. Raises InputError where it doesn't fit the header."""
        if not self.fits(row):
            raise mistake(self.file, line, "", self.misfit(row), _IN_QUOTES)
        return {name: row[place] for place, name in self.names.items()}

    def fits(self, row: Sequence[str]) -> bool:
        """Whether a row has as many cells as the header, empty ones at its end aside."""
        return len(row) >= self.width and not any(cell.strip() for cell in row[self.width :])

    def misfit(self, row: Sequence[str]) -> str:
        """What is wrong with a row that doesn't fit."""
        return f"{len(row)} cells where the header has {self.width}"


_IN_QUOTES = "put cells that hold a separator or a line break in double quotes"


def header_of(file: str, line: int, cells: Sequence[str], rows: Sequence[Line]) -> Header:
    """The columns that a header names, where `rows` follow it.

    A column without a name is passed over where it holds nothing; the first one also where it has the
    rows' numbers, which is how pandas writes them. Raises InputError for any other, and for a name that
    stands twice.
    """
    names = {place: name for place, cell in enumerate(cells) if (name := cell.strip())}
    width = max(names, default=-1) + 1
    for place in range(1, width):
        if place not in names and any(cell.strip() for _, row in rows for cell in row[place:][:1]):
            wrong, right = f"column {place + 1} has no name", "give each column a name"
            raise mistake(file, line, "", wrong, right)
    listed = list(names.values())
    for name in names.values():
        if listed.count(name) > 1:
            raise mistake(file, line, name, "this column stands twice", "keep one")
    return Header(file, names, width)
