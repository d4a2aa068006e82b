"""Reading question files: every format read right, every mistake named, any bytes survived."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.data.distinct import CONTRADICTED, REPEATED
from truing.data.questions import (
    control_file,
    load_questions,
    parse_questions,
    question_file,
)
from truing.types import Case, InputError, answer_key, split_key

HEADER = "question,correct_answers,incorrect_answers\n"
GOOD = '{"question": "Q?", "correct_answers": ["t"], "incorrect_answers": ["f"]}'


# ---- files as a person would write them ----------------------------------------------------------


def test_own_csv_with_all_columns() -> None:
    text = (
        "\ufeffCategory,Question,Best Answer,correct-answers,INCORRECT ANSWERS,source,notes\n"
        'Birds,"Can, say, penguins fly?",No,They swim; No. ;;They can\'t fly,Yes;  ,A book,mine\n'
        "\n,,,,,,\n"
        'Sky,"Why is\nit blue?",,Scattering,The sea;Paint,,\n'
    )
    first, second = parse_questions("q.csv", text.encode())
    assert first == Case(
        prompt="Can, say, penguins fly?",
        correct_answers=("No", "They swim", "They can't fly"),
        incorrect_answers=("Yes",),
        category="Birds",
        source="A book",
    )
    assert second == Case("Why is\nit blue?", ("Scattering",), ("The sea", "Paint"), "Sky")


def test_truthfulqa_columns_close_answers_with_a_full_stop() -> None:
    text = (
        "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
        "Adversarial,Law,Is it?,No.,Unknown; No,Yes; Unknown; Yes,http://x\n"
    )
    (case,) = parse_questions("TruthfulQA.csv", text.encode())
    assert case.correct_answers == ("No.",)
    assert case.incorrect_answers == ("Yes.", "Unknown.")


def test_mc_task_takes_the_best_answer_from_mc1() -> None:
    record = {
        "question": " What? ",
        "mc1_targets": {"B.": 1, "X.": 0, "Y.": 0},
        "mc2_targets": {"A.": 1, "B.": 1, "Y.": 0, "X.": 0},
    }
    (case,) = parse_questions("mc_task.json", json.dumps([record]).encode())
    assert case == Case("What?", ("B.", "A."), ("X.", "Y."))


def test_the_best_false_answer_of_the_files_since_2025_comes_first() -> None:
    record = {
        "question": "What?",
        "mc0_targets": {"B.": 1, "Y.": 0},
        "mc1_targets": {"B.": 1, "X.": 0, "Y.": 0},
        "mc2_targets": {"B.": 1, "X.": 0, "Y.": 0},
    }
    (case,) = parse_questions("mc_task.json", json.dumps([record]).encode())
    assert case.incorrect_answers == ("Y.", "X.")
    text = (
        "Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers,"
        "Incorrect Answers,Source\nAdversarial,Law,What?,B,Y,B,X; Y,http://x\n"
    )
    (case,) = parse_questions("TruthfulQA.csv", text.encode())
    assert case.incorrect_answers == ("Y.", "X.")


@pytest.mark.parametrize(
    "text",
    [
        "Which?,one,two,three,four,C\n",
        "question,A,B,C,D,answer\nWhich?,one,two,three,four,c\n",
        "question,choice0,choice1,choice2,choice3,answer\nWhich?,one,two,three,four,2\n",
    ],
)
def test_mmlu_with_and_without_header(text: str) -> None:
    (case,) = parse_questions("high_school_art_test.csv", text.encode())
    assert case == Case("Which?", ("three",), ("one", "two", "four"), "high school art", "MMLU")


def test_published_benchmarks_may_repeat_a_question(tmp_path: Path) -> None:
    path = tmp_path / "x_test.csv"
    path.write_text(
        "Which?,one,two,three,four,A\nWhich?,two,one,five,six,A\nWhich?,four,three,two,one,D\n"
        "Which?,four,three,two,one,A\nWhere?,a,b,c,d,D\n"
    )
    read = question_file(path)
    assert [case.correct_answers for case in read.cases] == [("one",), ("two",), ("d",)]
    assert len({case.id for case in read.cases}) == 3
    assert read.all_left_out == {REPEATED: 1, CONTRADICTED: 1}
    assert f"{path}: 5 questions read" in read.lines


OTHER = GOOD.replace('"t"', '"x"').replace('"f"', '"t"').replace('"x"', '"f"')


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", HEADER + "Q?,t,f\nQ? ,t,f\nQ?,f,t\nWhy?,t,f\n"),
        ("q.tsv", HEADER.replace(",", "\t") + "Q?\tt\tf\nQ?\tt\tf\nQ?\tf\tt\nWhy?\tt\tf\n"),
        ("q.json", f"[{GOOD}, {GOOD},\n{OTHER}, {GOOD.replace('Q?', 'Why?')}]"),
        ("q.jsonl", "\n".join([GOOD, GOOD, OTHER, GOOD.replace("Q?", "Why?")])),
    ],
)
def test_so_may_files_of_ones_own(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    read = question_file(path)
    assert read.cases == (Case("Q?", ("t",), ("f",)), Case("Why?", ("t",), ("f",)))
    assert read.all_left_out == {REPEATED: 1, CONTRADICTED: 1}
    assert f"{path}: 4 questions read" in read.lines


def test_an_almost_alike_pair_is_told_once_however_often_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(HEADER + "Milliwatt?,mW,MW\nMilliwatt?,mW,MW\n")
    read = question_file(path)
    assert read.remarks[0].startswith("1 question(s) have a true and a false answer")
    assert read.repeated == 1


def test_columns_of_the_users_own_are_let_be() -> None:
    more = "correctness,question_id,best_incorrect_answer,notes,correct_answer"
    text = f"{HEADER.strip()},{more}\nQ,t,e;f,1,2,f,mine,t\n"
    (case,) = parse_questions("q.csv", text.encode())
    assert case == Case("Q", ("t",), ("f", "e"))
    extra = ', "correct": 1, "best_incorrect_answer": "f", "mc": 2}'
    (case,) = parse_questions("q.jsonl", GOOD.replace("}", extra).encode())
    assert case == Case("Q?", ("t",), ("f",))


def test_openbookqa() -> None:
    choices = [{"text": "logs", "label": "A"}, {"text": "rabbits", "label": "B"}]
    record = {"id": "1", "question": {"stem": "Foxes eat", "choices": choices}, "answerKey": "B"}
    (case,) = parse_questions("obqa.jsonl", json.dumps(record).encode())
    assert case == Case("Foxes eat", ("rabbits",), ("logs",), "OpenBookQA", "OpenBookQA 1")


def test_jsonl_own_keys_and_blank_lines() -> None:
    record = {
        "question": "Is the Great Wall seen from the Moon?",
        "correct_answers": ["No", "It isn't"],
        "incorrect_answers": ["Yes"],
        "best_answer": "It isn't.",
        "category": None,
        "id": 7,
    }
    (case,) = parse_questions("q.jsonl", b"\n" + json.dumps(record).encode() + b"\r\n\r\n")
    assert case.correct_answers == ("It isn't.", "No")
    assert case.category == ""


# ---- mistakes ------------------------------------------------------------------------------------

MISTAKES = [
    ("q.csv", b"", "q.csv: the file is empty; give a header: question,"),
    ("q.csv", b" \n\n", "q.csv: the file is empty"),
    ("q.csv", HEADER, "q.csv: no questions in it"),
    (
        "q.csv",
        "question,incorrect_answers\nQ,f\n",
        "q.csv:1: correct_answers: this column is missing",
    ),
    (
        "q.csv",
        "question,corect_answers,incorrect_answers\nQ,t,f\n",
        "q.csv:1: corect_answers: unknown column; did you mean 'correct_answers'?",
    ),
    (
        "q.csv",
        "question,correct_answers,incorrect_answers,categry\nQ,t,f,c\n",
        "q.csv:1: categry: unknown column; did you mean 'category'?",
    ),
    ("q.csv", "question,Question\nQ,Q\n", "q.csv:1: Question: this column stands twice"),
    ("q.csv", '"a\nb",A B\n', "q.csv:1: A B: this column stands twice"),
    ("q.csv", '"a\nb","a\nb"\n', "q.csv:1: a b: this column stands twice"),
    ("q.csv", HEADER + "Q,t\n", "q.csv:2: 2 cells where the header has 3"),
    ("q.csv", HEADER + "A,t,f\n\nWell, why?,t,f\n", "q.csv:4: 4 cells where the header has 3"),
    ("q.csv", HEADER + '"A\nB",t,f\nQ,t, ; \n', "q.csv:4: incorrect_answers: no false answer"),
    ("q.csv", HEADER + "Q,,f\n", "q.csv:2: correct_answers: no true answer; give at least one"),
    ("q.csv", HEADER + " ,t,f\n", "q.csv:2: question: empty"),
    (
        "q.csv",
        HEADER + "Q,t;No.,f; No.\n",
        "q.csv:2: incorrect_answers: 'No.' is listed as true and as false; keep it in one",
    ),
    (
        "q.csv",
        "question,corect,incorrect_answers\nQ,t,f\n",
        "q.csv:1: corect: unknown column; did you mean 'correct_answers'?",
    ),
    (
        "q.csv",
        "question,correct_answers,incorrect_answers,best_anwser\nQ,t,f,t\n",
        "q.csv:1: best_anwser: unknown column; did you mean 'best_answer'?",
    ),
    ("q.csv", HEADER + '"Q,t,f\n', "q.csv:2: not valid CSV"),
    ("q.csv", (HEADER + "Q,é,f\n").encode("latin-1"), "q.csv:2: not UTF-8 (byte 0xe9); save the"),
    ("q.csv", f"\ufeff{HEADER}Q,t,f\n".encode("utf-16-le"), "q.csv:1: UTF-16, by its first two"),
    ("q.json", f"\ufeff[{GOOD}]".encode("utf-16-be"), "q.json:1: UTF-16, by its first two bytes; "),
    ("q.jsonl", GOOD.encode("utf-16"), "q.jsonl:1: UTF-16, by its first two bytes; save the file"),
    (
        "q.csv",
        "Which?,1,2,3,4,A\nWhat?,1,2,3,4,E\n",
        "q.csv:2: answer: 'E' names no choice; give A",
    ),
    ("q.csv", "question,a,b,answer\nWhat?,1,2,\n", "q.csv:2: answer: '' names no choice"),
    ("q.json", b"", "q.json: the file is empty"),
    ("q.json", "[]", "q.json: no questions in it"),
    ("q.json", GOOD, "q.json:1: an object where a list belongs"),
    ("q.json", f"[{GOOD},\n{{]", "q.json:2: not valid JSON"),
    ("q.json", f"[{GOOD},\n\n 3]", "q.json:3: a number where an object belongs"),
    ("q.json", "[" * 200_000, "q.json:1: "),
    ("q.jsonl", GOOD + "\n{'question'}\n", "q.jsonl:2: not valid JSON"),
    ("q.jsonl", "9" * 5000, "q.jsonl:1: not valid JSON"),
    ("q.jsonl", f"[{GOOD}]", "q.jsonl:1: a list where an object belongs"),
    (
        "q.jsonl",
        GOOD.replace("correct_a", "corect_a", 1),
        "q.jsonl:1: corect_answers: unknown key; ",
    ),
    (
        "q.jsonl",
        GOOD.replace("}", ', "Best Anwser": "t"}'),
        "q.jsonl:1: Best Anwser: unknown key; did you mean 'best_answer'?",
    ),
    ("q.jsonl", GOOD.replace('["t"]', '["t", "\u200b"]'), "q.jsonl:1: correct_answers: item 2 is "),
    ("q.jsonl", GOOD.replace('["t"]', '"t"'), "q.jsonl:1: correct_answers: a text stands here; "),
    ("q.jsonl", GOOD.replace('["t"]', "[1]"), "q.jsonl:1: correct_answers: item 1 is a number; "),
    ("q.jsonl", GOOD.replace('["t"]', '["t", " "]'), "q.jsonl:1: correct_answers: item 2 is empty"),
    ("q.jsonl", GOOD.replace('["f"]', "[]"), "q.jsonl:1: incorrect_answers: no false answer"),
    ("q.jsonl", GOOD.replace('"Q?"', "null"), "q.jsonl:1: question: null stands here; give a text"),
    ("q.jsonl", GOOD.replace("Q?", "\\ud800"), "q.jsonl:1: half of a surrogate pair"),
    (
        "q.jsonl",
        '{"question": "Q", "mc1_targets": {"a": 1, "b": 1, "c": 0}}',
        "q.jsonl:1: mc1_targets: 2 true answers; mark exactly one with 1",
    ),
    (
        "q.jsonl",
        '{"question": "Q", "mc2_targets": {"a": "yes"}}',
        "q.jsonl:1: mc2_targets: not a mapping of answers to 1 or 0",
    ),
    (
        "q.jsonl",
        '{"question": {"stem": "Q", "choices": [{"text": "a", "label": "A"}]}, "answerKey": "B"}',
        "q.jsonl:1: answerKey: 'B' names no choice; give one of A",
    ),
    (
        "q.jsonl",
        '{"question": {"stem": "Q", "choices": ["a"]}, "answerKey": "A"}',
        "q.jsonl:1: question: choice 1 has no text and label",
    ),
    ("q.txt", GOOD, "q.txt: the ending '.txt' is not known; name it .csv, .json, .jsonl"),
    ("q", GOOD, "q: the file name has no ending"),
]


@pytest.mark.parametrize(("file", "content", "message"), MISTAKES)
def test_mistakes_are_named(file: str, content: str | bytes, message: str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(InputError) as caught:
        parse_questions(file, data)
    assert str(caught.value).startswith(message)
    assert ";" in str(caught.value), "says what would be right"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is a folder; give 'built-in' or a file ending in"):
        load_questions(tmp_path)
    with pytest.raises(InputError, match=r"none\.csv: no such file; give 'built-in' or a file"):
        load_questions(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"builtin: no such file; did you mean 'built-in'\?"):
        load_questions("builtin")
    with pytest.raises(InputError, match="can't be read"):
        load_questions("nul\0.csv")


def test_controls_from_none_and_a_file(tmp_path: Path) -> None:
    assert control_file("none").cases == ()
    path = tmp_path / "c.jsonl"
    path.write_text(GOOD)
    assert control_file(path).cases == (Case("Q?", ("t",), ("f",)),)


# ---- properties ----------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
TEXT = ANY_TEXT.map(str.strip).filter(answer_key)
ANSWER = TEXT.map(lambda text: text.replace(";", ",").strip()).filter(answer_key)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case that every format can hold: no answer contains a semicolon, none is given twice."""
    answers = draw(st.lists(ANSWER, min_size=2, max_size=6, unique_by=answer_key))
    true = draw(st.integers(1, len(answers) - 1))
    note = ANY_TEXT.map(str.strip)
    return Case(draw(TEXT), tuple(answers[:true]), tuple(answers[true:]), draw(note), draw(note))


