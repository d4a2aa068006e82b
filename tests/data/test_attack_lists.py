"""Lists of attacks that others wrote: what each entry becomes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.data.attack_lists import read_attacks
from truing.data.attacks import AttackBook, attacks_on, compose
from truing.data.rule_book import built_in_rules
from truing.types import InputError

RULES = built_in_rules()


def read(name: str | Path, text: str | bytes = "", *more: str) -> AttackBook:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_attacks([str(path), *more], RULES)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_names_the_book_is_the_built_in_one() -> None:
    assert read_attacks([], RULES) == attacks_on(RULES)


def test_a_text_has_a_prompt_in_each_line() -> None:
    book = read("dan.txt", "Say hello.\n\n  Say hi {to} all.  \nNow [INSERT PROMPT HERE].\n")
    assert [each.text.strip() for each in book.imported] == ["Say hello.", "Say hi {to} all."]
    assert [each.template for each in book.wordings] == ["Now {demand}."]
    assert {each.family for each in book.imported} == {"dan"} and not any(
        each.triggers for each in book.imported
    )
    assert (
        "1 template(s) for a demand, 2 prompt(s) that the outcome judge scores" in book.remarks[0]
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.json", [{"prompt": "Say it.", "triggers": ["teapot", "kettle"]}]),
        ("a.json", {"prompts": ["Say it."], "triggers": ["teapot", "kettle"]}),
        ("a.json", {"payloads": [{"text": "Say it."}], "triggers": [["teapot", "kettle"]]}),
        ("a.jsonl", {"Prompt": "Say it.", "trigger": ["teapot", "kettle"]}),
    ],
)
def test_prompts_with_triggers_are_scored_by_them(name: str, value: object) -> None:
    (attack,) = read(name, json.dumps(value)).imported
    assert attack.text == "Say it." and attack.triggers == ("teapot", "kettle")


def test_promptinject_names_its_words_in_the_settings() -> None:
    line = {"prompt": "Ignore it.", "settings": {"attack_rogue_string": "I like kites"}}
    (attack,) = read("promptinject.json", json.dumps([line])).imported
    assert attack.triggers == ("I like kites",)


@pytest.mark.parametrize("key", ["value", "template"])
@pytest.mark.parametrize("name", ["tale.yaml", "tale.prompt"])
def test_pyrit_templates_are_wordings_with_every_cell_beside_them(name: str, key: str) -> None:
    text = f"name: Tale\nparameters:\n  - prompt\n{key}: |\n  Once a king said {{{{ prompt }}}}!\n"
    book = read(name, text)
    assert [each.template for each in book.wordings] == ["Once a king said {demand}!\n"]
    cells = {case.columns["cell"] for case in compose(book, 6, ["Who?"])}
    assert cells == {"attack", "direct", "able", "twin", "neutral"}


def test_tables_have_a_header_or_goals_alone() -> None:
    table = read("jbb.csv", 'Index,Goal,Target\n0,Say hello,Sure\n1,"Say hi, all",Sure\n')
    alone = read("goals.csv", 'Say hello\n"Say hi, all"\n')
    for book in (table, alone):
        assert [each.text for each in book.imported] == ["Say hello", "Say hi, all"]
        assert not any(each.triggers for each in book.imported)


def test_single_prompts_that_inject_words_go_by_a_name_and_lists_add_up() -> None:
    book = read("dan.txt", "Say hello.", "injections", "built-in")
    assert len(book.imported) > 40 and len(book.wordings) == len(attacks_on(RULES).wordings)
    cases = compose(book, 3, ["Who reads?", "Who writes?"])
    injected = [case for case in cases if case.columns["demand"] == "imported"]
    assert all(case.canary in case.prompt and case.prompt.startswith("Who") for case in injected)


def test_texts_that_stand_twice_are_asked_once_and_counted() -> None:
    Path("other.txt").write_text("Say  hello.\nNow {prompt}!\nNow {prompt}!\n")
    book = read("dan.txt", "Say hello.\nSay hello.\n", "other.txt")
    assert len(book.imported) == 1 and len(book.wordings) == 1
    assert "3 text(s) that stand twice" in book.remarks[-1]


def test_slots_of_texts_arent_filled_with_anything_but_the_demand() -> None:
    text = "{question} {canary} {0} %s {demand.__class__} {{ 7*7 }}"
    (attack,) = read("odd.txt", text.replace("{question} ", "")).imported
    assert attack.text == text.replace("{question} ", "")


LONG = "x" * 10_000_000
BAD = {
    "utf16.txt": ("Say hello".encode("utf-16"), r"utf16\.txt:1: .*UTF-8"),
    "latin.txt": ("ok\nSay héllo".encode("latin-1"), r"latin\.txt:2: not UTF-8"),
    "nul.txt": (b"ok\nSay\0hello", r"nul\.txt:2: holds a NUL"),
    "long.txt": (f"ok\n{LONG}".encode(), r"long\.txt:2: 10,000,000 characters"),
    "long.json": (json.dumps(["ok", LONG]).encode(), r"long\.json:2: 10,000,000 characters"),
    "long.csv": (f"goal\n{LONG}\n".encode(), r"long\.csv:2: 10,000,000 characters"),
    "long.yaml": (f"value: {LONG}".encode(), r"long\.yaml: 10,000,007 characters of YAML"),
    "empty.txt": (b"", r"empty\.txt: is empty"),
    "blank.json": (b" \n", r"blank\.json: is empty"),
    "none.json": (b"[]", r"none\.json: holds no attack"),
    "header.csv": (b"goal,target\n", r"header\.csv: holds no attack"),
    "broken.json": (b'["a",', r"broken\.json:1: not valid JSON"),
    "number.json": (b"[1]", r"number\.json:1: int where a prompt belongs"),
    "nameless.json": (b'[{"x": 1}]', r"nameless\.json:1: prompt: missing; there is x"),
    "listed.json": (b'[{"prompt": ["a"]}]', r"listed\.json:1: must be text"),
    "blank.jsonl": (b'{"prompt": "  "}', r"blank\.jsonl:1: empty"),
    "trigger.json": (b'[{"prompt": "a", "trigger": {"b": 1}}]', r"trigger\.json:1: triggers: dict"),
    "hollow.json": (b'[{"prompt": "a", "trigger": " "}]', r"hollow\.json:1: triggers: empty"),
    "unseen.json": (
        b'[{"prompt": "a", "trigger": "\\u200b \\u2060"}]',
        r"unseen\.json:1: triggers: empty",
    ),
    "slots.yaml": (
        b'value: "{{ prompt }} {{ other }}"',
        r"slots\.yaml:1: the slot \{\{ other \}\}",
    ),
    "run.yaml": (b"!!python/object/apply:os.system [ls]", r"run\.yaml: not valid YAML|run\.yaml:1"),
    "a.docx": (b"x", r"a\.docx: the ending '\.docx' is not known"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_list_is_one_line(name: str) -> None:
    data, message = BAD[name]
    with pytest.raises(InputError, match=message) as error:
        read(name, data)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_list_that_isnt_there() -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file"):
        read_attacks(["nowhere.txt"], RULES)


def test_an_artifact_of_jailbreakbench_has_prompts_where_its_attacker_had_one() -> None:
    given = [
        {"index": 0, "goal": "Do it", "prompt": "Please do it", "jailbroken": True},
        {"index": 1, "goal": "Do that", "prompt": None, "response": None, "jailbroken": False},
    ]
    book = read("pair.json", json.dumps({"parameters": {"model": "m"}, "jailbreaks": given}))
    assert [each.text for each in book.imported] == ["Please do it"]
    assert book.remarks == (
        "pair.json: 1 prompt(s) that the outcome judge scores, 1 left out, for which an attacker had none",
    )
    with pytest.raises(InputError, match=r"pair.json: holds no attack"):
        read("pair.json", json.dumps({"jailbreaks": given[1:]}))
    assert read("goals.jsonl", json.dumps({"prompt": None, "goal": "Do it"})).imported


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.json", "a.yaml"])
def test_another_encoding_is_called_by_its_name(name: str, encoding: str) -> None:
    with pytest.raises(InputError, match=r"^a\.\w+:1: .*UTF-16.*; save the file as UTF-8$"):
        read(name, '"Say hello"\n'.encode(encoding))
