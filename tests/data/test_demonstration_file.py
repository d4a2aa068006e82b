"""Demonstrations from a user's table, and tables that hold something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from truing.data.demonstration_file import (
    UNANSWERED,
    UNWANTED,
    UNWEIGHTED,
    DemonstrationFile,
    read_demonstrations,
)
from truing.data.dialogues import Dialogue
from truing.types import InputError

WHERE = "task.data.demonstrations"
USER = {"role": "user", "content": "Why?"}
BOT = {"role": "assistant", "content": "So."}
SYSTEM = {"role": "system", "content": "Be brief."}
TURN = ("user", "Why?")


def file_of(folder: Path, *rows: object) -> str:
    path = folder / "demos.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def read(folder: Path, *rows: object, **columns: str) -> DemonstrationFile:
    return read_demonstrations(file_of(folder, *rows), columns, WHERE)


def pairs(file: DemonstrationFile) -> list[tuple[tuple[tuple[str, str], ...], str]]:
    return [(each.messages, each.answer) for each in file.dialogues]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "completion": " So."},
        {"prompt": [USER], "completion": [BOT]},
        {"prompt": "Why?", "response": "So.", "label": True},
        {"prompt": "Why?", "prompt_id": "x", "messages": [USER, BOT]},
        {"messages": [USER, BOT], "text": "<user>Why?<bot>So."},
        {"messages": [USER], "completion": "So."},
        {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
        {"instruction": "Why?", "input": "", "output": "So.", "text": "Below is"},
        {"question": "Why?", "answer": "So."},
        {"input": "Why?", "target": "So."},
        {"instruction": "Why?", "instances": [{"input": "", "output": "So."}]},
    ],
)
def test_every_form_is_known_by_its_columns(tmp_path: Path, row: dict[str, Any]) -> None:
    assert pairs(read(tmp_path, row)) == [((TURN,), "So.")]


def test_several_turns_and_several_answers(tmp_path: Path) -> None:
    talk = [SYSTEM, USER, BOT, USER, {"role": "assistant", "content": "Still."}]
    [dialogue] = read(tmp_path, {"messages": talk, "user": "u1", "seconds": 4}).dialogues
    assert dialogue == Dialogue(
        (("system", "Be brief."), TURN, ("assistant", "So."), TURN),
        "Still.",
        user="u1",
        seconds=4.0,
        source=f"{tmp_path / 'demos.jsonl'}:1",
    )
    both = read(tmp_path, {"question": "Why?", "correct_answers": ["So.", "Thus."]})
    assert pairs(both) == [((TURN,), "So."), ((TURN,), "Thus.")]
    structured = read(tmp_path, {"prompt": "Why?", "output": {"a": None}})
    assert pairs(structured) == [((TURN,), '{"a":null}')]


def test_a_mapping_wins_and_cases_columns_need_not_be_there(tmp_path: Path) -> None:
    row = {"prompt": "id 7", "ask": "Why?", "said": "So.", "completion": "x"}
    assert pairs(read(tmp_path, row, prompt="ask", completion="said")) == [((TURN,), "So.")]
    usual = {"prompt": "Why?", "completion": "So."}
    assert pairs(read(tmp_path, usual, prompt="text", references="gold")) == [((TURN,), "So.")]
    assert pairs(read(tmp_path, {"text": "Why?", "sol": "So."}, prompt="text", references="sol"))
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"a": "Why?", "completion": "So."}, prompt="text")
    assert str(caught.value).endswith(
        "no column 'text', which would be the prompt, or one that is usually called that (prompt); "
        "its columns: a, completion"
    )


def test_what_people_did_not_want_is_left_out_and_counted(tmp_path: Path) -> None:
    liked = {"prompt": "Why?", "completion": "So.", "label": True}
    light = {"messages": [USER, {**BOT, "weight": 0}]}
    file = read(
        tmp_path,
        liked,
        {**liked, "label": False},
        {**liked, "label": False},
        light,
        {**liked, "weight": 0},
        {**liked, "completion": ""},
        {"messages": [USER, {**BOT, "content": ""}]},
        {"messages": [USER, {**BOT, "weight": 0}, USER, {**BOT, "weight": 1}]},
    )
    assert file.left_out == {UNWANTED: 2, UNWEIGHTED: 2, UNANSWERED: 2}
    assert [each.source[-2:] for each in file.dialogues] == [":1", ":8"]
    path = tmp_path / "kto.csv"
    path.write_text("prompt,completion,label\nWhy?,So.,True\nWhy?,Never.,False\n")
    file = read_demonstrations(str(path), {}, WHERE)
    assert (pairs(file), file.left_out) == ([((TURN,), "So.")], {UNWANTED: 1})
    classes = tmp_path / "classes.csv"
    classes.write_text("prompt,completion,label\nWhy?,So.,other\nWhy?,Never.,False\n")
    assert read_demonstrations(str(classes), {}, WHERE).left_out == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Why?", "chosen": "So.", "rejected": "No."}, "holds pairs of answers"),
        ({"chosen": "Human: a", "rejected": "Human: b"}, "name it as preferences"),
        ({"prompt": "Why?", "completion": "So.", "rating": 2}, "holds rated or ranked answers"),
        ({"prompt": "Why?", "completions": ["a", "b"]}, "(completions), not demonstrations"),
        (
            {"prompt": "Why?", "completion": "So.", "ratings": 1},
            "ratings: unknown column; did you mean 'rating'",
        ),
        ({"prompt": "Why?", "completion": "So.", "Labels": False}, "did you mean 'label'"),
        ({"prompt": "Why?"}, ":1: no answer to imitate; its columns: prompt"),
        ({"text": "Once upon a time"}, ":1: no answer to imitate"),
        ({"messages": [USER]}, ":1: messages: doesn't end with the assistant's turn"),
        ({"completion": "So."}, ":1: no prompt"),
        ({"messages": [BOT]}, ":1: messages: no user's turn before the answer"),
        ({"prompt": [USER, BOT], "completion": "So."}, ":1: prompt: no user's turn before"),
        ({"messages": [SYSTEM, SYSTEM, USER, BOT]}, "message 2: a second system turn"),
        ({"prompt": "Why?", "completion": [USER]}, "completion: doesn't end with the assistant's"),
        ({"prompt": "Why?", "completion": "So.", "label": False}, "1 rows marked unwanted"),
    ],
)
def test_another_form_than_they_say_is_refused(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, row)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "demos.jsonl" in str(caught.value)


def test_an_answer_that_is_named_is_imitated_whatever_stands_beside_it(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
    assert pairs(read(tmp_path, row, completion="chosen")) == [((TURN,), "So.")]


def test_parquet_with_conversations(tmp_path: Path) -> None:
    path = tmp_path / "demos.parquet"
    pa.parquet.write_table(pa.table({"messages": [[USER, BOT], [SYSTEM, USER, BOT]]}), path)
    first, second = read_demonstrations(str(path), {}, WHERE).dialogues
    assert (first.messages, first.answer) == ((TURN,), "So.")
    assert second.messages == (("system", "Be brief."), TURN)


def test_published_instructions(shared_data: Path) -> None:
    seeds = shared_data / "instructions" / "seed_tasks.jsonl"
    file = read_demonstrations(str(seeds), {}, WHERE)
    assert (len(file.dialogues), file.left_out) == (175, {})
    with pytest.raises(InputError, match="holds pairs of answers"):
        pairs_file = shared_data / "hh_rlhf" / "harmless-base_test.jsonl.gz"
        read_demonstrations(str(pairs_file), {}, WHERE)


def test_a_key_that_stands_twice_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    path.write_text('{"prompt": "Why?", "completion": "So.", "completion": "No."}\n')
    with pytest.raises(InputError, match=r"twice\.jsonl:1.*the key 'completion' stands twice"):
        read_demonstrations(str(path), {}, WHERE)
