"""Questions from CSV files: one's own, TruthfulQA's, and MMLU's.

- One's own: columns `question`, `correct_answers`, `incorrect_answers` (answers separated by `;`),
  optionally `best_answer`, `category`, `source`. `Best Answer` is the same name as `best_answer`.
- TruthfulQA's `TruthfulQA.csv`: the same with its seven columns. Answers get the full stop that
  they have in `mc_task.json`, the benchmark's own multiple-choice file, so that the two agree. Of the
  false ones, `Best Incorrect Answer` (a column since 2025) comes first.
- MMLU's: question, choices, the right choice's letter (or number from 0); with or without a header.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from truing.data.drafts import Draft, FieldNames, check_names, mistake

REQUIRED = ("question", "correct_answers", "incorrect_answers")
KNOWN = (*REQUIRED, "best_answer", "category", "source")
TRUTHFULQA = frozenset({*KNOWN, "type"})

Line = tuple[int, list[str]]


def split_answers(cell: str) -> list[str]:
    """The answers in a cell that are separated by `;`, stripped, empty ones dropped."""
    return [stripped for answer in cell.split(";") if (stripped := answer.strip())]


def with_full_stop(answer: str) -> str:
    """The answer as TruthfulQA's multiple-choice file has it: closed by a full stop."""
    return answer if answer.endswith(".") else answer + "."


def numbered_rows(file: str, text: str, delimiter: str = ",") -> Iterator[Line]:
    """(number of the line it begins on, cells) of each row that has anything in it.

    Raises InputError naming the line where the text isn't CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise mistake(
                file,
                begins,
                "",
                f"not valid CSV ({error})",
                'close every quote; write " in a cell as ""',
            ) from None
        if any(cell.strip() for cell in row):
            yield begins, row
        begins = reader.line_num + 1


def plain_name(name: str) -> str:
    """A column's name in lower case, its words joined by underscores."""
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _columns(file: str, line: int, header: Sequence[str]) -> dict[str, int]:
    """The position of each column by its plain name."""
    columns: dict[str, int] = {}
    for position, name in enumerate(header):
        plain = plain_name(name)
        if plain in columns:
            raise mistake(
                file, line, name.strip() or "header", "this column stands twice", "keep one"
            )
        columns[plain] = position
    return columns


def _cells(file: str, header: Sequence[str], line: int, row: Sequence[str]) -> Sequence[str]:
    if len(row) != len(header):
        wrong = f"{len(row)} cells where the header has {len(header)}"
        raise mistake(file, line, "", wrong, "put cells that contain a comma in double quotes")
    return row


def _letter(position: int) -> str:
    return chr(ord("A") + position)


def _right_choice(file: str, line: int, answer: str, choices: int) -> int:
    """Which choice an answer such as `C` or `2` means. Numbers count from 0."""
    allowed = {_letter(i): i for i in range(choices)} | {str(i): i for i in range(choices)}
    if answer.strip().upper() not in allowed:
        right = f"give A to {_letter(choices - 1)}, or 0 to {choices - 1}"
        raise mistake(file, line, "answer", f"{answer.strip()!r} names no choice", right)
    return allowed[answer.strip().upper()]


def choice_draft(
    line: int,
    question: str,
    choices: Sequence[str],
    right: int,
    category: str,
    source: str,
    key: str,
) -> Draft:
    """A multiple-choice question of a published benchmark, with one true answer."""
    wrong = [choice for position, choice in enumerate(choices) if position != right]
    names = FieldNames(question="question", correct=key, incorrect="choices")
    # As the best answer, it stays true even where a benchmark repeats it among the false ones.
    return Draft(
        line,
        question,
        [choices[right]],
        wrong,
        choices[right],
        category,
        source,
        names,
        published=True,
    )


def _mmlu(file: str, header: Sequence[str], rows: Iterator[Line], category: str) -> Iterator[Draft]:
    for line, row in rows:
        question, *choices, answer = _cells(file, header, line, row)
        right = _right_choice(file, line, answer, len(choices))
        yield choice_draft(line, question, choices, right, category, "MMLU", "answer")


def _is_mmlu_header(names: Sequence[str]) -> bool:
    choices = names[1:-1]
    return (
        len(choices) >= 2
        and (names[0], names[-1]) == ("question", "answer")
        and all(re.fullmatch(r"choice_?\d+|[a-h]", name) for name in choices)
    )


def _own(
    file: str, line: int, header: Sequence[str], columns: dict[str, int], rows: Iterator[Line]
) -> Iterator[Draft]:
    if len(header) == 1 and header[0].count(";") >= 2:
        raise mistake(
            file, line, "header", "columns are separated by ';'", "separate them by commas"
        )
    check_names(file, line, "column", columns, REQUIRED, KNOWN)
    published = columns.keys() >= TRUTHFULQA
    closed = with_full_stop if published else str
    written = {name: header[position].strip() for name, position in columns.items()}
    names = FieldNames(*(written[name] for name in REQUIRED))
    for begins, row in rows:
        cells = _cells(file, header, begins, row)
        cell = {name: cells[position].strip() for name, position in columns.items()}
        best = cell.get("best_answer", "")
        yield Draft(
            begins,
            cell["question"],
            [closed(answer) for answer in split_answers(cell["correct_answers"])],
            _first(
                [closed(answer) for answer in split_answers(cell["incorrect_answers"])],
                closed(cell.get("best_incorrect_answer", "")),
            ),
            closed(best) if best else "",
            cell.get("category", ""),
            cell.get("source", ""),
            names,
            published,
        )


def _first(answers: list[str], best: str) -> list[str]:
    """The answers, the best of them first if it is among them."""
    return sorted(answers, key=lambda answer: answer != best)


def csv_drafts(file: str, text: str, category: str) -> Iterator[Draft]:
    """The questions in the text of a CSV file, unchecked. MMLU's files get the given category.

    Raises InputError on malformed CSV, wrong columns, and rows that don't fit the header.
    """
    rows = numbered_rows(file, text)
    first = next(rows, None)
    if first is None:
        raise mistake(file, None, "", "the file is empty", f"give a header: {','.join(REQUIRED)}")
    line, header = first
    if len(header) == 6 and header[-1].strip() in ("A", "B", "C", "D"):
        yield from _mmlu(file, header, iter([first]), category)
        yield from _mmlu(file, header, rows, category)
        return
    columns = _columns(file, line, header)
    if _is_mmlu_header(list(columns)):
        yield from _mmlu(file, header, rows, category)
    else:
        yield from _own(file, line, header, columns, rows)
