"""Cases from a user's table: what is asked, and what is known of good answers and bad ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from truing.data.columns import Columns, columns_of, spread
from truing.data.distinct import CaseFile, distinct_cases
from truing.data.drafts import case_of, mistake
from truing.data.messages import Turns
from truing.data.question_layouts import plain_name, published_draft, split_answers
from truing.data.tables import TableRow, read_table
from truing.data.turns import answers_in, asked_in
from truing.types import Case, answer_key

ROLES = ("prompt", "messages", "references", "wrong", "category", "source", "family")
"""What a mapping can say of a file of cases."""


_ASKING = ("prompt", "messages", "references", "wrong")
_AS_WRITTEN = ("answerKey",)


def read_cases(source: str, columns: Mapping[str, str], where: str) -> CaseFile:
    """The cases in a file, a saved folder or a data set of the hub; see `read_table`.

    `columns` says which column is what where the names don't. `where` is the field that names the
    source. Rows in a published benchmark's layout are read as such, unless `columns` says what they ask
    and what answers are. Raises InputError at the first mistake, naming the row, and where there is no
    case at all.
    """
    table = spread(read_table(source, where))
    known = columns_of(table, columns, where, ROLES)
    plain = not any(role in known.mapped for role in _ASKING)
    left_out: Counter[str] = Counter()
    cases = [
        (_published(known, row, left_out) if plain else None) or _case(known, row)
        for row in table.rows
    ]
    if not cases:
        raise mistake(f"{where}: {source}", None, "", "no case in it", "give at least one row")
    return distinct_cases(cases, source, left_out, table.remarks)


def _published(columns: Columns, row: TableRow, left_out: Counter[str]) -> Case | None:
    """The case in a row that has a published benchmark's layout; None for any other row."""
    record = {plain_name(name): value for name, value in row.values.items()}
    record |= {name: row.values[name] for name in _AS_WRITTEN if name in row.values}
    for name in ("correct_answers", "incorrect_answers"):
        if isinstance(record.get(name), str):
            record[name] = split_answers(record[name])
    draft = published_draft(row.place, None, record)
    if draft is None:
        return None
    case, dropped = case_of(row.place, draft)
    left_out.update(dropped)
    named = {role: columns.label(row, role) for role in ("category", "source", "family")}
    parts = {role: text for role, text in named.items() if text}
    return replace(case, **{"source": row.place, **parts}, columns=row.values)  # type: ignore[arg-type]


def _case(columns: Columns, row: TableRow) -> Case:
    turns = _asked(columns, row)
    correct = answers_in(columns.of(row, "references"))
    incorrect = answers_in(columns.of(row, "wrong"))
    _check_apart(row, correct, incorrect)
    return Case(
        "\n\n".join(content for _, content in turns),
        correct,
        incorrect,
        category=columns.label(row, "category"),
        source=columns.label(row, "source") or row.place,
        messages=turns if len(turns) > 1 else (),
        family=columns.label(row, "family"),
        columns=row.values,
    )


def _asked(columns: Columns, row: TableRow) -> Turns:
    field, turns = asked_in(columns, row, columns.asking)
    if not turns or turns[-1][0] != "user":
        wrong = f"ends with the {turns[-1][0]}'s turn" if turns else "no turn in it"
        right = "a case ends with the user's turn (what ends with the answer is a demonstration)"
        raise field.wrong(wrong, right)
    return turns


def _check_apart(row: TableRow, correct: tuple[str, ...], incorrect: tuple[str, ...]) -> None:
    wrong = {answer_key(answer) for answer in incorrect}
    if both := [answer for answer in correct if answer_key(answer) in wrong]:
        said = f"{both[0][:60]!r} is a reference and a wrong answer"
        raise mistake(row.place, None, "", said, "keep it in one of the two")