SETS = st.lists(cases(), min_size=1, max_size=5, unique_by=lambda case: split_key(case.prompt))


def as_record(case: Case, best_apart: bool) -> dict[str, object]:
    """The case under the keys that files use; the best answer stands apart, or first."""
    best, *others = case.correct_answers
    return {
        "question": case.prompt,
        "correct_answers": [*others, best] if best_apart else [best, *others],
        "incorrect_answers": list(case.incorrect_answers),
        "best_answer": best if best_apart else "",
        "category": case.category,
        "source": case.source,
    }


@given(SETS, st.booleans(), st.booleans())
def test_json_round_trip(expected: list[Case], best_apart: bool, escape: bool) -> None:
    records = [as_record(case, best_apart) for case in expected]
    as_list = json.dumps(records, indent=1, ensure_ascii=escape).encode()
    assert parse_questions("q.json", as_list) == tuple(expected)
    lines = "\n".join(json.dumps(record, ensure_ascii=escape) for record in records)
    assert parse_questions("q.jsonl", lines.encode()) == tuple(expected)


@given(SETS, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_csv_round_trip(expected: list[Case], best_apart: bool, newline: str) -> None:
    records = [as_record(case, best_apart) for case in expected]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL)
    writer.writerow(records[0])
    for record in records:
        writer.writerow("; ".join(v) if isinstance(v, list) else v for v in record.values())
    assert parse_questions("q.csv", file.getvalue().encode("utf-8-sig")) == tuple(expected)


