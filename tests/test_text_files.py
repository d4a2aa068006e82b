"""The one door for text files: what editors and spreadsheets leave in them, and JSON without bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import truing
from truing.data.case_file import read_cases
from truing.data.conversion.rows import SourceRow, read_rows
from truing.data.labelled_answers import read_labelled_answers
from truing.data.prompt_file import read_prompts
from truing.data.questions import load_questions
from truing.evaluate.recorded import read_answers
from truing.files import DEEPEST, NotJSONError, json_value, numbered_lines, read_json, read_text
from truing.grid.map import load_map
from truing.prompts.variant_file import read_variants
from truing.prompts.variants import prompt_variants
from truing.shift.prompts import read_side
from truing.types import InputError

QUESTION = {"question": "Q {question}?", "correct_answers": ["t"], "incorrect_answers": ["f"]}
ANSWER = {"prompt": "Why?", "answer": "So."}
LABELLED = {"prompt": "Q: a\nA: b\nTrue:", "completion": " yes"}
TABLE = "question,correct_answers,incorrect_answers\nWhy?,t,f\n"


def _lines(*records: object) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def _rows(path: Path) -> list[SourceRow]:
    return read_rows(path, [], [])


READERS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "questions as CSV": ("q.csv", TABLE, load_questions),
    "questions as TSV": ("q.tsv", TABLE.replace(",", "\t"), load_questions),
    "questions as JSON": ("q.json", json.dumps([QUESTION], indent=1), load_questions),
    "questions as JSONL": ("q.jsonl", _lines(QUESTION), load_questions),
    "cases": ("c.jsonl", _lines(ANSWER), lambda path: read_cases(str(path), {}, "w").cases),
    "cases as CSV": ("c.csv", "prompt,answer\na,b\n", lambda path: read_cases(str(path), {}, "w")),
    "prompts as text": ("p.txt", "Why?\nHow?\n", lambda path: read_prompts(path).cases),
    "prompts as JSONL": ("p.jsonl", _lines(ANSWER), lambda path: read_prompts(path).cases),
    "one prompt": ("o.txt", "Q: {question}\nA:", lambda path: prompt_variants([str(path)])),
    "wordings": ("w.txt", "Be brief.\nBe kind.\n", lambda path: read_variants([path])),
    "wordings as JSON": ("w.json", '["Be brief.",\n "Be kind."]', lambda path: read_variants([path])),
    "recorded answers": ("a.jsonl", _lines(ANSWER), lambda path: read_answers(f"answers:{path}").answers),
    "labelled answers": ("l.jsonl", _lines(LABELLED), read_labelled_answers),
    "benchmark's rows": ("b.csv", TABLE, lambda p: [row.values for row in _rows(p)]),
    "benchmark's lines": ("b.jsonl", _lines(ANSWER), lambda p: [row.values for row in _rows(p)]),
    "prompts of a study": ("s.txt", "Why?\nHow?\n", lambda p: [e.text for e in read_side(str(p), [])]),
    "a map": ("m.txt", "#####\n#S.*#\n#####\n", load_map),
    "an object": ("o.json", '{"a":\n 1}', read_json),
    "text": ("t.txt", "a\nb", read_text),
}  # fmt: skip


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_and_line_ends_make_no_difference(
    tmp_path: Path, what: str, ends: str, mark: str
) -> None:
    name, text, read = READERS[what]
    (tmp_path / name).write_bytes(text.encode())
    expected = read(tmp_path / name)
    (tmp_path / name).write_bytes((mark + text.replace("\n", ends)).encode())
    assert read(tmp_path / name) == expected


@pytest.mark.parametrize("what", READERS)
def test_other_encodings_are_named_with_their_line(tmp_path: Path, what: str) -> None:
    name, text, read = READERS[what]
    first, *rest = text.encode().splitlines(keepends=True)
    (tmp_path / name).write_bytes(b"".join([first, b"\xff\n", *rest]))
    if what == "benchmark's lines":
        return  # keeps its good lines, and counts the others
    with pytest.raises(
        InputError, match=rf"{name}:2: not UTF-8 \(byte 0xff\); save the file as UTF-8"
    ):
        read(tmp_path / name)


BOTTOMLESS = {
    "deep lists": "[" * 100_000,
    "lists that close": "[" * 900 + "]" * 900,
    "objects that close": '{"a":' * 900 + "1" + "}" * 900,
    "a huge integer": "9" * 5_000,
    "a large integer": "9" * 400,
    "a huge integer within": json.dumps({"prompt": "x"})[:-1] + ', "n": ' + "9" * 5_000 + "}",
}
OF_JSON = {what: each for what, each in READERS.items() if each[0].endswith((".json", ".jsonl"))}


@pytest.mark.parametrize("what", OF_JSON)
@pytest.mark.parametrize("text", BOTTOMLESS.values(), ids=BOTTOMLESS)
def test_json_without_bounds_is_one_line(tmp_path: Path, what: str, text: str) -> None:
    name, _, read = OF_JSON[what]
    (tmp_path / name).write_text(text)
    if what == "benchmark's lines":
        bad: list[str] = []
        read_rows(tmp_path / name, bad, [])
        assert [line for line in bad if "not valid JSON" in line] == bad and len(bad) == 1
        return
    with pytest.raises(InputError, match=rf"{name}.*not valid JSON") as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_json_within_reason_is_read() -> None:
    deep = "[" * DEEPEST + "]" * DEEPEST
    assert json_value(deep) == json.loads(deep)
    assert json_value("[" + "{}," * 300 + "{}]") == [{}] * 301
    assert json_value("1" * 308) == int("1" * 308)
    with pytest.raises(NotJSONError, match="nested too deeply"):
        json_value(f"[{deep}]")
    with pytest.raises(NotJSONError, match="NaN isn't JSON"):
        json_value("[NaN]")


def test_only_line_breaks_end_a_line() -> None:
    text = "a\u2028b\x0bc\r\n\r\n \rd"
    assert list(numbered_lines(text)) == [(1, "a\u2028b\x0bc"), (4, "d")]


def test_no_reader_of_users_text_goes_around_the_door() -> None:
    source = Path(truing.__file__).parent
    around = re.compile(r"csv\.reader|utf-8-sig|\\ufeff|yaml\.(safe_)?load\(|yaml\.compose\(")
    doors = {"files.py", "data/delimited.py", "spec/yaml_text.py", "grid/map.py"}
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if around.search(path.read_text(encoding="utf-8"))
    }
    assert found <= doors
