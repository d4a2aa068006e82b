"""Cases from a user's table: what is asked, and what is known of good answers and bad ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from truing.data.columns import Columns, columns_of, spread
from truing.data.drafts import folded, mistake
from truing.data.tables import TableRow, read_table
from truing.data.turns import Turns, answers_in, asked_in
from truing.types import Case

ROLES = ("prompt", "messages", "references", "wrong", "category", "source", "family")
"""What a mapping can say of a file of cases."""


@dataclass(frozen=True)
class CaseFile:
    """The cases of a source in order; `repeated` rows ask what an earlier one asks: they are left out."""

    cases: tuple[Case, ...]
    repeated: int
    source: str


def read_cases(source: str, columns: Mapping[str, str], where: str) -> CaseFile:
    """The cases in a file, a saved folder or a data set of the hub; see `read_table`.

    `columns` says which column is what where the names don't. `where` is the field that names the
    source. Raises InputError at the first mistake, naming the row, and where there is no case at all.
    """
    table = spread(read_table(source, where))
    known = columns_of(table, columns, where, ROLES)
    cases: dict[str, Case] = {}
    for row in table.rows:
        case = _case(known, row)
        cases.setdefault(case.id, case)
    if not cases:
        raise mistake(f"{where}: {source}", None, "", "no case in it", "give at least one row")
    return CaseFile(tuple(cases.values()), len(table.rows) - len(cases), source)


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
    wrong = {folded(answer) for answer in incorrect}
    if both := [answer for answer in correct if folded(answer) in wrong]:
        said = f"{both[0][:60]!r} is a reference and a wrong answer"
        raise mistake(row.place, None, "", said, "keep it in one of the two")