FRAGMENTS = st.sampled_from(
    [
        *(b'{}[],:;"\n\r\0 \xff', b"\xef\xbb\xbf", b"question", b"correct_answers", b"answer"),
        *(b'"mc1_targets"', b'"question":', b"1e999", b"null", b"NaN", b"\\ud800", b"A", b"1"),
        *(HEADER.encode(), GOOD.encode(), b"q,t,f\n", b"question,a,b,answer\n", b"Q,1,2,3,4,A\n"),
    ]
).map(lambda piece: bytes([piece]) if isinstance(piece, int) else piece)
ANY_BYTES = st.binary(max_size=60) | st.lists(FRAGMENTS, max_size=12).map(b"".join)


@given(ANY_BYTES, st.sampled_from(["q.csv", "q.json", "q.jsonl"]))
def test_any_bytes_give_cases_or_an_input_error(data: bytes, file: str) -> None:
    try:
        read = parse_questions(file, data)
    except InputError as error:
        assert str(error).startswith(file)
        assert "\n" not in str(error)
        return
    assert read
    for case in read:
        true, false = set(case.correct_answers), set(case.incorrect_answers)
        assert case.prompt.strip() and true and false and not true & false


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = ["question", "correct_answers", "incorrect_answers", "best_answer", "category", "stem"]
KEYS += ["mc1_targets", "mc2_targets", "answerKey", "choices", "id"]


