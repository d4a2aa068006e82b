"""Files in and out: every form, whole or not at all, and the same after a round trip."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from people_work import fill, someone, work
from truing.data.transcripts import hh_messages
from truing.files import read_jsonl
from truing.people import Store, open_store
from truing.people.assigning import next_assignment
from truing.people.exchange import EXPORT_FORMS, export_file, import_files
from truing.people.exchange.exporting import export_rows
from truing.people.exchange.records import items_of
from truing.people.tables import Completion, Judgement, Prompt, Task
from truing.people.vocabulary import KINDS
from truing.types import InputError

USER = {"role": "user", "content": "Why?"}
ANSWER = {"role": "assistant", "content": "Because."}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def test_every_form_is_told_by_its_keys() -> None:
    (item,) = items_of({"messages": [USER, ANSWER]})
    assert (item.messages, item.demonstration) == ([USER], "Because.")
    (item,) = items_of({"messages": [USER, ANSWER, USER]})
    assert (len(item.messages), item.demonstration) == (3, "")
    (item,) = items_of({"prompt": "Why?", "completion": "Because."})
    assert (item.messages, item.demonstration, item.completions) == ([USER], "Because.", [])
    (item,) = items_of({"prompt": [USER], "completion": [ANSWER], "candidate": "sft"})
    assert (item.demonstration, item.completions) == ("", [("sft", "Because.")])
    (item,) = items_of({"prompt": "Why?", "chosen": "A", "rejected": "B", "user": "u1"})
    assert (item.completions, item.preferred, item.user) == ([("", "A"), ("", "B")], "first", "u1")
    (item,) = items_of({"prompt": "Why?", "completions": ["A", {"text": "B", "candidate": "rl"}]})
    assert item.completions == [("", "A"), ("rl", "B")]
    (item,) = items_of(
        {"prompt": "Why?", "completion": "A", "rating": 3, "true": "no", "harmful": None}
    )
    assert (item.rating, item.flags) == (3, {"true": "no"})
    (item,) = items_of({"prompt": "Why?"})
    assert (item.messages, item.completions) == ([USER], [])
    dialogue = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Why?\n\nAssistant: "
    (item,) = items_of({"chosen": f"{dialogue}A", "rejected": f"{dialogue}B"})
    assert [m["role"] for m in item.messages] == ["user", "assistant", "user"]
    assert item.completions == [("", "A"), ("", "B")]
    table = {"Question": "Human: Why?", "Answer1": "Assistant: A", "Answer2": "Assistant: B"}
    (item,) = items_of({**table, "Preference": "Answer2"})
    assert (item.completions, item.preferred) == ([("", "B"), ("", "A")], "first")
    first, second = items_of(
        {
            "instruction": "Add.",
            "instances": [{"input": "1+1", "output": "2"}, {"input": "", "output": "?"}],
        }
    )
    assert first.messages[0]["content"] == "Add.\n\n1+1" and first.demonstration == "2"
    assert second.messages[0]["content"] == "Add."


def test_an_oasst_tree_gives_prompts_replies_and_ranks() -> None:
    def reply(text: str, rank: int | None, **more: Any) -> dict[str, Any]:
        return {"role": "assistant", "text": text, "rank": rank, "replies": [], **more}

    follow_up = {"role": "prompter", "text": "More?", "replies": [reply("Yes.", None)]}
    replies = [
        reply("worst", 2),
        reply("best", 0, synthetic=True, model_name="m"),
        reply("middle", 1, replies=[follow_up]),
        reply("gone", 3, deleted=True),
    ]
    tree = {
        "message_tree_id": "t",
        "prompt": {"role": "prompter", "text": "Why?", "replies": replies},
    }
    first, second = items_of(tree)
    assert first.completions == [("human", "worst"), ("m", "best"), ("human", "middle")]
    assert first.ranks == {0: 3, 1: 1, 2: 2}
    assert first.demonstration == "middle"  # the best that a person wrote
    assert [m["content"] for m in second.messages] == ["Why?", "middle", "More?"]
    assert second.ranks == {} and second.demonstration == "Yes."


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not valid JSON"),
        ('{"prompt": NaN}', "NaN isn't JSON"),
        ("[1]", "JSON object, not list"),
        ('"text"', "JSON object, not str"),
        ('{"question": "?"}', "no form that is known"),
        ('{"prompt": ""}', "prompt: empty"),
        ('{"prompt": 3}', "prompt: must be text, not a number"),
        ('{"prompt": "a\\u0000b"}', "NUL"),
        ('{"prompt": "a\\ud800"}', "surrogate"),
        ('{"prompt": []}', "list of messages"),
        ('{"messages": [{"role": "robot", "content": "?"}]}', r"messages\[0\]: .*role"),
        ('{"messages": [{"role": "assistant", "content": "?"}]}', "list of messages"),
        ('{"messages": "hi"}', "must be a list"),
        ('{"prompt": "?", "completion": "!", "rating": 8}', "1 to 7"),
        ('{"prompt": "?", "completion": "!", "rating": true}', "1 to 7"),
        ('{"prompt": "?", "completion": "!", "rating": 3, "true": "maybe"}', "true: must be"),
        ('{"prompt": "?", "chosen": "a", "rejected": "a"}', "the same text"),
        ('{"chosen": "\\n\\nHuman: a\\n\\nAssistant: b", "rejected": "x"}', "begins with 'Human:'"),
        ('{"chosen": "\\n\\nHuman: a\\n\\nAssistant: b", "rejected": "\\n\\nHuman: c\\n\\nAssistant: d"}',
         "differ before"),
        ('{"Question": "a", "Answer1": "b", "Answer2": "c", "Preference": "d"}', "Answer1 or Answer2"),
        ('{"prompt": "?", "completions": [{"candidate": "a"}]}', r"completions\[0\].text"),
        ('{"instruction": "?", "instances": []}', "list of objects"),
        ('{"message_tree_id": "t", "prompt": {"role": "king"}}', "prompter or assistant"),
        ('{"prompt": "' + "x" * 100_001 + '"}', "at most 100,000"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_and_nothing_is_imported(
    sqlite_store: Store, tmp_path: Path, line: str, problem: str
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "Good"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"data\.jsonl:2: .*{problem}"):
        import_files(sqlite_store, [path])
    with sqlite_store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prompt)) == 0


def test_good_lines_are_kept_when_asked_for(sqlite_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "One"}\n\n{"prompt": "\xff"}\n{\n{"prompt": "Two"}')
    with pytest.raises(
        InputError, match=r":3: not valid UTF-8.*and 1 more such lines.*nothing was"
    ):
        import_files(sqlite_store, [path])
    imported = import_files(sqlite_store, [path], keep_good_lines=True)
    assert imported.added == {"prompts": 2} and len(imported.bad_lines) == 2
    path.write_bytes(b"{\n")
    with pytest.raises(InputError, match="nothing to import"):
        import_files(sqlite_store, [path], keep_good_lines=True)
    with pytest.raises(InputError, match="no such file"):
        import_files(sqlite_store, [tmp_path / "absent.jsonl"])


def test_ten_megabytes_in_one_prompt_are_refused(sqlite_store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "large.jsonl", {"prompt": "x" * 10_000_000})
    with pytest.raises(InputError, match=r"large\.jsonl:1: prompt: 10,000,000 characters"):
        import_files(sqlite_store, [path])


def test_tasks_are_made_as_asked_for(sqlite_store: Store, tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.jsonl", {"prompt": "?", "completions": ["a", "b", "c"]}, {"prompt": "!"}
    )
    asked = ["demonstration", "rating", "comparison", "ranking", "annotation"]
    import_files(sqlite_store, [path], ask=asked, wanted=2, consent="public", source="s")
    with sqlite_store.reading() as session:
        tasks = session.scalars(select(Task)).all()
        kinds = [task.kind for task in tasks]
        counts = {kind: kinds.count(kind) for kind in asked}
        assert counts == {
            "demonstration": 2, "rating": 3, "comparison": 3, "ranking": 1, "annotation": 2
        }  # fmt: skip
        assert {task.wanted for task in tasks} == {2}
        assert {p.source for p in session.scalars(select(Prompt))} == {"s"}
    with pytest.raises(InputError, match="no kind 'poem'"):
        import_files(sqlite_store, [path], ask=["poem"])
    with pytest.raises(InputError, match="consent: no 'maybe'"):
        import_files(
            sqlite_store, [write(tmp_path / "d.jsonl", {"prompt": "new"})], consent="maybe"
        )


def test_a_second_import_adds_nothing_and_a_change_of_mind_supersedes(
    store: Store, tmp_path: Path
) -> None:
    pair = {"prompt": "Why?", "chosen": "A", "rejected": "B"}
    path = write(tmp_path / "pairs.jsonl", pair)
    assert import_files(store, [path]).added["judgements"] == 1
    assert import_files(store, [path]).added == {}
    turned = write(tmp_path / "pairs2.jsonl", {"prompt": "Why?", "chosen": "B", "rejected": "A"})
    import_files(store, [turned], source="pairs.jsonl")
    with store.reading() as session:
        rows = session.scalars(select(Judgement).order_by(Judgement.id)).all()
        assert [row.supersedes_id for row in rows] == [None, rows[0].id]
    assert [row["chosen"] for row in export_rows(store, "preference")] == ["B"]


def test_a_file_imported_again_in_the_middle_of_work_changes_none_of_it(
    store: Store, tmp_path: Path
) -> None:
    rows = [{"prompt": f"Why {n}?"} for n in range(4)]
    path = write(tmp_path / "prompts.jsonl", *rows)
    import_files(store, [path], ask=["demonstration"])
    ada = someone(store, "Ada")
    work(store, ada, most=2)
    begun = next_assignment(store, ada.id)
    before = export_rows(store, "messages")
    assert len(before) == 2 and begun is not None
    assert import_files(store, [path], ask=["demonstration"]).added == {}
    longer = write(path, *rows, {"prompt": "Why 4?"})
    assert import_files(store, [longer], ask=["demonstration"]).added["tasks"] == 1
    assert export_rows(store, "messages") == before
    assert next_assignment(store, ada.id) == begun  # what she has open is hers still
    work(store, ada)
    assert len(export_rows(store, "messages")) == 5
    with store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prompt)) == 5


def test_exports_hold_every_judgement_that_stands(store: Store, tmp_path: Path) -> None:
    fill(store, KINDS, prompts=2, wanted=2)
    for name in ("Ada", "Bob"):
        work(store, someone(store, name))
    counts = {form: export_file(store, tmp_path / f"{form}.jsonl", form) for form in EXPORT_FORMS}
    # A ranking of 2, 1, 2 has two ordered pairs.
    assert counts == {
        "messages": 4,
        "liked": 4 + 4 + 4 + 4,  # ratings of 6, preferred ones, and the one ranked first
        "prompt-completion": 4,
        "preference": 12,
        "ratings": 4,
        "annotations": 4,
        "outcomes": 4,
        "grades": 8,  # two questions each
    }
    rows = read_jsonl(tmp_path / "ratings.jsonl")
    assert {row["rating"] for row in rows} == {6} and {row["true"] for row in rows} == {"yes"}
    assert {row["annotator"] for row in rows} == {"annotator-1", "annotator-2"}
    for path in tmp_path.glob("*.jsonl"):
        text = path.read_text(encoding="utf-8")
        assert "Ada" not in text and "Bob" not in text
    assert export_rows(store, "ratings", ["public"]) == []
    assert len(export_rows(store, "ratings", ["own", "public"])) == 4
    with pytest.raises(InputError, match="no 'xml'"):
        export_rows(store, "xml")
    with pytest.raises(InputError, match="consent: no 'maybe'; give one of given"):
        export_rows(store, "ratings", ["maybe"])


@pytest.mark.parametrize("form", ["messages", "prompt-completion", "preference", "ratings"])
def test_what_is_exported_can_be_imported_and_is_the_same(
    sqlite_store: Store, tmp_path: Path, form: str
) -> None:
    fill(sqlite_store, ["demonstration", "rating", "comparison"], prompts=2, wanted=2)
    for name in ("Ada", "Bob"):
        work(sqlite_store, someone(sqlite_store, name))
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    export_file(sqlite_store, first, form)
    other = open_store(str(tmp_path / "other.db"))
    import_files(other, [first], source="s", consent="own")
    export_file(other, second, form)
    other.close()

    def said(path: Path) -> list[Any]:
        keys = ("messages", "prompt", "completion", "chosen", "rejected", "rating", "true", "candidate",
                "chosen_candidate")  # fmt: skip
        return sorted(str([row.get(key) for key in keys]) for row in read_jsonl(path))

    assert said(second) == said(first) and len(said(first)) == 4


def test_one_conversation_makes_all_prompts_conversations(
    sqlite_store: Store, tmp_path: Path
) -> None:
    turns = [USER, ANSWER, USER]
    path = write(
        tmp_path / "m.jsonl",
        {"prompt": "Why?", "completion": "A"},
        {"prompt": turns, "completion": "B"},
    )
    import_files(sqlite_store, [path])
    rows = export_rows(sqlite_store, "prompt-completion")
    assert [row["prompt"] for row in rows] == [[USER], turns]
    assert rows[1]["completion"] == [{"role": "assistant", "content": "B"}]


dialogue_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
)


@given(st.lists(dialogue_text.map(str.strip).filter(bool), min_size=1, max_size=5))
def test_hh_dialogues_are_read_back(turns: list[str]) -> None:
    names = ["Human", "Assistant"]
    turns = [turn.replace("Human:", "").replace("Assistant:", "").strip() or "x" for turn in turns]
    text = "".join(f"\n\n{names[i % 2]}: {turn}" for i, turn in enumerate(turns))
    assert [m["content"] for m in hh_messages(text, "d")] == turns


def test_public_trees_and_pairs_come_in_whole(
    sqlite_store: Store, shared_data: Path, tmp_path: Path
) -> None:
    trees = shared_data / "instructions" / "oasst_en_100_tree.jsonl"
    pairs = tmp_path / "pairs.jsonl.gz"
    with gzip.open(
        shared_data / "hh_rlhf" / "harmless-base_test.jsonl.gz", "rt", encoding="utf-8"
    ) as file:
        lines = [next(file) for _ in range(60)]
    with gzip.open(pairs, "wt", encoding="utf-8") as file:
        file.writelines(lines)
    import_files(sqlite_store, [trees])
    with sqlite_store.reading() as session:
        rows = session.scalars(select(Judgement).where(Judgement.kind == "ranking")).all()
        ranked = sorted(len(row.rankings) for row in rows)
        replies = session.scalar(select(func.count()).select_from(Completion))
    expected: list[int] = []
    texts: set[tuple[str, str]] = set()

    def visit(node: dict[str, Any], path: str) -> None:
        below = [n for n in node.get("replies", []) if not n.get("deleted") and n["text"].strip()]
        path = f"{path}\n{node['role']}:{node['text']}"
        if node["role"] == "prompter":
            texts.update((path, n["text"]) for n in below)
            ranks = {n["text"]: n["rank"] for n in below if n.get("rank") is not None}
            expected.extend([len(ranks)] if len(ranks) > 1 else [])
        for n in below:
            visit(n, path)

    for record in read_jsonl(trees):
        visit(record["prompt"], "")
    assert replies == len(texts) > 600
    assert ranked == sorted(expected)

    import_files(sqlite_store, [pairs], source="hh")
    found = [row for row in export_rows(sqlite_store, "preference") if row["source"] == "hh"]
    originals = {(json.loads(line)["chosen"], json.loads(line)["rejected"]) for line in lines}
    names = {"user": "Human", "assistant": "Assistant"}

    def dialogue(messages: list[dict[str, str]]) -> str:
        return "".join(f"{names[m['role']]}:{m['content']}" for m in messages)

    def squeezed(text: str) -> str:
        return "".join(text.split())

    back = {
        (
            squeezed(dialogue(r["prompt"] + r["chosen"])),
            squeezed(dialogue(r["prompt"] + r["rejected"])),
        )
        for r in found
    }
    assert back == {(squeezed(a), squeezed(b)) for a, b in originals}


def test_liked_answers_are_those_that_people_spoke_well_of(sqlite_store: Store) -> None:
    prompt = {"prompt": "Why?"}
    rows = [
        {**prompt, "completion": "six", "rating": 6},
        {**prompt, "completion": "five", "rating": 5},
        {**prompt, "completion": "false", "rating": 7, "true": "no"},
        {**prompt, "completion": "harmful", "rating": 7, "harmful": "yes"},
        {**prompt, "chosen": "better", "rejected": "worse"},
        {**prompt, "completion": "written"},
    ]
    path = write(Path(str(sqlite_store.url.database)).with_name("rows.jsonl"), *rows)
    import_files(sqlite_store, [path])
    found = {
        row["messages"][-1]["content"]: row["from"] for row in export_rows(sqlite_store, "liked")
    }
    assert found == {"six": "rating", "better": "comparison", "written": "demonstration"}
