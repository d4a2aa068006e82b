"""Cases from a user's table: every name that is understood, every mistake that is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from paths import DOCS
from truing.data.case_file import read_cases
from truing.data.columns import NAMES
from truing.data.distinct import REPEATED, CaseFile
from truing.data.splits import share, split
from truing.spec.task import COLUMN_ROLES
from truing.types import Case, InputError

WHERE = "task.data.cases"
USER = {"role": "user", "content": "Why?"}
BOT = {"role": "assistant", "content": "So."}
SYSTEM = {"role": "system", "content": "Be brief."}


def file_of(folder: Path, *rows: object) -> str:
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def read(folder: Path, *rows: object, **columns: str) -> CaseFile:
    return read_cases(file_of(folder, *rows), columns, WHERE)


def one(folder: Path, row: object, **columns: str) -> Case:
    [case] = read(folder, row, **columns).cases
    return case


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": " Who? "}, "Who?"),
        ({"prompt": "Who?", "messages": [USER, BOT], "instruction": "x", "text": "y"}, "Who?"),
        ({"prompt": [USER]}, "Why?"),
        ({"messages": [USER], "question": "x", "text": "<user>Why?"}, "Why?"),
        ({"conversations": [{"from": "human", "value": "Why?"}]}, "Why?"),
        ({"question": "Who?", "text": "x"}, "Who?"),
        ({"Question": "Who?"}, "Who?"),
        ({"instruction": "Add.", "input": "1 and 2", "text": "x"}, "Add.\n\n1 and 2"),
        ({"instruction": "Add.", "input": ""}, "Add."),
        ({"input": "Who?", "target": "me"}, "Who?"),
        ({"text": "Who?", "id": 7}, "Who?"),
        ({"prompt": None, "question": "Who?"}, "Who?"),
    ],
)
def test_what_is_asked_is_known_by_its_column(
    tmp_path: Path, row: dict[str, Any], prompt: str
) -> None:
    case = one(tmp_path, row)
    assert (case.prompt, case.messages, case.columns) == (prompt, (), row)
    assert case.source == f"{tmp_path / 'cases.jsonl'}:1"


@pytest.mark.parametrize(
    ("known", "references"),
    [
        ({"references": ["a", " b ", "a", " "]}, ("a", "b")),
        *(({name: "a"}, ("a",)) for name in ("reference", "answer", "output", "completion")),
        *(({name: "a"}, ("a",)) for name in ("response", "gold", "target")),
        ({"correct_answers": ["a", "b"]}, ("a", "b")),
        ({"correct_answers": "a; b"}, ("a", "b")),
        ({"answer": "a; b"}, ("a; b",)),
        ({"answer": {"name": "Zoë", "year": None}}, ('{"name":"Zoë","year":null}',)),
        ({"answer": [{"a": 1}, {"a": 2}]}, ('[{"a":1},{"a":2}]',)),
        ({"answer": [1, 2]}, ("[1,2]",)),
        ({"answer": 42}, ("42",)),
        ({"answer": 0.5}, ("0.5",)),
        ({"answer": False}, ("false",)),
        ({"answer": ""}, ()),
        ({"answer": []}, ()),
        ({"completion": [BOT]}, ("So.",)),
        ({}, ()),
    ],
)
def test_good_answers_are_known_by_their_column(
    tmp_path: Path, known: dict[str, Any], references: tuple[str, ...]
) -> None:
    assert one(tmp_path, {"prompt": "Who?", **known}).correct_answers == references


def test_everything_else_that_is_known(tmp_path: Path) -> None:
    row = {
        "prompt": "Who?",
        "reference": "Ann",
        "incorrect_answers": ["Bob", "Cleo"],
        "category": "people",
        "source": "a book",
        "family": 7,
    }
    case = one(tmp_path, row)
    assert (case.incorrect_answers, case.category, case.source, case.family) == (
        ("Bob", "Cleo"),
        "people",
        "a book",
        "7",
    )
    pair = {"prompt": "Why?", "chosen": [USER, BOT], "rejected": "Because."}
    case = one(tmp_path, pair)
    assert (case.correct_answers, case.incorrect_answers) == (("So.",), ("Because.",))


def test_a_mapping_wins_over_names(tmp_path: Path) -> None:
    row = {"prompt": "an id", "text": "Who?", "gold": "Ann", "answer": "Bob", "no": "Cleo"}
    case = one(tmp_path, row, prompt="text", references="gold", wrong="no", family="prompt")
    assert (case.prompt, case.correct_answers, case.incorrect_answers, case.family) == (
        "Who?",
        ("Ann",),
        ("Cleo",),
        "an id",
    )
    talk = {"prompt": "x", "talk": [SYSTEM, USER]}
    assert one(tmp_path, talk, messages="talk").prompt == "Be brief.\n\nWhy?"
    # What a mapping says of other files doesn't concern this one.
    assert one(tmp_path, {"prompt": "Who?"}, completion="demo", chosen="good").prompt == "Who?"
    # A column that is given one role has no other.
    assert one(tmp_path, {"q": "Who?", "answer": "a"}, prompt="q", wrong="answer") == Case(
        "Who?",
        (),
        ("a",),
        source=f"{tmp_path / 'cases.jsonl'}:1",
        columns={"q": "Who?", "answer": "a"},
    )


def test_conversations_keep_their_turns(tmp_path: Path) -> None:
    again = {"role": "user", "content": "And then?"}
    case = one(tmp_path, {"messages": [SYSTEM, USER, BOT, again]})
    assert case.messages == (
        ("system", "Be brief."),
        ("user", "Why?"),
        ("assistant", "So."),
        ("user", "And then?"),
    )
    assert case.prompt == "Be brief.\n\nWhy?\n\nSo.\n\nAnd then?"
    shared = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Why?"}]
    shared += [{"from": "gpt", "value": "So."}, {"from": "human", "value": "And then?"}]
    assert one(tmp_path, {"conversations": shared}).messages == case.messages
    blank = [{"role": "system", "content": " "}, USER]
    assert one(tmp_path, {"messages": blank}).messages == ()


def test_a_conversation_in_a_csv_is_json_text(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    text = json.dumps([SYSTEM, USER]).replace('"', '""')
    path.write_text(f'messages\n"{text}"\n', encoding="utf-8")
    [case] = read_cases(str(path), {}, WHERE).cases
    assert case.messages == (("system", "Be brief."), ("user", "Why?"))


def test_conversations_split_by_all_of_their_text(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "system", "content": f"You are {n}."}, USER]} for n in range(40)]
    cases = read(tmp_path, *rows).cases
    assert len({case.id for case in cases}) == len({share(case, "split") for case in cases}) == 40
    train, held_out = split(cases, 0.5)
    assert split(cases[::-1], 0.5) == (train[::-1], held_out[::-1])
    family = [{**row, "family": "one"} for row in rows]
    assert len({share(case, "split") for case in read(tmp_path, *family).cases}) == 1


def test_what_is_asked_again_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"prompt": "Who  is?", "answer": "a"}, {"prompt": " Who is? "}, {"prompt": "b"}]
    file = read(tmp_path, *rows)
    assert file.repeated == 1 and file.record == {"left_out": {REPEATED: 1}}
    assert [case.correct_answers for case in file.cases] == [("a",), ()]


def test_prompts_that_a_coarse_look_takes_for_one_are_two_cases_on_one_side(tmp_path: Path) -> None:
    rows = [{"prompt": prompt, "answer": "a"} for prompt in ("3² + 1", "32 + 1", "mW?", "MW?")]
    file = read(tmp_path, *rows)
    assert file.repeated == 0 and len({case.id for case in file.cases}) == len(file.cases) == 4
    assert len({share(case, "split") for case in file.cases}) == 2
    assert [bool(case.distinction) for case in file.cases] == [False, True, False, True]
    assert [Case.from_json(case.to_json()) for case in file.cases] == list(file.cases)


def test_instructions_with_instances_are_a_case_each(tmp_path: Path) -> None:
    instances = [{"input": "1 and 2", "output": "3"}, {"input": "", "output": "none"}]
    first, second = read(tmp_path, {"instruction": "Add.", "instances": instances}).cases
    assert (first.prompt, first.correct_answers) == ("Add.\n\n1 and 2", ("3",))
    assert (second.prompt, second.correct_answers) == ("Add.", ("none",))
    assert second.source == f"{tmp_path / 'cases.jsonl'}:1 instance 2"
    assert first.columns == {"instruction": "Add.", "input": "1 and 2", "output": "3"}


def test_parquet_with_nested_columns(tmp_path: Path) -> None:
    path = tmp_path / "cases.parquet"
    columns = {"messages": [[SYSTEM, USER], [USER]], "answer": [{"a": 1}, {"a": None}]}
    pa.parquet.write_table(pa.table(columns), path)
    first, second = read_cases(str(path), {}, WHERE).cases
    assert first.messages == (("system", "Be brief."), ("user", "Why?"))
    assert (first.correct_answers, second.correct_answers) == (('{"a":1}',), ('{"a":null}',))
    with pytest.raises(
        InputError, match=r"cases.parquet row 1: answer: an object stands here; give"
    ):
        read_cases(str(path), {"prompt": "answer"}, WHERE)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [USER, BOT]}, "messages: ends with the assistant's turn; a case ends with"),
        ({"messages": [SYSTEM]}, "messages: ends with the system's turn"),
        ({"messages": [{"role": "system", "content": ""}]}, "messages: no turn in it"),
        ({"messages": [SYSTEM, SYSTEM, USER]}, "messages: message 2: a second system turn"),
        ({"messages": [USER, SYSTEM, USER]}, "messages: message 2: a system turn behind another"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "message 1: the role 'tool' is not known",
        ),
        ({"messages": [{"role": [], "content": "x"}]}, "message 1: the role [] is not known"),
        ({"messages": [{"role": "user", "content": None}]}, "message 1: content: null stands here"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages: message 1: empty"),
        ({"messages": ["Why?"]}, "messages: message 1: no role and content"),
        ({"messages": []}, "messages: an empty list"),
        ({"messages": "Why?"}, "messages: a text where messages belong"),
        ({"messages": 7}, "messages: a number where messages belong"),
        ({"prompt": 7}, "prompt: a number stands here; give text, or a list of messages"),
        ({"prompt": {"text": "x"}}, "prompt: an object stands here"),
        ({"prompt": "\ud800"}, "prompt: half of a surrogate pair"),
        ({"prompt": "x", "answer": ["\ud800"]}, "answer: half of a surrogate pair"),
        ({"prompt": "x", "category": ["a"]}, "category: a list stands here; give text"),
        (
            {"prompt": "x", "answer": "A.", "wrong": ["A."]},
            "'A.' is a reference and a wrong answer",
        ),
        ({"id": 1, "note": "x"}, "no prompt; its columns: prompt, id, note"),
        ({"prompt": " "}, "no prompt"),
        ({"instruction": "Add.", "instances": [7]}, "instance 1: instances: a number stands here"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    source = file_of(tmp_path, {"prompt": "What is right?"}, row)
    with pytest.raises(InputError) as caught:
        read_cases(source, {}, WHERE)
    assert str(caught.value).startswith(f"{source}:2")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    source = file_of(tmp_path, {"text": "Who?", "gold": "me"})
    with pytest.raises(InputError) as caught:
        read_cases(source, {"prompt": "text", "references": "golden"}, WHERE)
    assert str(caught.value) == (
        f"{WHERE}: {source}: no column 'golden', which would be the references; "
        "its columns: text, gold"
    )
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(InputError, match=r"task.data.cases: .*none.json: no case in it"):
        read_cases(str(tmp_path / "none.json"), {}, WHERE)
    (tmp_path / "none.csv").write_text("prompt,answer\n")
    with pytest.raises(InputError, match="no case in it"):
        read_cases(str(tmp_path / "none.csv"), {}, WHERE)


def test_published_instructions(shared_data: Path) -> None:
    file = read_cases(str(shared_data / "instructions" / "seed_tasks.jsonl"), {}, WHERE)
    assert (len(file.cases), file.repeated) == (175, 0)
    assert all(len(case.correct_answers) == 1 for case in file.cases)
    with pytest.raises(InputError, match=":1: prompt: an object stands here"):
        read_cases(str(shared_data / "instructions" / "oasst_en_100_tree.jsonl"), {}, WHERE)
    sentences = {"prompt": "sentence", "references": "label"}
    file = read_cases(str(shared_data / "nlp" / "sst5" / "dev.jsonl"), sentences, WHERE)
    assert len(file.cases) + file.repeated == 1101


def test_the_names_that_are_understood_stand_in_the_documentation() -> None:
    section = (DOCS / "data.md").read_text(encoding="utf-8").split("### Columns")[1]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    listed = {
        role: tuple(re.findall(r"`(\w+)`", names)) or (role,)
        for roles, names, _ in rows
        for role in re.findall(r"`(\w+)`", roles)
    }
    inner = ("question", "messages")  # the prompt's names, a part of them each
    assert listed == {role: names for role, names in NAMES.items() if role not in inner}
    assert {*listed, *inner} - {"question"} == set(COLUMN_ROLES)
