"""Benchmarks as instructions: templates, reading answers back, drawing, and what is refused."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from truing.cli.main import app
from truing.data.conversion import Converted, Settings, Task, built_in, convert
from truing.data.conversion.slots import parse_slots
from truing.files import read_jsonl
from truing.people import open_store
from truing.people.exchange import import_files
from truing.types import InputError

TASK = """
task: fruit
columns:
  text: [text, description]
label: kind
group: text
splits: {train: 0.5, test: 0.5}
licence: ours
templates:
  - name: ask
    prompt: |
      {text}
      Which fruit is it?
    answers: {a: An apple., b: A pear.}
  - name: box
    prompt: "{text} Goes into box"
    answers: {a: one, b: two}
"""


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def task(folder: Path, text: str = TASK) -> Task:
    path = folder / "task.yaml"
    path.write_text(text, encoding="utf-8")
    return Task.read(str(path))


def fruit(folder: Path, sizes: tuple[int, int] = (30, 10)) -> Path:
    rows = [
        {"text": f"{k} no. {i}", "kind": k}
        for k, n in zip("ab", sizes, strict=True)
        for i in range(n)
    ]
    return write(folder / "fruit.jsonl", *rows)


def by(done: Converted, *keys: str) -> Counter[Any]:
    return Counter(tuple(record[key] for key in keys) for record in done.records)


def test_rows_become_prompts_and_answers(tmp_path: Path) -> None:
    done = convert([fruit(tmp_path, (1, 0))], task(tmp_path), Settings(form="prompt-completion"))
    (record,) = done.records
    asked = {"ask": "a no. 0\nWhich fruit is it?", "box": "a no. 0 Goes into box"}
    assert record["prompt"] == asked[record["template"]]
    assert record["completion"] == {"ask": "An apple.", "box": "one"}[record["template"]]
    assert record["row"] == "fruit.jsonl:1" and record["label"] == "a"
    assert record["source"] == "fruit.jsonl" and record["licence"] == "ours"
    assert done.unseen_labels == ("b",)


def test_the_same_seed_gives_the_same_bytes_and_the_order_of_rows_moves_nothing(
    tmp_path: Path,
) -> None:
    path, made = fruit(tmp_path), task(tmp_path)
    first = convert([path], made, Settings(limit=12)).records
    assert convert([path], made, Settings(limit=12)).records == first
    assert convert([path], made, Settings(limit=12, seed=1)).records != first
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))), encoding="utf-8")
    turned = convert([path], made, Settings(limit=12)).records

    def said(records: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps({**record, "row": ""}) for record in records)

    assert said(turned) == said(first)


def test_labels_and_templates_are_spread_evenly(tmp_path: Path) -> None:
    path, made = fruit(tmp_path), task(tmp_path)
    every = convert([path], made, Settings())
    assert len(every.records) == 40
    assert by(every, "label", "template") == {
        ("a", "ask"): 15, ("a", "box"): 15, ("b", "ask"): 5, ("b", "box"): 5
    }  # fmt: skip
    assert by(convert([path], made, Settings(balance=True)), "label") == {("a",): 10, ("b",): 10}
    assert by(convert([path], made, Settings(limit=30)), "label") == {("a",): 20, ("b",): 10}
    assert by(convert([path], made, Settings(limit=7)), "label") == {("a",): 4, ("b",): 3}
    assert len(convert([path], made, Settings(all_templates=True)).records) == 80


def test_splits_go_by_group_whatever_the_seed(tmp_path: Path) -> None:
    text = TASK.replace("text: [text, description]", "text: text\n  page: page").replace(
        "group: text", "group: page"
    )
    rows = [{"text": f"t{i}", "page": f"p{i // 4}", "kind": "ab"[i % 2]} for i in range(80)]
    path, made = write(tmp_path / "pages.jsonl", *rows), task(tmp_path, text)
    done = convert([path], made, Settings())
    assert all(n == 4 for n in by(done, "group").values())
    assert len(by(done, "group", "split")) == len(by(done, "group", "template")) == 20
    test = convert([path], made, Settings(split="test", seed=5))
    split_of = {r["row"]: r["split"] for r in done.records}
    assert 0 < len(test.records) < 80
    assert {r["row"] for r in test.records} == {row for row in split_of if split_of[row] == "test"}
    with pytest.raises(InputError, match="no 'dev'; the task's splits are train, test"):
        convert([path], made, Settings(split="dev"))


def test_repeated_rows_are_folded_and_counted(tmp_path: Path) -> None:
    row = {"text": "red", "kind": "a"}
    done = convert([write(tmp_path / "r.jsonl", row, row)], task(tmp_path), Settings())
    assert len(done.records) == 1 and done.repeated == 1 and done.rows == 2


def test_csv_and_tsv_are_read_as_jsonl_is(tmp_path: Path) -> None:
    rows = [
        ["id", "description", "kind"],
        ["1", 'round, "red"\nand sweet', "a"],
        ["2", "long", "b"],
    ]
    with open(tmp_path / "f.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    done = convert([tmp_path / "f.csv"], task(tmp_path), Settings(form="prompt-completion"))
    assert 'round, "red"\nand sweet' in done.records[0]["prompt"]
    assert [record["row"] for record in done.records] == ["f.csv:2", "f.csv:4"]
    (tmp_path / "f.tsv").write_text('text\tkind\nsaid "so\ta\n', encoding="utf-8")
    assert 'said "so' in str(convert([tmp_path / "f.tsv"], task(tmp_path), Settings()).records)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("{text} Goes", "{txt} Goes", 15, "no slot {txt}; the slots are text, label"),
        ("{text} Goes", "It goes", 15, "has no slot"),
        ("{text} Goes", "{text Goes", 15, "single brace"),
        ("{text} Goes", "{text.upper} Goes", 15, "is no slot"),
        ("{text} Goes", "{text!r} Goes", 15, "is no slot"),
        ("{text} Goes", "{text} {label} goes", 15, "gives the label away"),
        ("b: two", "b: ONE.", 16, "ambiguous: 'a' and 'b' are both written"),
        ("b: two", 'b: ""', 16, "empty"),
        ("b: two", 'b: "{text}{label}"', 16, "two slots with nothing between them"),
        ("name: box", "name: ask", 14, "stands twice"),
        ("licence: ours", "license: ours", 7, "the keys here are task, columns"),
        ("test: 0.5", "test: 0.6", 6, "add up to 1.1"),
        ("group: text", "group: page", 5, "no slot 'page'; the slots are text"),
        ("label: kind", "", 1, "the task has no label"),
        ("kind", "{", 5, "not valid YAML"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_template_file_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        task(tmp_path, TASK.lstrip().replace(old, new))
    assert said in str(caught.value)
    assert "task.yaml" in str(caught.value)
    if "YAML" not in said and "no label" not in said:
        assert f"task.yaml:{line}: " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b'{"text": "t", "kind": "a"}\n{"text": \n', "x.jsonl:2: not valid JSON"),
        ("x.jsonl", b'{"text": "t", "kind": "a"}\n[1]\n', "x.jsonl:2: each line is a JSON object"),
        ("x.jsonl", b'{"text": "\xff", "kind": "a"}\n', "x.jsonl:1: not valid UTF-8"),
        ("x.jsonl", b'{"text": "t", "kind": "c"}\n', "unknown label 'c'; the task's labels are a, b"),
        ("x.jsonl", b'{"txt": "t", "kind": "a"}\n', "(text or description); the columns are txt, kind"),
        ("x.jsonl", b'{"text": ["t"], "kind": "a"}\n', "x.jsonl:1: text: holds a list"),
        ("x.jsonl", b'{"text": "", "kind": "a"}\n', "{text} is empty"),
        ("x.jsonl", b" \n", "the file is empty"),
        ("x.csv", b"text,kind\nt\n", "x.csv:2: 1 cells where the header has 2"),
        ("x.csv", b'text,kind\n"t,a\n', "x.csv:2: not valid CSV"),
        ("x.csv", b"text,text\nt,a\n", "x.csv:1: text: this column stands twice"),
        ("x.csv", b"text,kind\n\xff,a\n", "x.csv:2: not UTF-8"),
        ("x.csv", b"text,kind\n", "no row in it"),
        ("x.json", b"{", "x.json:1: not valid JSON"),
        ("x.json", b"{}", "must hold a list of objects"),
        ("x.json", b'{"data": [{"paragraphs": 3}]}', "data[0]: must be an object with a list 'paragraphs'"),
        ("x.txt", b"t", "the ending '.txt' is not known"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_named_with_its_place(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        convert([tmp_path / name], task(tmp_path), Settings())
    assert said in str(caught.value)


def test_good_lines_are_kept_only_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", {"text": "t", "kind": "a"}, {"text": "u", "kind": "z"})
    with pytest.raises(InputError, match=r"x\.jsonl:2.*nothing was written.*--keep-good-lines"):
        convert([path], task(tmp_path), Settings())
    done = convert([path], task(tmp_path), Settings(keep_good_lines=True))
    assert len(done.records) == 1 and "unknown label 'z'" in done.bad_lines[0]


def test_a_completion_that_could_mean_two_things_is_refused(tmp_path: Path) -> None:
    text = """