@given(st.dictionaries(st.sampled_from(KEYS), JSON_VALUES))
def test_any_values_under_known_keys_give_cases_or_an_input_error(record: object) -> None:
    try:
        (case,) = parse_questions("q.jsonl", json.dumps(record).encode())
    except InputError:
        return
    assert case.correct_answers and case.incorrect_answers


# ---- published files -----------------------------------------------------------------------------


def test_truthfulqa_csv_and_json_agree(shared_data: Path) -> None:
    by_json = load_questions(shared_data / "truthfulqa" / "mc_task_v1.json")
    by_csv = load_questions(shared_data / "truthfulqa" / "TruthfulQA_v1.csv")
    assert len(by_json) == len(by_csv) == 817
    answers = {case.id: (case.correct_answers, case.incorrect_answers) for case in by_csv}
    assert len({case.category for case in by_csv}) == 38
    for case in by_json:
        assert answers[case.id] == (case.correct_answers, case.incorrect_answers)


def test_truthfulqa_cases_hold_the_targets_of_mc1_and_mc2(shared_data: Path) -> None:
    path = shared_data / "truthfulqa" / "mc_task_v1.json"
    for case, record in zip(load_questions(path), json.loads(path.read_bytes()), strict=True):
        best, false = case.correct_answers[:1], case.incorrect_answers
        assert record["mc1_targets"] == dict.fromkeys(best, 1) | dict.fromkeys(false, 0)
        mc2 = dict.fromkeys(case.correct_answers, 1) | dict.fromkeys(false, 0)
        assert record["mc2_targets"] == mc2


def test_published_controls_are_read(shared_data: Path) -> None:
    openbookqa = control_file(shared_data / "truthfulqa" / "openbookqa.jsonl").cases
    assert len(openbookqa) == 500  # two stems stand twice, with other choices
    assert {len(case.incorrect_answers) for case in openbookqa} == {3}
    files = sorted((shared_data / "mmlu" / "test").glob("*.csv"))
    assert files
    for file in files:
        assert len(control_file(file).cases) >= 0.9 * (len(file.read_text().splitlines()) - 1)
