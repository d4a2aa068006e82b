"""Delimited text: every dialect read and named, or refused where two would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from truing.data.case_file import read_cases
from truing.data.conversion.rows import read_rows
from truing.data.delimited import delimited, header_of
from truing.data.questions import question_file
from truing.types import Case, InputError

ROWS = [
    ["question", "correct_answers", "incorrect_answers"],
    ["Where is Ulm?", "By the Danube; In Swabia", "By the Rhine"],
    ['Say "no", or\nnot?', "No", "Yes, it is; Not"],
]
CASES = (
    Case("Where is Ulm?", ("By the Danube", "In Swabia"), ("By the Rhine",)),
    Case('Say "no", or\nnot?', ("No",), ("Yes, it is", "Not")),
)
SAID = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def written(
    path: Path, delimiter: str, *, more: str = "", ends: str = "\n", head: str = ""
) -> Path:
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in ROWS]
    text = head + "".join(delimiter.join(row) + more + ends for row in quoted)
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("delimiter", SAID)
@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_a_delimiter_that_is_not_the_endings_is_read_and_said(
    tmp_path: Path, delimiter: str, ending: str
) -> None:
    path = written(tmp_path / f"q{ending}", delimiter)
    read = question_file(path)
    assert read.cases == CASES
    usual = delimiter == {".csv": ",", ".tsv": "\t"}[ending]
    said = f"read as columns separated by {SAID[delimiter]}"
    assert read.remarks == (() if usual else (said,))
    assert read.lines == ([] if usual else [f"{path}: {said}"])
    assert read.record == ({} if usual else {"remarks": [said]})
    table = read_cases(str(path), {}, "task.data.cases")
    assert table.remarks == read.remarks
    assert [case.incorrect_answers for case in table.cases] == [c.incorrect_answers for c in CASES]


def test_what_excel_writes_is_read(tmp_path: Path) -> None:
    for name, options in {
        "empty.csv": {"more": ",,", "ends": "\r\n", "head": "\ufeff"},
        "mac.csv": {"ends": "\r"},
        "named.csv": {"head": "sep=,\r\n"},
    }.items():
        assert question_file(written(tmp_path / name, ",", **options)).cases == CASES, name
    semicolons = written(tmp_path / "german.csv", ";", more=";;", head="sep=;\n")
    assert question_file(semicolons).cases == CASES


def test_nameless_columns_are_passed_over_where_they_hold_nothing(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("question,,correct_answers,incorrect_answers,\nWhy?,,t,f,,,\n")
    assert question_file(path).cases == (Case("Why?", ("t",), ("f",)),)
    path.write_text("question,,correct_answers,incorrect_answers\nWhy?,x,t,f\n")
    with pytest.raises(InputError, match=r"q\.csv:1: column 2 has no name"):
        question_file(path)
    path.write_text("question,correct_answers,incorrect_answers,\nWhy?,t,f,x\n")
    with pytest.raises(InputError, match=r"q\.csv:2: 4 cells where the header has 3"):
        question_file(path)


def test_mmlu_with_any_delimiter_and_others_in_its_cells(tmp_path: Path) -> None:
    expected = Case("Which, or what; say?", ("c, d",), ("a; x", "b", "e"), "art", "MMLU")
    for delimiter in SAID:
        cells = ["Which, or what; say?", "a; x", "b", "c, d", "e", "C"]
        line = delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in cells)
        path = tmp_path / "art_test.csv"
        path.write_text(f"{line}\n{delimiter.join(['Why?', *'1234', 'A'])}\n")
        assert question_file(path).cases[0] == expected, delimiter


def test_two_delimiters_that_would_do_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"t\.csv:1: header: columns may be separated by semicolons or "
    ):
        delimited("t.csv", "a;b\tc\n1;2\t3\n")
    assert delimited("t.csv", "a;b,c\n1,2\n").remarks == ()  # commas fit, as the ending says
    assert delimited("t.csv", "a,b;c\n1;2\n").remarks == (
        "read as columns separated by semicolons",
    )


def test_vertical_bars_as_a_person_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    rows = "question|correct_answers|incorrect_answers\nWhere, then?|Here; Near|There, far off\n"
    for head in ("", "sep=|\n"):
        path.write_text(head + rows)
        read = question_file(path)
        assert read.cases == (Case("Where, then?", ("Here", "Near"), ("There, far off",)),)
        assert read.lines == [f"{path}: read as columns separated by vertical bars"]
    path.write_text("question,correct_answers,incorrect_answers\n|a| or a|b?,x|y,z\n")
    read = question_file(path)
    assert read.cases == (Case("|a| or a|b?", ("x|y",), ("z",)),) and not read.remarks


def test_a_cell_may_be_longer_than_the_library_allows(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(f"question,correct_answers,incorrect_answers\n{'why ' * 50_000}?,t,f\n")
    (case,) = question_file(path).cases
    assert len(case.prompt) > 131_072


def test_rows_of_benchmarks_say_their_dialect_and_keep_quotes_between_tabs(tmp_path: Path) -> None:
    path, remarks = tmp_path / "rows.tsv", list[str]()
    path.write_text('text\tkind\n"so\t1\n')
    assert [row.values for row in read_rows(path, [], remarks)] == [{"text": '"so', "kind": "1"}]
    assert remarks == []
    path = tmp_path / "rows.csv"
    path.write_text('text\tkind\n"so"\t1\n')
    assert [row.values for row in read_rows(path, [], remarks)] == [{"text": "so", "kind": "1"}]
    assert remarks == [f"{path}: read as columns separated by tabs"]


def test_a_header_maps_its_names_to_places() -> None:
    header = header_of("t.csv", 1, ["", " a ", "", "b", ""], [(2, ["7", "x", "", "y"])])
    assert header.names == {1: "a", 3: "b"} and header.width == 4
    assert header.cells(2, ["7", "x", "", "y"]) == {"a": "x", "b": "y"}
