"""Rules in a task file: what they become, what is refused, and that old files still read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from commands import run
from paths import DOCS
from truing.data.rule_book import BY_CONTEXT, built_in_rules
from truing.rewards.reward import Answered
from truing.spec.reading import make_spec
from truing.tasks.rule_items import ENTRIES
from truing.tasks.task import Task, task_of
from truing.types import InputError

ITEMS = [
    {"request": "Name a colour.", "text": "Red is a warm colour.", "carry": ["red"], "bad": "Red."},
    {"request": "Name a fruit.", "text": "A cherry is red.", "carry": ["red"], "good": "A plum."},
]
RULE: dict[str, Any] = {
    "id": "no_red",
    "says": "Never say red.",
    "check": {"words": ["red"]},
    "expects": {"ask": "keep", "correct": "carry"},
    "items": ITEMS,
}
BLANKS = ("  ", "!!!", "a\nb")
REVERSED = {"rule": "no_red", "contexts": ["correct", "ask"]}
PAIRS = [{"rule": "no_red", "contexts": ["ask", "correct"]}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cases = [{"prompt": f"Say {n}.", "references": [str(n)]} for n in range(30)]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)))
    (tmp_path / "checks.py").write_text(
        "def short(answer):\n    return len(answer) < 40\n"
        "def always(answer):\n    return True\n"
        "def never(answer):\n    return False\n"
        "def raises(answer):\n    return 1 / 0\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(*rules: dict[str, Any], **keys: Any) -> str:
    task = {
        "name": "mine",
        "instruction": "Be brief.",
        "data": {"cases": "cases.jsonl"},
        "judges": {"same": {"program": "exact"}},
        "rules": list(rules),
        **keys,
    }
    Path("task.yaml").write_text(yaml.safe_dump(task, sort_keys=False))
    return "task.yaml"


def task(*rules: dict[str, Any], **keys: Any) -> Task:
    return task_of(make_spec({"task": written(*rules, **keys)}))


def refused(result: Result) -> str:
    """The one line that says what is wrong, behind what ran."""
    assert result.exit_code == 2 and result.stdout == "", result.output
    *before, last = result.stderr.splitlines()
    assert last.startswith("Error: ") and all(line.startswith("Running ") for line in before)
    return last


def listed(*rules: dict[str, Any], **keys: Any) -> dict[str, Any]:
    done = run("tasks", written(*rules, **keys), "--json")
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_rule_becomes_cases_with_its_check(folder: Path) -> None:
    mine = task(RULE, pairs=PAIRS)
    assert len(mine.rules.cases()) == 4 and len(mine.rules.pairs) == 2
    case = mine.rules.cases()[0]
    assert (case.prompt, case.system) == ("Name a colour.", "Never say red.")
    grade = mine.rule_checks["no_red"]
    assert [grade(Answered(case, text)) for text in ("Red!", "Blue.")] == [0.0, 1.0]


def test_rules_with_checks_are_measured_without_being_asked_for(folder: Path) -> None:
    document = listed(RULE, pairs=PAIRS)
    assert "rules" in document["evaluations"] and document["pairs"] == 2
    (rule,) = document["rules"]
    assert rule["measured"] and rule["cases"] == 4 and rule["stated"]
    assert set(document["contexts"]) == {"ask", "correct"}
    assert len(document["rule_examples"]) == 4
    shown = run("tasks", "task.yaml").stdout
    assert "Rule: no_red: Never say red. (told; 4 cases; ask: keep, correct: carry)" in shown


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        ({"program": "no_words"}, "red"),
        ({"words": ["red"]}, "It is RED"),
        ({"canary": "blue plum"}, "the Blue  Plum"),
        ({"program": "checks.py:short"}, "x" * 50),
        ("checks.py:short", "x" * 50),
        ({"judge": "brief"}, "x" * 50),
    ],
)
def test_every_way_to_check(folder: Path, check: object, broken: str) -> None:
    item = {"request": "Name a colour.", "words": ["red"], "bad": broken, "good": "No."}
    judges = {"same": {"program": "exact"}, "brief": {"program": "checks.py:short"}}
    rule = {"id": "r", "says": "Be good.", "check": check, "items": [item]}
    mine = task(rule, judges=judges)
    mine.check_programs()
    case = mine.rules.cases()[0]
    assert mine.rule_checks["r"](Answered(case, broken)) == 0.0
    assert mine.rule_checks["r"](Answered(case, "No.")) == 1.0


def test_items_may_stand_in_a_file(folder: Path) -> None:
    Path("items.jsonl").write_text("\n".join(map(json.dumps, ITEMS)))
    Path("items.csv").write_text("request,text,carry\nName a colour.,Red is warm.,red\n")
    for name, count in (("items.jsonl", 4), ("items.csv", 2)):
        mine = task({**RULE, "items": name})
        assert len(mine.rules.cases()) == count
        assert str(folder / name) in map(str, mine.files) or Path(name) in mine.files


def test_a_rule_without_items_is_asked_on_held_out_cases(folder: Path) -> None:
    mine = task({"id": "brief", "says": "Be brief.", "check": {"program": "checks.py:short"}})
    cases = mine.rules.cases()
    assert 0 < len(cases) <= 12 and all(case.prompt.startswith("Say ") for case in cases)
    assert {case.columns["context"] for case in cases} == {"ask"}


def test_own_contexts_stand_beside_the_built_in_ones(folder: Path) -> None:
    rule = {**RULE, "expects": {"shout": "keep", "correct": "carry"}}
    mine = task(rule, contexts={"shout": "SHOUT: {request}"})
    assert mine.rules.cases()[0].prompt == "SHOUT: Name a colour."


@pytest.mark.parametrize("check", [None, {"program": "checks.py:short"}])
def test_old_files_are_read(folder: Path, check: object) -> None:
    """Rules of before had an id, what they say, and perhaps a check; nothing measured them."""
    document = listed({"id": "old", "says": "Be nice.", **({"check": check} if check else {})})
    assert [rule["measured"] for rule in document["rules"]] == [bool(check)]
    assert ("rules" in document["evaluations"]) is bool(check)


@pytest.mark.parametrize("more", [[], [{**RULE, "id": "checked"}]])
def test_eval_rules_refuses_a_rule_without_a_check(
    folder: Path, more: list[dict[str, Any]]
) -> None:
    """It never measures the built-in rules, nor some of the task's, in place of the task's."""
    name = written({"id": "old", "says": "Be nice."}, *more)
    said = refused(run("eval", "rules", "--candidate", "none", "--task", name))
    assert "rules.old.check: missing, and rules are measured" in said
    assert run("tasks", name).exit_code == 0


def test_a_task_without_rules_has_the_built_in_ones(folder: Path) -> None:
    assert task().rules is built_in_rules()
    assert "rules" not in listed()["evaluations"] and listed()["rules"] == []


def changed(**keys: Any) -> dict[str, Any]:
    return {"rule": {**RULE, **keys}}


MEASURED = {"evaluations": ["answers", "trivia", "rules"]}
SAME = {"one": "{request}", "two": "{request}"}


@pytest.mark.parametrize(
    ("rule", "keys", "message"),
    [
        ({"check": None}, MEASURED, "rules.no_red.check: missing, and rules are measured"),
        ({"expects": {"asks": "keep"}}, {}, "rules.no_red.expects: 'asks': unknown context"),
        ({}, {"contexts": {"x": "{request}"}}, "contexts.x: no rule expects anything of it"),
        ({"expects": {"read": "keep"}}, {}, "doesn't fill the slot {question} of context read"),
        ({"says": "Not {secret}."}, {}, "doesn't fill the slot {secret} of says"),
        ({"items": []}, {}, "rules.no_red.items: empty"),
        ({"items": "none.jsonl"}, {}, "none.jsonl"),
        ({"items": [{"name": "a"}, {"name": "a"}]}, {}, "two items are called 'a'"),
        ({"items": [{"request": "x", "text": "y"}]}, {}, "context correct: carry: missing"),
        ({"check": {"canary": "name a"}}, {}, "its canary 'name a' stands in the user's question"),
        ({"check": {"program": "no_such"}}, {}, "unknown program 'no_such'"),
        ({"check": {"program": "no_dosis"}}, {}, "did you mean 'no_dose'"),
        ({"check": {"program": "no_dose", "words": ["a"]}}, {}, "program and words given"),
        ({"check": {"words": []}}, {}, "words: empty"),
        ({"check": {"words": ["red", " "]}}, {}, "rules.no_red.check.words: ' ': no word"),
        ({"check": {"words": ["*"]}}, {}, "rules.no_red.check.words: '*': no word"),
        ({"check": {"canary": "!!!"}}, {}, "rules.no_red.check.canary: '!!!': should be one line"),
        ({"items": [ITEMS[0], ITEMS[0]]}, {}, "items.1: the same item as rules.no_red.items.0;"),
        *(
            ({"check": check}, {}, f"{slot} isn't filled here; give each item a column")
            for check, slot in (
                ({"canary": "{secret}"}, "{secret}"),
                ({"words": ["red", "a {shade} wall"]}, "{shade}"),
            )
        ),
        ({"check": {}}, {}, "nothing given; give one of program, words, canary, judge"),
        ({"check": {"judge": "sme"}}, {}, "check.judge: 'sme': no such judge; did you mean 'same'"),
        ({"check": "checks.py:always"}, {}, "bad: by the check this answer keeps the rule"),
        ({"expects": {"ask": "sometimes"}}, {}, "expects"),
        ({}, {"pairs": [{"rule": "no", "contexts": ["ask", "correct"]}]}, "'no': no such rule"),
        (
            {},
            {"pairs": [{"rule": "no_red", "contexts": ["ask", "read"]}]},
            "'read': rule no_red expects nothing of it",
        ),
        (
            {"expects": {"ask": "keep", "summarise": "keep"}},
            {"pairs": [{"rule": "no_red", "contexts": ["ask", "summarise"]}]},
            "expects 'keep' of both",
        ),
        ({}, {"pairs": PAIRS * 2}, "pairs.1: the same pair as pairs.0"),
        ({}, {"pairs": [*PAIRS, REVERSED]}, "pairs.1: the same pair as pairs.0"),
        (
            {"expects": {"one": "keep", "two": "carry"}},
            {
                "contexts": {"one": "{request}", "two": " {request}\n"},
                "pairs": [{"rule": "no_red", "contexts": ["one", "two"]}],
            },
            "both contexts ask the same text",
        ),
        *(({"id": text}, {}, "rules.0.id: ") for text in BLANKS),
        *(({}, {"contexts": {text: "{request}"}}, "contexts: ") for text in BLANKS),
        ({"items": [{"request": {1: "a", "b": 2}}]}, {}, "in the slot {request}"),
        ({"says": "  "}, {}, "rules.no_red.says: blank"),
        *(
            ({"expects": {"x": "keep"}}, {"contexts": {"x": text}}, "context x: asks nothing")
            for text in ("", " \n")
        ),
        *(
            ({"items": [{"request": value}], "expects": {"ask": "keep"}}, {}, message)
            for value, message in (
                ("", "doesn't fill the slot {request}"),
                ("  ", "has nothing but blanks in the slot {request}"),
                (["a", "b"], 'has ["a", "b"] in the slot {request}'),
                ({"a": 1}, 'has {"a": 1} in the slot {request}'),
                (True, "has true in the slot {request}"),
            )
        ),
        (
            {"expects": {"one": "keep", "two": "carry"}},
            {"contexts": SAME, "pairs": [{"rule": "no_red", "contexts": ["one", "two"]}]},
            "both contexts ask the same text",
        ),
    ],
)
def test_bad_rules_are_refused_in_one_line(
    folder: Path, rule: dict[str, Any], keys: dict[str, Any], message: str
) -> None:
    said = refused(run("tasks", written({**RULE, **rule}, **keys)))
    assert message in said


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("always", "every one passes"),
        ("never", "none passes"),
        ("raises", "graded none of the made-up answers to 1 cases (program: ZeroDivisionError: "),
    ],
)
def test_a_check_that_tells_nothing_apart_is_refused(
    folder: Path, program: str, message: str
) -> None:
    items = [{"request": "Name a colour."}]
    rule = {"id": "r", "says": "Be good.", "check": f"checks.py:{program}", "items": items}
    assert message in refused(run("tasks", written(rule)))


def test_the_pages_example_is_a_task(folder: Path) -> None:
    page = (DOCS / "rules.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    Path("desk.yaml").write_text(example, encoding="utf-8")
    done = run("tasks", "desk.yaml", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert [rule["cases"] for rule in document["rules"]] == [3, 2] and document["pairs"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("items.jsonl", b"{not json"), ("items.jsonl", b"\xff\xfe\x00"), ("items.csv", b"")],
)
def test_a_file_of_items_that_cannot_be_read_is_refused(
    folder: Path, name: str, content: bytes
) -> None:
    Path(name).write_bytes(content)
    assert name in refused(run("tasks", written({**RULE, "items": name})))


RESERVED = "is the name of a column that every case has"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        *((name, "x", RESERVED) for name in ("rule", "context", "item", "expects")),
        *((name, True, "true: should be a text") for name in (*ENTRIES, "good", "bad", "canary")),
        *((name, [None, ["a"]], "null: should be a text") for name in (*ENTRIES, "good", "bad")),
        *((name, {"a": 1}, "should be a text") for name in ("claim", "ingredients", "name")),
        *((name, ["*", ""], "'*': no word") for name in ENTRIES),
        *((name, {"aks": ["x"]}, "unknown context; did you mean 'ask'?") for name in BY_CONTEXT),
        *((name, text, "one line with letters") for name in ("name", "canary") for text in BLANKS),
        ("done", {"ask": [" "]}, "done.ask: ' ': no word"),
        ("request", "word " * 30_000, "150000 characters; give at most 100000"),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_a_column_that_cannot_be_what_its_name_says_is_refused(
    folder: Path, column: str, value: object, message: str, *, in_file: bool
) -> None:
    item = {**ITEMS[0], column: value}
    Path("items.jsonl").write_text(json.dumps(item))
    rule = {**RULE, "items": "items.jsonl" if in_file else [item]}
    with pytest.raises(InputError) as error:
        task(rule).rules  # noqa: B018
    said = str(error.value)
    assert message in said and "\n" not in said
    assert (f"items.jsonl:1.{column}" if in_file else f"items.0.{column}") in said


@pytest.mark.parametrize("column", [*ENTRIES, "good"])
@pytest.mark.parametrize(
    ("value", "read"),
    [("a pear|plum", ["a pear|plum"]), (12, ["12"]), ([12, "x"], ["12", "x"]), ("", None)],
)
def test_one_word_is_one_entry_and_numbers_are_texts(
    folder: Path, column: str, value: object, read: list[str] | None
) -> None:
    item = {"request": "Name one.", column: value}
    mine = task(
        {**RULE, "check": {"program": "no_dose"}, "expects": {"ask": "keep"}, "items": [item]}
    )
    (case,) = mine.rules.cases()
    answers = list(case.correct_answers) or None
    assert (answers if column == "good" else case.columns.get(column)) == read


def test_words_of_an_item_may_be_one_text(folder: Path) -> None:
    item = {"request": "Name one.", "words": "ice cream|plum"}
    mine = task(
        {**RULE, "check": {"program": "no_words"}, "expects": {"ask": "keep"}, "items": [item]}
    )
    (case,) = mine.rules.cases()
    said = ("Ice creams!", "Two plums.", "i", "nice")
    grades = [mine.rule_checks["no_red"](Answered(case, text)) for text in said]
    assert grades == [0.0, 0.0, 1.0, 1.0]


def test_the_columns_of_a_tasks_own_cases_do_not_take_the_cases_place(folder: Path) -> None:
    cases = [{"prompt": f"Say {n}.", "context": "own", "item": "x"} for n in range(30)]
    Path("cases.jsonl").write_text("\n".join(map(json.dumps, cases)))
    mine = task({"id": "brief", "says": "Be brief.", "check": "checks.py:short"}, judges={})
    assert {case.columns["context"] for case in mine.rules.cases()} == {"ask"}
    assert "x" not in {case.columns["item"] for case in mine.rules.cases()}


def test_half_of_a_surrogate_pair_in_a_file_of_items_is_refused(folder: Path) -> None:
    Path("items.jsonl").write_text(json.dumps({**ITEMS[0], "more": {"deep": ["\ud800"]}}))
    said = refused(run("tasks", written({**RULE, "items": "items.jsonl"})))
    assert "items.jsonl:1.more: half of a surrogate pair" in said


def test_a_rule_on_the_tasks_own_cases_has_their_references(folder: Path) -> None:
    """So that a judge that compares with them decides; and they need not keep another rule."""
    judged = {"id": "right", "says": "Be right.", "check": {"judge": "same"}}
    silent = {
        "id": "silent",
        "says": "Say no number.",
        "check": {"words": [str(n) for n in range(30)]},
    }
    mine = task(judged, silent)
    mine.check_programs()
    case = mine.rules.cases()[0]
    assert case.correct_answers == (case.prompt.removeprefix("Say ").rstrip("."),)
    grade = mine.rule_checks["right"]
    assert [grade(Answered(case, text)) for text in (*case.correct_answers, "no")] == [1.0, 0.0]


def test_long_texts_are_cut_in_the_list_and_whole_in_the_document(folder: Path) -> None:
    items = [{**ITEMS[0], "request": "long " * 2_000}]
    document = listed({**RULE, "items": items})
    assert document["rule_examples"][0]["prompt"].count("long") == 2_000
    assert max(map(len, run("tasks", "task.yaml").stdout.splitlines())) < 500


@pytest.mark.parametrize(
    ("says", "instruction", "warned"),
    [
        ("Never say it.", "Be brief.", True),
        ("Never say blue plum.", "Be brief.", False),
        ("Never say it.", "The word is Blue-Plum.", False),
    ],
)
def test_a_secret_that_is_told_nowhere_is_warned_of(
    folder: Path, says: str, instruction: str, *, warned: bool
) -> None:
    rule = {**RULE, "says": says, "check": {"canary": "blue plum"}, "expects": {"ask": "keep"}}
    rule["items"] = [{"request": "Which word is it?"}]
    done = run("tasks", written(rule, instruction=instruction))
    assert done.exit_code == 0, done.output
    assert ("canary 'blue plum' is told nowhere" in done.stderr) is warned