task: t
columns: {text: text, answer: answer}
label: known
templates:
  - {name: n, prompt: "{text}?", answers: {"yes": "{answer}", "no": Nobody knows.}}
"""
    made = task(tmp_path, text)
    rows = [
        {"text": "q", "answer": "blue", "known": "yes"},
        {"text": "r", "answer": "", "known": "no"},
    ]
    done = convert([write(tmp_path / "x.jsonl", *rows)], made, Settings(form="prompt-completion"))
    assert [record["completion"] for record in done.records] == ["blue", "Nobody knows."]
    clash = {"text": "q", "answer": "nobody knows", "known": "yes"}
    with pytest.raises(
        InputError, match="ambiguous: the completion 'nobody knows' reads back as 'no'"
    ):
        convert([write(tmp_path / "y.jsonl", clash)], made, Settings())


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    st.dictionaries(st.sampled_from("abc"), texts, min_size=3, max_size=3),
    st.lists(texts, min_size=4, max_size=4),
)
def test_what_fills_slots_is_read_back_or_known_to_be_uncertain(
    values: dict[str, str], fixed: list[str]
) -> None:
    """Oracle: every way to cut the text at the fixed pieces."""
    escaped = [piece.replace("{", "{{").replace("}", "}}") for piece in fixed]
    text = parse_slots(f"{escaped[0]}{{a}}{escaped[1]}{{b}}{escaped[2]}{{a}}{escaped[3]}")
    filled = text.fill(values)
    assert (
        filled
        == fixed[0] + values["a"] + fixed[1] + values["b"] + fixed[2] + values["a"] + fixed[3]
    )
    middle = filled[len(fixed[0]) : len(filled) - len(fixed[3])]
    ways = []
    for end in range(1, len(middle)):
        a = middle[:end]
        rest = middle[end:]
        if rest.startswith(fixed[1]) and rest.endswith(fixed[2] + a):
            b = rest[len(fixed[1]) : len(rest) - len(fixed[2] + a)]
            if b and len(fixed[1]) + len(b) + len(fixed[2] + a) == len(rest):
                ways.append({"a": a, "b": b})
    readings = text.readings(filled)
    assert {"a": values["a"], "b": values["b"]} in ways
    assert all(reading in ways for reading in readings)
    assert (len(readings) == 1) == (len(ways) == 1)


@given(
    st.binary(max_size=60), st.sampled_from(["x.jsonl", "x.csv", "x.tsv", "x.json", "x.json.gz"])
)
def test_any_bytes_are_read_or_refused_with_one_message(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        convert([folder / name], task(folder), Settings())
    assert name in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "paragraphs", "qas", "question", "context", "answers", "text", "kind"]
            ),
            below,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_converted_or_refused_with_one_message(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "json"
    folder.mkdir(exist_ok=True)
    (folder / "x.json").write_text(
        json.dumps({"data": [value]} if isinstance(value, dict) else value)
    )
    for name in ("qa", None):
        chosen = Task.read(name) if name else task(folder)
        try:
            done = convert([folder / "x.json"], chosen, Settings(keep_good_lines=True))
        except InputError as error:
            assert "x.json" in str(error)
        else:
            assert done.records


def test_every_built_in_template_says_what_it_expects() -> None:
    assert built_in() == ["nli", "qa", "sentiment"]
    for name in built_in():
        made = Task.read(name)
        assert len(made.templates) >= 5 and made.use_case
        for template in made.templates:
            plain = [a for a in template.answers.values() if "{" not in a]
            prompt = " ".join(template.prompt.casefold().split())
            if name == "nli" or (name == "qa" and len(template.answers) > 1):
                stems = [answer.casefold().rstrip(".").split()[-1][:5] for answer in plain]
                assert all(stem in prompt for stem in stems), template.name


def test_public_benchmarks_come_through_whole(shared_data: Path, tmp_path: Path) -> None:
    nlp = shared_data / "nlp"
    rows = {
        ("nli", "rte/dev.jsonl"): 277,
        ("nli", "cb/train.jsonl"): 250,
        ("qa", "squad_xquad/xquad.en.json"): 1190,
        ("sentiment", "sst5/dev.jsonl"): 1101,
    }
    for (name, file), count in rows.items():
        done = convert([nlp / file], Task.read(name), Settings())
        assert done.rows == count and len(done.records) == count - done.repeated
        assert len(done.counts()) == len(Task.read(name).templates) - len(done.unused_templates)
        out = tmp_path / f"{name}.jsonl"
        out.write_text("".join(json.dumps(r) + "\n" for r in done.records[:60]), encoding="utf-8")
        store = open_store(str(tmp_path / f"{name}-{count}.db"))
        added = import_files(store, [out]).added
        store.close()
        assert added["prompts"] == added["judgements"] == 60


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="truing")


def test_the_command(tmp_path: Path) -> None:
    path, out = fruit(tmp_path), tmp_path / "out.jsonl"
    (tmp_path / "task.yaml").write_text(TASK, encoding="utf-8")
    words = ["data", "convert", path, "--task", tmp_path / "task.yaml", "--out", out]
    done = run(*words, "--balance", "--json")
    document = json.loads(done.stdout)
    assert document["demonstrations"] == 20 == len(read_jsonl(out)) and document["rows"] == 40
    assert document["by_template_and_label"]["ask"] == {"a": 5, "b": 5}
    shown = run(*words)
    assert "ask" in shown.stdout and "40 demonstrations" in shown.stdout and shown.exit_code == 0
    before = out.read_bytes()
    fruit(tmp_path).open("a").write("{\n")
    failed = run(*words)
    assert failed.exit_code == 2 and "fruit.jsonl:41: not valid JSON" in failed.stderr
    assert failed.stdout == "" and out.read_bytes() == before
    assert (
        "no 'cooking'; give nli, qa, sentiment"
        in run(*words[:3], "--task", "cooking", "--out", out).stderr
    )
    assert run("data", "convert", path, "--task", tmp_path / "no.yaml", "--out", out).exit_code == 2
    (tmp_path / "folder").mkdir()
    assert "a folder is there" in run(*words[:-1], tmp_path / "folder", "--keep-good-lines").stderr
