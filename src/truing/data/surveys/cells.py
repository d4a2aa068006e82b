"""popfidelity's cells: a table of shares by cell (a crossed group), question and option, with the
questions' file `questions.yaml` beside it. Its options are in the order of the answer scale, unless the
question says `ordinal: false`; in one place `position` may say where an option stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from truing.data.drafts import mistake
from truing.data.surveys.question import AskedGroup, AskedQuestion
from truing.data.tables import Table, TableRow
from truing.files import read_text
from truing.spec.yaml_text import yaml_value

COLUMNS = {"cell_id", "question", "option", "share"}
QUESTIONS = "questions.yaml"
CELL = "cell"
_RIGHT = "give the question its id, text and options"
_FEW = "filter the table to one source first"

Cells = dict[str, dict[str, dict[str, TableRow]]]
"""Question, to cell, to option."""


def cell_questions(table: Table, path: Path) -> Iterator[AskedQuestion]:
    """The questions of such a table. Raises InputError where the file of questions isn't there or a cell
    says one thing twice (answers of several models, say)."""
    book = path.with_name(QUESTIONS)
    if not book.is_file():
        right = f"popfidelity's cells have the file of questions beside them ({book})"
        raise mistake(str(path), None, "", f"no {QUESTIONS} beside it", right)
    value = yaml_value(read_text(book), str(book), as_text=True)
    listed = value.get("questions") if isinstance(value, Mapping) else None
    if not isinstance(listed, list):
        raise mistake(str(book), None, "questions", "no list of questions in it", _RIGHT)
    cells = _cells(table)
    for each in listed:
        question = _question(str(book), each, cells)
        if question.groups:
            yield question
    for unknown in cells:
        raise mistake(str(path), None, "question", f"{unknown!r} isn't in {book}", _RIGHT)


def _cells(table: Table) -> Cells:
    cells: Cells = {}
    for row in table.rows:
        question, cell, option = (
            str(row.values.get(name) or "") for name in ("question", "cell_id", "option")
        )
        options = cells.setdefault(question, {}).setdefault(cell, {})
        if option in options:
            wrong = f"the cell {cell!r} has the option {option!r} of {question!r} twice"
            raise mistake(row.place, None, "", wrong, _FEW)
        options[option] = row
    return cells


def _question(file: str, value: Any, cells: Cells) -> AskedQuestion:
    """The question with its cells, which are taken out of `cells`."""
    options = value.get("options") if isinstance(value, Mapping) else None
    if not isinstance(options, list) or not value.get("id") or not value.get("text"):
        raise mistake(file, None, "questions", "a question without id, text or options", _RIGHT)
    name = str(value["id"])
    labels = [str(each["label"] if isinstance(each, Mapping) else each) for each in options]
    joined = str(value.get("joiner", " or ")).join(labels)
    ordinal = str(value.get("ordinal", "true")).lower() not in ("false", "no", "off")
    scale = [_position(file, name, place, each) for place, each in enumerate(options)]
    return AskedQuestion(
        f"{file} {name}",
        str(value["text"]).replace("{options}", joined),
        labels,
        scale if ordinal else None,
        topic=str(value.get("topic", "")),
        source="popfidelity",
        groups={CELL: groups} if (groups := _groups(cells.pop(name, {}), labels)) else {},
    )


def _position(file: str, name: str, place: int, option: Any) -> float:
    given = option.get("position", place) if isinstance(option, Mapping) else place
    try:
        return float(given)
    except (TypeError, ValueError):
        right = "give a number"
        raise mistake(file, None, f"{name}.position", f"{given!r} stands here", right) from None


def _groups(cells: dict[str, dict[str, TableRow]], labels: list[str]) -> dict[str, AskedGroup]:
    groups = {}
    for cell, options in cells.items():
        if unknown := next((each for each in options if each not in labels), ""):
            right = f"the question's options: {', '.join(labels)}"
            raise mistake(options[unknown].place, None, "option", f"unknown: {unknown!r}", right)
        shares = [_number(options.get(label), "share") or 0.0 for label in labels]
        groups[cell] = AskedGroup(shares, _number(next(iter(options.values())), "n"))
    return groups


def _number(row: TableRow | None, name: str) -> float | None:
    value = None if row is None else row.values.get(name)
    if row is None or value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise mistake(row.place, None, name, f"{value!r} stands here", "give a number") from None
