"""No key of a record is passed over: it is read for what it says, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from truing.cli.main import app
from truing.data.demonstration_file import UNWANTED, UNWEIGHTED
from truing.people import Store
from truing.people.exchange import (
    import_files,
)
from truing.people.exchange.demonstrating import read_dialogues
from truing.people.exchange.exporting import export_rows
from truing.people.exchange.items import Item, LeftOut
from truing.people.exchange.records import FORMS, PROMPT_ALONE, REPEATED, items_of
from truing.people.tables import Judgement, Prompt
from truing.types import InputError

USER = {"role": "user", "content": "Is rain wet?"}
BOT = {"role": "assistant", "content": "It is."}
NOT = {"role": "assistant", "content": "Never."}
PAIR = {"prompt": "Is rain wet?", "completion": "It is."}
RATED = {"annotation_id": 4, "annotator": 7, "lead_time": 3.5, "created_at": "2031-01-02"}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments], prog_name="truing")


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        ({"prompt": "Is rain wet?", "response": "It is."}, "It is."),
        ({"prompt": "Is rain wet?", "answer": "It is."}, "It is."),
        ({"prompt": "Is rain wet?", "output": "It is.", "id": 7, "category": "rain"}, "It is."),
        ({"instruction": "Is rain wet?", "input": "", "output": "It is.", "text": "###"}, "It is."),
        ({"id": "a", "conversations": [{"from": "human", "value": "Is rain wet?"},
                                       {"from": "gpt", "value": "It is."}]}, "It is."),
        ({"messages": [USER, {**BOT, "weight": 1, "tool_calls": None}]}, "It is."),
        ({"messages": [USER, BOT], "prompt": "Is rain wet?", "prompt_id": "p"}, "It is."),
        ({"messages": [{**USER, "weight": 0}, {**BOT, "weight": 1}, USER, BOT]}, "It is."),
        ({**PAIR, "label": "wet", "template": "plain"}, "It is."),
        ({**PAIR, "ratings": None, "notes": ""}, "It is."),
    ],
)  # fmt: skip
def test_forms_of_the_field_are_demonstrations(record: dict[str, Any], answer: str) -> None:
    [item] = items_of(record)
    assert item.messages[-1] == USER and item.demonstration == answer
    assert item.rating is None and item.completions == []


def test_what_alpaca_and_sharegpt_say_beside_the_question() -> None:
    [item] = items_of(
        {"instruction": "Add.", "input": "1 + 1", "output": "2", "system": "Be brief."}
    )
    assert [m["content"] for m in item.messages] == ["Be brief.", "Add.\n\n1 + 1"]
    talk = [{"from": "human", "value": "Hi"}, {"from": "chatgpt", "value": "Yes?"},
            {"from": "human", "value": "Why?"}]  # fmt: skip
    [item] = items_of({"conversations": talk, "system": "Be brief."})
    assert [m["role"] for m in item.messages] == ["system", "user", "assistant", "user"]
    assert item.demonstration == ""


@pytest.mark.parametrize(("label", "rating"), [(True, 7), (False, 1)])
@pytest.mark.parametrize(
    "record",
    [
        PAIR,
        {"prompt": [USER], "completion": [BOT]},
        {"prompt": "Is rain wet?", "response": "It is."},
        {"messages": [USER, BOT]},
        {"conversations": [USER, BOT]},
        {"instruction": "Is rain wet?", "output": "It is."},
    ],
)
def test_a_label_is_a_judgement_in_every_form(
    record: dict[str, Any], label: bool, rating: int
) -> None:
    [item] = items_of({**record, "label": label})
    assert (item.rating, item.wanted, item.demonstration) == (rating, label, "")
    assert item.completions == [("", "It is.")]


@pytest.mark.parametrize(
    "record",
    [
        {**PAIR, "weight": 0},
        {"prompt": "Is rain wet?", "completion": [{**BOT, "weight": 0}]},
        {"messages": [USER, {**BOT, "weight": 0}]},
        {"messages": [USER, BOT], "weight": 0.0},
        {"conversations": [USER, {"from": "gpt", "value": "It is.", "weight": 0}]},
        {"instruction": "Is rain wet?", "output": "It is.", "weight": 0},
    ],
)
def test_nobody_learns_from_what_weighs_nothing(record: dict[str, Any]) -> None:
    with pytest.raises(LeftOut, match=f"^{UNWEIGHTED}$"):
        items_of(record)


def test_an_earlier_turn_that_weighs_nothing_is_context_like_any_other() -> None:
    talk = [USER, {**BOT, "weight": 0}, USER, {**BOT, "weight": 1}]
    (item,) = items_of({"messages": talk})
    assert len(item.messages) == 3 and item.demonstration == "It is."


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Is rain wet?", "prompt_id": "ab"},
        {"prompt": " Is rain wet?\n", "score_chosen": 8.5, "score_rejected": 2},
        {"prompt": [USER]},
        {"prompt": None},
        {"messages": [USER, BOT], "prompt": "Is rain wet?"},
        {},
        {"score_chosen": 1, "score_rejected": None},
    ],
)
def test_a_pair_may_be_two_conversations(record: dict[str, Any]) -> None:
    [item] = items_of({**record, "chosen": [USER, BOT], "rejected": [USER, NOT]})
    assert item.messages == [USER] and item.preferred == "first" and item.rating is None
    assert item.completions == [("", "It is."), ("", "Never.")]


def test_what_two_conversations_share_is_the_prompt() -> None:
    system = {"role": "system", "content": "Be brief."}
    begun = [system, USER, BOT, {"role": "user", "content": "Sure?"}]
    pair = {"chosen": [*begun, BOT], "rejected": [*begun, NOT]}
    asked: list[dict[str, Any]] = [
        {}, {"prompt": "Is rain wet?"}, {"prompt": begun}, {"prompt": begun[:2]}
    ]  # fmt: skip
    for each in asked:
        [item] = items_of({**each, **pair})
        assert item.messages == begun and item.completions[1] == ("", "Never.")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"chosen": [USER, BOT], "rejected": [{**USER, "content": "Else?"}, NOT]}, "differ before"),
        ({"chosen": [USER, BOT], "rejected": [USER, BOT, USER, NOT]}, "differ before"),
        ({"chosen": [USER, BOT, BOT], "rejected": [USER, BOT, NOT]}, "ends with the user's message"),
        ({"chosen": [USER, BOT], "rejected": [USER, BOT]}, "the same text"),
        ({"chosen": [USER, BOT], "rejected": [USER, USER]}, "rejected: the conversation ends with"),
        ({"chosen": [USER, BOT], "rejected": "Never."}, "one is a conversation; give two"),
        ({"chosen": [BOT], "rejected": [NOT]}, "must be a list of messages"),
        ({"prompt": "Else?", "chosen": [USER, BOT], "rejected": [USER, NOT]}, "prompt: isn't what"),
        ({"prompt": "?", "chosen": "a", "rejected": "b", "score_chosen": "9"}, "'9' is no number"),
        ({"chosen": [USER, BOT], "rejected": [USER, NOT], "score": 9}, "unknown key 'score'"),
        ({"chosen": [USER, BOT], "rejected": [USER, NOT], "messages": [USER, NOT]},
         "messages: aren't the chosen conversation"),
    ],
)  # fmt: skip
def test_conversations_that_are_no_pair_are_refused(record: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        items_of(record)


def test_a_key_that_stands_twice_is_refused_by_name(sqlite_store: Store, tmp_path: Path) -> None:
    line = '{"prompt": "Wet?", "completion": "Yes.", "rating": 1, "rating": 7}'
    lines, listed = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.write_text(f"{line}\n")
    listed.write_text(f"[{line}]")
    cell = tmp_path / "a.csv"
    talk = json.dumps([USER, BOT]).replace("}]", ', "content": "No."}]').replace('"', '""')
    cell.write_text(f'messages\n"{talk}"\n')
    for path, key in ((lines, "rating"), (listed, "rating"), (cell, "content")):
        with pytest.raises(InputError, match=f"the key '{key}' stands twice in an object"):
            import_files(sqlite_store, [path])


def test_what_does_not_come_in_is_said(sqlite_store: Store, tmp_path: Path) -> None:
    candidate = {"text": "a", "candidate": "sft"}
    path = write(
        tmp_path / "a.jsonl",
        {"prompt": "Wet?", "completions": ["a", "b", "a", candidate, "a"]},
        {"messages": [USER, BOT, {"role": "user", "content": "Sure?"}]},
        {"conversations": [{"from": "human", "value": "Dry?"}]},
        {"prompt": "A prompt alone, and meant so"},
    )
    imported = import_files(sqlite_store, [path])
    assert imported.records == 4 and imported.added["completions"] == 3
    assert imported.remarks == {REPEATED: 2, PROMPT_ALONE: 1}
    assert imported.notes() == [f"2 {REPEATED}", f"1 {PROMPT_ALONE}"]
    assert imported.to_json()["remarks"] == {REPEATED: 2, PROMPT_ALONE: 1}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"prompt": "?", "chosen": "a"}, "rejected: missing beside 'chosen'; a row of the form"),
        ({"prompt": "?", "rejected": "a"}, "chosen: missing beside 'rejected'"),
        ({"chosen": "a"}, "rejected: missing beside 'chosen'"),
        ({"prompt": "?", "preferred": "tie"}, "completions: missing beside 'preferred'"),
        ({"prompt": "?", "ranks": [1, 2]}, "completions: missing beside 'ranks'"),
        ({"prompt": "?", "rating": 3}, "completion: missing beside 'rating'"),
        ({"completions": ["a", "b"], "preferred": "tie"}, "prompt: missing beside"),
        ({"Question": "?", "Answer1": "a", "Answer2": "b"}, "Preference: missing beside"),
        ({**PAIR, "groups": {"country": "north"}}, "groups: in a store people say .*--ignore groups"),
        ({**PAIR, "ratings": 1}, "'ratings': did you mean 'rating', of the form 'rating'?"),
        ({**PAIR, "lable": False}, "did you mean 'label', of the form 'KTO'?"),
        ({**PAIR, "weights": 0}, "did you mean 'weight'"),
        ({**PAIR, "rank": 9}, "unknown key 'rank': did you mean 'ranks', of the form 'ranking'?"),
        ({**PAIR, "best": 9}, "unknown key 'best': the form 'prompt and completion' has candidate,"),
        ({"prompt": "?", "responce": "!"}, "did you mean 'completion'|unknown key 'responce'"),
        ({"prompt": "?", "response": "a", "answer": "b"}, "unknown key 'answer'"),
        ({"prompt": "?", "chosen": "a", "rejected": "b", "tie": True}, "unknown key 'tie'"),
        ({"prompt": "?", "completions": [{"text": "a", "rating": 2}]}, "completions.0.: .*'rating'"),
        ({"instruction": "?", "instances": [{"output": "a", "bad": 1}]}, "instances.0.: .*'bad'"),
        ({"messages": [USER, {**BOT, "train": False}]}, r"messages\[1\]: unknown key 'train'"),
        ({"messages": [USER, BOT], "prompt": "Else?"}, "isn't what the messages ask"),
        ({"messages": [USER, {**BOT, "weight": 0.5}]}, "weight: 0.5 is neither 0 nor 1"),
        ({**PAIR, "weight": True}, "weight: True is neither"),
        ({**PAIR, "label": 0}, "label: 0 is neither true .* nor false"),
        ({**PAIR, "label": "bad"}, "label: 'bad' is neither"),
        ({**PAIR, "rating": 5, "label": True}, "unknown key 'label'"),
        ({"fields": {"prompt": "a"}, "responses": {"written": [{"value": "b"}], "tone": [{"value": 1}]}},
         "tone: no question of a demonstration"),
        ({"fields": {"prompt": "a"}, "responses": {"written": [{"value": "b"}, {"value": "c"}]}},
         "two by one user"),
        ({"prompt": "a", "tone": "b", "written.responses": ["c"], "written.responses.users": ["d"]},
         "unknown column 'tone'"),
    ],
)  # fmt: skip
def test_a_key_that_nobody_reads_is_refused(record: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem) as refused:
        items_of(record)
    assert "\n" not in str(refused.value)


def test_a_key_may_be_ignored_where_the_user_says_so(sqlite_store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {**PAIR, "my_score": 3})
    refused = run("data", "import", path, "--store", sqlite_store.url.database)
    assert refused.exit_code == 2 and "--ignore my_score" in refused.stderr
    done = run("data", "import", path, "--store", sqlite_store.url.database, "--ignore", "my_score")
    assert done.exit_code == 0 and len(export_rows(sqlite_store, "messages")) == 1


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "Is rain wet?", "answer": "It is.", "rating": [6], "flag_true": "yes"},
         ("", "It is.", 6, {"true": "yes"}, "", "")),
        ({"prompt": [USER], "written": ["It", "is."]}, ("It\nis.", "", None, {}, "", "")),
        ({"prompt": "Is rain wet?", "first": "a", "second": "b", "preferred": "second"},
         ("", "a", None, {}, "second", "")),
        ({"prompt": "Is rain wet?", "use_case": "chat", "metadata": {"choices": ["ambiguous"]}},
         ("", "", None, {"ambiguous": "yes"}, "", "chat")),
    ],
)  # fmt: skip
def test_label_studios_json_min_is_read(record: dict[str, Any], said: tuple[Any, ...]) -> None:
    [item] = items_of({"id": 1, **RATED, **record})
    first = item.completions[0][1] if item.completions else ""
    whole = (item.demonstration, first, item.rating, item.flags, item.preferred, item.use_case)
    assert whole == said and item.judge == "7" and item.messages == [USER]


def test_delimited_files_are_read_by_their_ending(sqlite_store: Store, tmp_path: Path) -> None:
    rated = tmp_path / "a.csv"
    rated.write_text('prompt,completion,rating,true\n"Wet, is it?",It is.,6,yes\nDry?,No.,2,\n')
    kto = tmp_path / "b.tsv"
    kto.write_text("prompt\tcompletion\tlabel\nWet?\tYes.\tTrue\nWet?\tNo.\tFalse\n")
    talk = tmp_path / "c.csv"
    cell = json.dumps([USER, BOT]).replace('"', '""')
    talk.write_text(f'messages,weight\n"{cell}",1\n"{cell}",0\n')
    imported = import_files(sqlite_store, [rated, kto, talk])
    assert (imported.records, imported.left_out) == (6, {UNWEIGHTED: 1})
    rows = export_rows(sqlite_store, "ratings")
    assert [(r["completion"], r["rating"], r["true"]) for r in rows] == [
        ("It is.", 6, "yes"), ("No.", 2, None), ("Yes.", 7, None), ("No.", 1, None)
    ]  # fmt: skip
    assert len(export_rows(sqlite_store, "messages")) == 1
    with pytest.raises(InputError, match=r"a\.txt:1: not valid JSON.*ends in none of \.jsonl"):
        import_files(sqlite_store, [rated.rename(tmp_path / "a.txt")])


def test_training_takes_only_wanted_answers_and_counts_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl",
        {**PAIR, "label": True},
        {"prompt": "Is rain wet?", "completion": "Never.", "label": False},
        {"messages": [USER, {**BOT, "weight": 0}]},
        PAIR,
    )
    read = read_dialogues(str(path))
    assert [each.answer for each in read.dialogues] == ["It is.", "It is."]
    assert read.left_out == {UNWANTED: 1, UNWEIGHTED: 1}
    only_bad = write(tmp_path / "e.jsonl", {**PAIR, "label": False})
    with pytest.raises(InputError, match=f"no demonstration .1 left out: {UNWANTED[:10]}"):
        read_dialogues(str(only_bad))
    with pytest.raises(InputError, match="did you mean 'rating'"):
        read_dialogues(str(write(tmp_path / "f.jsonl", {**PAIR, "ratings": 1})))


def test_an_unwanted_answer_is_in_no_form_that_is_imitated(
    sqlite_store: Store, tmp_path: Path
) -> None:
    rows = [{**PAIR, "label": True}, {**PAIR, "completion": "Never.", "label": False}]
    import_files(sqlite_store, [write(tmp_path / "k.jsonl", *rows)])
    for form in ("messages", "prompt-completion", "liked"):
        assert "Never." not in json.dumps(export_rows(sqlite_store, form)), form
    assert [r["from"] for r in export_rows(sqlite_store, "liked")] == ["rating"]
    assert [r["rating"] for r in export_rows(sqlite_store, "ratings")] == [7, 1]


EXAMPLES: dict[str, dict[str, Any]] = {
    "Argilla": {"fields": {"prompt": "?"}, "responses": {"written": [{"value": "a", "user_id": "u"}]}},
    "Label Studio": {"data": {"prompt": "?"}, "annotations": [
        {"result": [{"from_name": "written", "value": {"text": ["a"]}}]}]},
    "Label Studio JSON-MIN": {"prompt": "?", "written": "a", **RATED},
    "OASST tree": {"message_tree_id": "t", "prompt": {"role": "prompter", "text": "?", "replies": [
        {"role": "assistant", "text": "a", "replies": []}]}},
    "messages": {"messages": [USER, BOT]},
    "ShareGPT": {"conversations": [USER, BOT]},
    "rating": {**PAIR, "rating": 3},
    "preference": {"prompt": "?", "chosen": "a", "rejected": "b"},
    "HH pair": {"chosen": "\n\nHuman: ?\n\nAssistant: a", "rejected": "\n\nHuman: ?\n\nAssistant: b"},
    "HH table": {"Question": "?", "Answer1": "a", "Answer2": "b", "Preference": "Answer1"},
    "comparison": {"prompt": "?", "completions": ["a", "b"], "preferred": "tie"},
    "ranking": {"prompt": "?", "completions": ["a", "b", "c"], "ranks": [2, 1, 2]},
    "completions": {"prompt": "?", "completions": ["a", "b"]},
    "KTO": {**PAIR, "label": False},
    "prompt and completion": PAIR,
    "Self-Instruct": {"instruction": "?", "instances": [{"input": "", "output": "a"}]},
    "Alpaca": {"instruction": "?", "input": "", "output": "a"},
    "annotation": {"prompt": "?", "use_case": "chat", "metadata": {"ambiguous": "yes"}},
    "prompt": {"prompt": "?"},
}  # fmt: skip


def says(items: list[Item]) -> int:
    """How many judgements items hold."""
    parts = [(i.demonstration, i.rating, i.preferred, i.use_case, i.ranks) for i in items]
    return sum(sum(1 for part in each if part or part == 0) for each in parts)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_what_a_form_says_twice_stands_twice_and_no_key_of_it_is_lost(
    sqlite_store: Store, tmp_path: Path, form: Any
) -> None:
    record = EXAMPLES[form.name]
    expected = says(items_of(record))
    assert (expected == 0) == (form.name in ("completions", "prompt"))
    path = write(tmp_path / "twice.jsonl", record, record)
    assert import_files(sqlite_store, [path]).added["judgements"] == 2 * expected
    again = import_files(sqlite_store, [path])
    assert again.added == {} and again.there == 2 * expected and again.superseded == 0
    with sqlite_store.reading() as session:
        superseding = select(func.count()).where(Judgement.supersedes_id.is_not(None))
        assert session.scalar(superseding) == 0
    if not form.any_key:
        with pytest.raises(InputError, match="unknown key 'verdict'"):
            items_of({**record, "verdict": "bad"})


def test_the_consent_of_a_record_holds_unless_another_is_given(
    sqlite_store: Store, tmp_path: Path
) -> None:
    rows = [{"prompt": "a", "consent": "given"}, {"prompt": "b"}]
    path = write(tmp_path / "a.jsonl", *rows)
    import_files(sqlite_store, [path])
    import_files(sqlite_store, [write(tmp_path / "b.jsonl", {"prompt": "c", "consent": "given"})],
                 consent="own")  # fmt: skip
    with sqlite_store.reading() as session:
        consents = session.scalars(select(Prompt.consent).order_by(Prompt.id)).all()
    assert consents == ["given", "unknown", "own"]
    with pytest.raises(InputError, match=r"c\.jsonl:1: consent: no 'yes'"):
        import_files(sqlite_store, [write(tmp_path / "c.jsonl", {"prompt": "d", "consent": "yes"})])
