"""Items of oversight from each form of file, and what is wrong with a file in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from truing.data.oversight import read_items
from truing.data.oversight.items import ALIKE, NO_ANSWER, NO_DISTRACTOR, ORDER, REFERS, TWICE
from truing.types import InputError

ITEM = {
    "question": "Who built the mill?",
    "options": ["Ada Brook", "Tom Hale"],
    "answer": "Ada Brook",
    "passage": "Ada Brook built the mill. Tom Hale ran it.",
}


def written(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_own_items_and_back(tmp_path: Path) -> None:
    read = read_items(written(tmp_path / "items.jsonl", ITEM, ITEM))
    (item,) = read.items
    assert (item.answer, item.distractors) == ("Ada Brook", ("Tom Hale",))
    assert read.unscored == {TWICE: 1}
    assert read_items(written(tmp_path / "again.jsonl", item.to_json())).items == read.items


@pytest.mark.parametrize(
    "words", ["All of the above", "none of these", "A and B", "A, B and C only", "Both A and B."]
)
def test_an_option_about_other_options_is_in_no_pair(tmp_path: Path, words: str) -> None:
    three = {**ITEM, "options": ["Ada Brook", "Tom Hale", words]}
    two = {**ITEM, "options": ["Ada Brook", words]}
    read = read_items(written(tmp_path / "items.jsonl", three, two, {**three, "answer": words}))
    (item,) = read.items
    assert item.distractors == ("Tom Hale",)
    assert read.unscored == {REFERS: 2}


@pytest.mark.parametrize("other", ["ada brook", "ADA BROOK", "Ａda Brook", "Ada Bro\u200bok"])
def test_options_that_look_alike_are_left_out(tmp_path: Path, other: str) -> None:
    alike = {**ITEM, "options": ["Ada Brook", other, "Tom Hale"]}
    if other == "Ada Bro\u200bok":  # looks just the same, and is refused as such
        with pytest.raises(InputError, match="fewer than two that differ"):
            read_items(written(tmp_path / "items.jsonl", ITEM, alike))
        return
    read = read_items(written(tmp_path / "items.jsonl", ITEM, alike))
    assert len(read.items) == 1 and read.unscored == {ALIKE: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"question": "Which of the above statements holds?"},
        {"question": "Who built it: the former or the latter?"},
        {"options": ["A. Ada Brook", "B. Tom Hale"], "answer": "A. Ada Brook"},
    ],
)
def test_a_question_about_order_or_letters_is_left_out(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    below = {**ITEM, "question": "Which of the statements below holds?"}
    read = read_items(written(tmp_path / "items.jsonl", below, {**ITEM, **change}))
    assert len(read.items) == 1 and read.unscored == {ORDER: 1}


def test_names_are_no_words_about_options(tmp_path: Path) -> None:
    asked = {**ITEM, "options": ["Ada Brook", "All the King's Men", "Vitamins A and B", "None"]}
    assert len(read_items(written(tmp_path / "items.jsonl", asked)).items[0].distractors) == 3


def test_squad_takes_other_answers_of_the_passage(tmp_path: Path) -> None:
    text = "Ada Brook built the mill in 1802. Tom Hale ran it."

    def asked(question: str, answer: str | None) -> dict[str, Any]:
        answers = [{"text": answer, "answer_start": 0}] if answer else []
        return {"question": question, "answers": answers, "is_impossible": not answer, "id": "q"}

    several = [asked("Who built it?", "Ada Brook"), asked("Who built?", "Ada")]
    several += [asked("When?", "1802"), asked("Who sold it?", None)]
    alone = {"context": "Rain fell in June.", "qas": [asked("When?", "June")]}
    article = {"title": "Mills", "paragraphs": [{"context": text, "qas": several}, alone]}
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [article]}))
    read = read_items(path)
    assert [(i.answer, i.distractors) for i in read.items] == [
        ("Ada Brook", ("1802",)),  # "Ada" lies in the right one
        ("Ada", ("1802",)),
        ("1802", ("Ada Brook", "Ada")),
    ]
    assert read.unscored == {NO_ANSWER: 1, NO_DISTRACTOR: 1}
    assert len({item.passage_id for item in read.items}) == 1


def test_mmlu_has_no_passages(tmp_path: Path) -> None:
    path = tmp_path / "sums_test.csv"
    path.write_text("2 + 2?,3,4,5,6,B\n2 + 3?,5,4,7,6,A\n")
    read = read_items(path)
    assert [(i.answer, i.distractors, i.passage) for i in read.items] == [
        ("4", ("3", "5", "6"), ""),
        ("5", ("4", "7", "6"), ""),
    ]
    assert len({item.passage_id for item in read.items}) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answer": "Eve"}, ":1: answer: 'Eve' is no option"),
        ({"options": ["Ada Brook"]}, ":1: options: fewer than two"),
        ({"options": ["Ada Brook", "Ada  Brook"]}, ":1: options: fewer than two"),
        ({"options": "Ada"}, ":1: options: not a list"),
        ({"question": " "}, ":1: question: not a text"),
        ({"passage": 3}, ":1: passage: not a text"),
        ({"pasage": "x"}, ":1: pasage: unknown key"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    record = {**ITEM, **change}
    if "pasage" in change:
        del record["passage"]
    with pytest.raises(InputError) as raised:
        read_items(written(tmp_path / "items.jsonl", record))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
