"""Layouts of published benchmarks, known by what is in a row; blemishes forgiven and counted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from truing.data.case_file import read_cases
from truing.data.distinct import CONTRADICTED, REPEATED, CaseFile, distinct_cases
from truing.data.drafts import ANSWER_TWICE, BOTH_WAYS, EMPTY_ANSWER
from truing.data.questions import load_questions, question_file, several_files
from truing.data.splits import share, split
from truing.types import Case, InputError, answer_key, split_key, stable_hash

CHOICES = {"text": ["logs", "hares"], "label": ["A", "B"]}
MARKED = {"choices": ["Yes.", "No.", "Perhaps."], "labels": [1, 0, 0]}
ROWS: dict[str, tuple[dict[str, Any], Case]] = {
    "MMLU": (
        {"question": "Warm?", "subject": "high_school_art", "choices": ["red", "blue"], "answer": 0},
        Case("Warm?", ("red",), ("blue",), "high school art", "MMLU"),
    ),
    "MMLU with a letter": (
        {"question": "Warm?", "choices": ["red", "blue"], "answer": "B"},
        Case("Warm?", ("blue",), ("red",), "", "MMLU"),
    ),
    "ARC": (
        {"id": "X_2000_1", "question": "Foxes eat", "choices": CHOICES, "answerKey": "B"},
        Case("Foxes eat", ("hares",), ("logs",), "ARC", "ARC X_2000_1"),
    ),
    "ARC with numbers": (
        {
            "id": "X_1",
            "question": "Foxes eat",
            "choices": {**CHOICES, "label": ["1", "2"]},
            "answerKey": "1",
        },
        Case("Foxes eat", ("logs",), ("hares",), "ARC", "ARC X_1"),
    ),
    "OpenBookQA": (
        {"id": "7-9", "question_stem": "Foxes eat", "choices": CHOICES, "answerKey": "B"},
        Case("Foxes eat", ("hares",), ("logs",), "OpenBookQA", "OpenBookQA 7-9"),
    ),
    "TruthfulQA, multiple choice": (
        {"question": "Is it?", "mc1_targets": MARKED, "mc2_targets": MARKED},
        Case("Is it?", ("Yes.",), ("No.", "Perhaps.")),
    ),
    "TruthfulQA, generation": (
        {
            "type": "Adversarial",
            "category": "Law",
            "question": "Is it?",
            "best_answer": "Nobody knows",
            "correct_answers": ["Unknown", "Nobody knows", "Perhaps"],
            "incorrect_answers": ["Perhaps", "Yes"],
            "source": "http://x",
        },
        Case(
            "Is it?", ("Nobody knows.", "Unknown."), ("Perhaps.", "Yes."), "Law", "http://x"
        ),
    ),
}  # fmt: skip


def written(folder: Path, ending: str, *rows: dict[str, Any]) -> Path:
    path = folder / f"rows{ending}"
    if ending == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    elif ending == ".json":
        path.write_text(json.dumps(list(rows), indent=1))
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("layout", ROWS)
def test_layouts_of_the_hub(tmp_path: Path, layout: str, ending: str) -> None:
    row, case = ROWS[layout]
    path = written(tmp_path, ending, row)
    assert question_file(path).cases == (case,)
    (of_table,) = read_cases(str(path), {}, "task.data.cases").cases
    assert (
        of_table.prompt == case.prompt
        and of_table.columns["question" if "question" in row else "id"]
    )
    assert (of_table.correct_answers, of_table.incorrect_answers) == (
        case.correct_answers,
        case.incorrect_answers,
    )


def test_layouts_may_be_mixed_row_by_row(tmp_path: Path) -> None:
    rows = [
        {**row, "question": f"Q{number}?"}
        for number, (row, _) in enumerate(ROWS.values())
        if "question" in row
    ]
    rows.append({"question": "Mine?", "correct_answers": ["t"], "incorrect_answers": ["f"]})
    read = question_file(written(tmp_path, ".jsonl", *rows))
    assert len(read.cases) == len(rows) and len({case.id for case in read.cases}) == len(rows)
    assert read.left_out == {BOTH_WAYS: 1}


def test_a_mapping_of_columns_goes_before_a_layout(tmp_path: Path) -> None:
    row = ROWS["MMLU"][0]
    path = written(tmp_path, ".jsonl", row)
    (case,) = read_cases(str(path), {"references": "subject"}, "task.data.cases").cases
    assert case.correct_answers == ("high_school_art",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "Q", "choices": ["a", "b"], "answer": 2}, "answer: '2' names no choice; give A to B"),
        ({"question": "Q", "choices": ["a", "b"], "answer": True}, "answer: true or false stands here"),
        ({"question": "Q", "choices": ["a", ["b"]], "answer": 0}, "choices: not all are texts"),
        ({"question": "Q", "choices": [], "answer": 0}, "answer: '0' names no choice"),
        ({"question": "Q", "choices": {"text": ["a"], "label": []}, "answerKey": "A"},
         "choices: no lists of text and label, equally long"),
        ({"question": "Q", "choices": CHOICES, "answerKey": "C"}, "answerKey: 'C' names no choice"),
        ({"question": "Q", "mc1_targets": {"choices": ["a"], "labels": [1, 0]}},
         "mc1_targets: not a mapping of answers to 1 or 0"),
        ({"question": "Q", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 1]}},
         "mc1_targets: 2 true answers"),
        ({"question": "Q", "choices": ["a", "a "], "answer": 0}, "choices: no false answer"),
    ],
)  # fmt: skip
def test_wrong_rows_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    path = written(tmp_path, ".jsonl", row)
    with pytest.raises(InputError) as caught:
        question_file(path)
    assert str(caught.value).startswith(f"{path}:1: {said}")


# ---- one equality for each purpose ---------------------------------------------------------------


def of_csv(folder: Path, *rows: list[str], name: str = "x_test.csv") -> CaseFile:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (folder / name).write_text(text.getvalue())
    return question_file(folder / name)


def test_answers_are_the_same_exactly_but_for_white_space(tmp_path: Path) -> None:
    read = of_csv(tmp_path, ["Which?", "Aa x aa", "AA x aa", "aa x aa", "½", "A"])
    assert read.cases[0].incorrect_answers == ("AA x aa", "aa x aa", "½") and not read.left_out
    read = of_csv(tmp_path, ["Which?", "12", "7", " 12", "7  ", "C"])
    assert (read.cases[0].correct_answers, read.cases[0].incorrect_answers) == (("12",), ("7",))
    assert read.left_out == {ANSWER_TWICE: 2}
    read = of_csv(tmp_path, ["Which?", "12", "", "7", "", "A"])
    assert read.left_out == {EMPTY_ANSWER: 2}


@pytest.mark.parametrize(
    "variant",
    [
        "cafe\u0301",
        "caf\u200be\u0301",
        "\ufeffcaf\u00e9",
        "ca\u200c\u200df\u2060\u00e9",
        "caf\u00e9\u200b",
    ],
)
def test_what_looks_the_same_is_one_answer_and_one_question(tmp_path: Path, variant: str) -> None:
    header = ["question", "correct_answers", "incorrect_answers"]
    asked = ["caf\u00e9?", "caf\u00e9", "tea"]
    read = of_csv(tmp_path, header, [asked[0], f"caf\u00e9;{variant}", "tea"], name="q.csv")
    assert read.cases == (Case("caf\u00e9?", ("caf\u00e9",), ("tea",)),)
    assert read.left_out == {ANSWER_TWICE: 1}
    read = of_csv(tmp_path, header, asked, [f"{variant}?", variant, "tea"], name="q.csv")
    assert len(read.cases) == read.repeated == 1
    assert split_key(variant) == split_key(asked[1]), "one side of every split"
    with pytest.raises(InputError, match="is listed as true and as false"):
        of_csv(tmp_path, header, ["Q", "caf\u00e9", variant], name="q.csv")


def test_what_looks_otherwise_stays_two_answers(tmp_path: Path) -> None:
    for one, other in (
        ("mW", "MW"),
        ("x\u00b2", "x2"),
        ("\u00bd", "1/2"),
        ("\uff21", "A"),
        ("e", "\u00e9"),
    ):
        assert answer_key(one) != answer_key(other)
        read = of_csv(tmp_path, ["Q", one, other, "c", "d", "A"])
        assert read.cases[0].incorrect_answers == (other, "c", "d") and not read.left_out
    read = of_csv(tmp_path, ["Q", "a", "\u200b", "c", "", "A"])
    assert read.cases[0].incorrect_answers == ("c",) and read.left_out == {EMPTY_ANSWER: 2}


def test_questions_are_the_same_where_stem_and_choices_are(tmp_path: Path) -> None:
    read = of_csv(
        tmp_path,
        ["Which is a tool?", "saw", "tea", "sun", "fog", "A"],
        ["Which is a tool?", "axe", "ink", "sea", "air", "A"],
        ["Which  is a tool?", "fog", "sun", "tea", "saw", "D"],
        ["which is a tool?", "saw", "tea", "sun", "fog", "A"],
        ["Which is a tool?", "saw", "tea", "sun", "fog", "B"],
    )
    assert [case.correct_answers for case in read.cases] == [("saw",), ("axe",), ("saw",)]
    assert read.all_left_out == {REPEATED: 1, CONTRADICTED: 1}
    assert len({case.id for case in read.cases}) == 3
    assert len({share(case, "split") for case in read.cases}) == 1, "one side of every split"
    assert read.cases[0].id == Case("Which is a tool?").id, "the first is called as it was"
    assert [line.partition(": ")[2] for line in read.lines] == [
        "5 questions read",
        f"left out: 1 {REPEATED}",
        f"left out: 1 {CONTRADICTED}",
        "2 question(s) have an earlier one's stem, letter case and width aside, and ask something else",
    ]


def test_ids_stand_for_what_is_asked_wherever_it_stands(tmp_path: Path) -> None:
    cases = [Case("3²?", ("a",), ("b",)), Case("32?", ("b",), ("a",)), Case("32?", ("c",), ("a",))]
    read = distinct_cases(cases, "x")
    again = distinct_cases([cases[0], cases[2], cases[1]], "x")
    assert {case.id for case in read.cases} == {case.id for case in again.cases}


def test_own_questions_that_differ_in_case_alone_are_read_and_said(tmp_path: Path) -> None:
    header = ["question", "correct_answers", "incorrect_answers"]
    read = of_csv(tmp_path, header, ["Symbol of milliwatt?", "mW", "MW; kW"], name="q.csv")
    assert read.cases[0].incorrect_answers == ("MW", "kW")
    assert "('mW' and 'MW'): read as two answers" in read.remarks[0]


def test_files_of_a_folder_take_turns_and_count_together(tmp_path: Path) -> None:
    for name, rows in {
        "a_test.csv": [["Same?", "1", "2", "3", "4", "A"], ["One?", "1", "2", "3", "3", "A"]],
        "b_test.csv": [["Two?", "1", "2", "3", "4", "A"], ["Same?", "4", "3", "2", "1", "D"],
                       ["Same?", "5", "6", "7", "8", "A"], ["Two?", "1", "2", "3", "4", "A"]],
    }.items():  # fmt: skip
        of_csv(tmp_path, *rows, name=name)
    read = several_files([str(tmp_path)])
    assert [case.prompt for case in read.cases] == ["Same?", "Two?", "One?", "Same?"]
    assert read.all_left_out == {REPEATED: 2, ANSWER_TWICE: 1}
    assert f"{tmp_path}: 6 questions read" in read.lines
    assert len({case.id for case in read.cases}) == 4


def test_keys() -> None:
    assert split_key(" X²  Ab") == split_key("x2 aB") and answer_key(" X²  Ab") == "X² Ab"
    one, other = Case("Q  1", ("a",), ("b", "c")), Case(" Q 1", ("c ",), ("b", "a"))
    assert one.question_key == other.question_key
    for different in (Case("q 1", ("a",), ("b", "c")), Case("Q 1", ("a",), ("b",)), Case("Q 1")):
        assert different.question_key != one.question_key
    assert Case("Q", ("a",)).question_key == Case("Q", ("b",)).question_key, (
        "no choices are offered"
    )


# ---- what stands ---------------------------------------------------------------------------------


DIGEST = "076d39b725589d40"  # taken before the equalities were parted
"""Of the built-in questions, their answers and ids, and of which are held out."""


def test_the_built_in_questions_and_their_split_are_what_they_were() -> None:
    cases = load_questions("built-in")
    texts = [json.dumps([c.prompt, c.correct_answers, c.incorrect_answers, c.id]) for c in cases]
    train, held_out = split(cases, 0.3)
    assert len(cases) == 648 and not any(case.distinction for case in cases)
    assert stable_hash(*texts, "", *(case.id for case in held_out))[:16] == DIGEST
    assert (len(train), len(held_out)) == (473, 175)


# ---- published files -----------------------------------------------------------------------------


def test_all_of_mmlu_is_read(shared_data: Path) -> None:
    folder = shared_data / "mmlu" / "test"
    rows = sum(len(list(csv.reader(path.open(newline="")))) - 1 for path in folder.glob("*.csv"))
    read = several_files([str(folder)])
    left_out = read.repeated + read.left_out.get(CONTRADICTED, 0)
    assert len(read.cases) + left_out == rows == 1404
    assert len({case.id for case in read.cases}) == len(read.cases)


def test_truthfulqa_of_the_hub_is_truthfulqa(shared_data: Path, tmp_path: Path) -> None:
    with open(shared_data / "truthfulqa" / "TruthfulQA_v1.csv", encoding="utf-8-sig") as file:
        table = list(csv.DictReader(file))
    lists = ("correct_answers", "incorrect_answers")
    plain = [{name.lower().replace(" ", "_"): text for name, text in row.items()} for row in table]
    rows = [
        {
            k: [a.strip() for a in v.split(";") if a.strip()] if k in lists else v
            for k, v in row.items()
        }
        for row in plain
    ]
    generation = question_file(written(tmp_path, ".parquet", *rows))
    assert generation.cases == load_questions(shared_data / "truthfulqa" / "TruthfulQA_v1.csv")
    path = shared_data / "truthfulqa" / "mc_task_v1.json"
    records = [
        {
            key: {"choices": list(value), "labels": list(value.values())}
            if isinstance(value, dict)
            else value
            for key, value in record.items()
        }
        for record in json.loads(path.read_bytes())
    ]
    assert load_questions(written(tmp_path, ".jsonl", *records)) == load_questions(path)
