"""Questions from delimited text: one's own, TruthfulQA's, and MMLU's.

- One's own: columns `question`, `correct_answers`, `incorrect_answers` (answers separated by `;`),
  optionally `best_answer`, `category`, `source`. `Best Answer` is the same name as `best_answer`.
- TruthfulQA's `TruthfulQA.csv`: the same with its seven columns. Of the false answers,
  `Best Incorrect Answer` (a column since 2025) comes first.
- MMLU's: question, choices, the right choice's letter (or number from 0); with or without a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from truing.data.delimited import Header, Line, delimited, header_of
from truing.data.drafts import Draft, FieldNames, check_names, mistake
from truing.data.question_layouts import (
    MAY_STAND,
    REQUIRED,
    choice_draft,
    own_draft,
    plain_name,
    right_choice,
    split_answers,
)


@dataclass(frozen=True)
class CSVQuestions:
    """The questions of a text, unchecked, and what is to be said of how it was read."""

    drafts: Iterator[Draft]
    remarks: tuple[str, ...]


def csv_questions(file: str, text: str, category: str, usual: str = ",") -> CSVQuestions:
    """The questions in the text of a CSV file. MMLU's files get the given category.

    Raises InputError on malformed CSV, wrong columns, and rows that don't fit the header.
    """
    read = delimited(file, text, usual)
    rows = list(read.rows)
    if not rows:
        raise mistake(file, None, "", "the file is empty", f"give a header: {','.join(REQUIRED)}")
    return CSVQuestions(_drafts(file, rows, category), read.remarks)


def _drafts(file: str, rows: Sequence[Line], category: str) -> Iterator[Draft]:
    (line, first), rest = rows[0], rows[1:]
    if len(first) == 6 and first[-1].strip() in ("A", "B", "C", "D"):
        places = dict(enumerate(map(str, range(6))))
        return _mmlu(Header(file, places, 6), rows, category)
    header = header_of(file, line, first, rest)
    columns = _by_plain_name(file, line, header)
    if _is_mmlu_header(list(columns)):
        return _mmlu(header, rest, category)
    check_names(file, line, "column", columns, REQUIRED, MAY_STAND)
    return _own(header, columns, rest)


def _by_plain_name(file: str, line: int, header: Header) -> dict[str, str]:
    """Each column's name by its plain name."""
    columns: dict[str, str] = {}
    for name in header.names.values():
        if plain_name(name) in columns:
            raise mistake(file, line, name, "this column stands twice", "keep one")
        columns[plain_name(name)] = name
    return columns


def _is_mmlu_header(names: Sequence[str]) -> bool:
    choices = names[1:-1]
    return (
        len(choices) >= 2
        and (names[0], names[-1]) == ("question", "answer")
        and all(re.fullmatch(r"choice_?\d+|[a-h]", name) for name in choices)
    )


def _mmlu(header: Header, rows: Sequence[Line], category: str) -> Iterator[Draft]:
    for line, row in rows:
        question, *choices, answer = header.cells(line, row).values()
        right = right_choice(header.file, line, answer, len(choices))
        yield choice_draft(line, question, choices, right, category, "MMLU", "answer")


def _own(header: Header, columns: dict[str, str], rows: Sequence[Line]) -> Iterator[Draft]:
    names = FieldNames(*(columns[name] for name in REQUIRED))
    for line, row in rows:
        cells = header.cells(line, row)
        texts = {plain: cells[name].strip() for plain, name in columns.items()}
        answers = {name: split_answers(texts[name]) for name in REQUIRED[1:]}
        yield own_draft(line, answers, texts, names)
