"""Tasks for Argilla and Label Studio, and what people said there: the same after a round trip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from people_work import fill, someone, work
from truing.cli.main import app
from truing.people import Store, open_store
from truing.people.content import add_completion, add_prompt, add_task
from truing.people.exchange import export_file, export_tasks, import_files
from truing.people.exchange.exporting import export_rows
from truing.people.exchange.label_studio import control_of
from truing.people.exchange.records import items_of
from truing.people.exchange.tasks import ANSWERS, KINDS, TEXTS
from truing.people.tables import Judgement, Prompt
from truing.types import InputError

PROGRAMS = ("argilla", "label-studio")
FORMS = {"demonstration": "messages", "rating": "ratings", "comparison": "preference",
         "annotation": "annotations"}  # fmt: skip
APART = ("annotator", "judged_at", "seconds", "source", "suggested_use_case")


def judged(store: Store) -> None:
    """Two people's judgements of every kind, on prompts of one turn and of three."""
    fill(store, KINDS, prompts=2, wanted=2, user_key="u1")
    with store.writing() as session:
        turns = [{"role": r, "content": c} for r, c in
                 (("user", "Hi"), ("assistant", "Hello\n<b>"), ("user", "Why “so”?"))]  # fmt: skip
        prompt = add_prompt(session, turns, source="test", consent="own")
        answers = [add_completion(session, prompt, name, f"{name} & co") for name in ("a", "b")]
        for kind in KINDS:
            add_task(session, kind, prompt, answers[: len(TEXTS[kind])], wanted=2)
    for name in ("Ada", "Bob"):
        work(store, someone(store, name))


def said(store: Store, form: str) -> list[str]:
    rows = export_rows(store, form)
    return sorted(
        json.dumps({k: v for k, v in row.items() if k not in APART}, sort_keys=True) for row in rows
    )


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_round_trip_keeps_every_judgement(
    sqlite_store: Store, tmp_path: Path, program: str, kind: str
) -> None:
    judged(sqlite_store)
    path = tmp_path / "tasks.json"
    tasks, beside = export_tasks(sqlite_store, path, program, kind, judged=True)
    assert tasks == 3 and beside.is_file()
    other = open_store(str(tmp_path / "other.db"))
    import_files(other, [path], consent="own")
    assert said(other, FORMS[kind]) == said(sqlite_store, FORMS[kind])
    with other.reading() as session:
        assert session.scalar(select(func.count()).select_from(Judgement)) == 6
    assert import_files(other, [path], consent="own").added == {}
    other.close()


@pytest.mark.parametrize("program", PROGRAMS)
def test_without_judgements_only_the_tasks_go(
    sqlite_store: Store, tmp_path: Path, program: str
) -> None:
    judged(sqlite_store)
    path = tmp_path / "tasks.json"
    export_tasks(sqlite_store, path, program, "rating")
    text = path.read_text("utf-8")
    assert "Ada" not in text and "annotator-" not in text
    other = open_store(str(tmp_path / "other.db"))
    imported = import_files(other, [path], ask=["rating"])
    assert imported.added == {"prompts": 3, "completions": 3, "tasks": 3}
    other.close()
    assert export_tasks(sqlite_store, path, program, "rating", ["given"])[0] == 0


def test_the_settings_ask_what_the_records_hold(sqlite_store: Store, tmp_path: Path) -> None:
    judged(sqlite_store)
    for kind in KINDS:
        path = tmp_path / "a.json"
        _, beside = export_tasks(sqlite_store, path, "argilla", kind, judged=True)
        settings, records = json.loads(beside.read_text()), json.loads(path.read_text())
        assert [q["name"] for q in settings["questions"]] == list(ANSWERS[kind])
        fields = {field["name"] for field in settings["fields"]}
        assert all(record["fields"].keys() == fields for record in records)
        assert all(record["responses"].keys() <= set(ANSWERS[kind]) for record in records)
        hidden = {each["name"]: each["visible_for_annotators"] for each in settings["metadata"]}
        assert not any(hidden.values())
        assert all(record["metadata"].keys() <= hidden.keys() for record in records)
        _, beside = export_tasks(sqlite_store, path, "label-studio", kind, judged=True)
        view, tasks = ElementTree.fromstring(beside.read_text()), json.loads(path.read_text())
        controls = {each.get("name"): each for each in view if each.get("toName")}
        assert list(controls) == [control_of(name) for name in ANSWERS[kind]]
        objects = [each for each in view if each.get("name") and not each.get("toName")]
        shown = {each.get("value", "").removeprefix("$") for each in objects}
        assert all(task["data"].keys() == shown for task in tasks)
        for result in (r for task in tasks for a in task["annotations"] for r in a["result"]):
            control = controls[result["from_name"]]
            assert control.tag.lower() == result["type"]
            aliases = {choice.get("alias") for choice in control}
            assert set(result["value"].get("choices", [])) <= aliases


def test_argillas_other_forms_are_read() -> None:
    """As `to_datasets` has it; drafts and discarded records aren't judgements."""
    flat = {
        "id": "1", "status": "completed", "prompt": [{"role": "user", "content": "Why?"}],
        "answer": "Because.", "answer_candidate": "sft", "user": "u1",
        "rating.responses": [6, 2, 1], "rating.responses.users": ["a", "b", "c"],
        "rating.responses.status": ["submitted", "submitted", "draft"],
        "true.responses": ["yes"], "true.responses.users": ["b"],
        "true.responses.status": ["submitted"], "harmful.responses": None,
    }  # fmt: skip
    first, second = items_of(flat)
    assert (first.rating, first.flags, first.judge, first.user) == (6, {}, "a", "u1")
    assert (second.rating, second.flags, second.judge) == (2, {"true": "yes"}, "b")
    assert first.completions == [("sft", "Because.")]
    nobody = {"id": "2", "prompt": "Why?", "answer": "So.", "rating.responses": None}
    [item] = items_of(nobody)
    assert item.rating is None and item.completions == [("", "So.")]
    with pytest.raises(InputError, match="3 responses by 1 people"):
        items_of(flat | {"rating.responses.users": ["a"]})


def test_label_studios_export_is_read() -> None:
    """People by e-mail, skipped tasks, several lines of text."""
    task = {
        "id": 7, "data": {"prompt": "Why?"}, "predictions": [],
        "annotations": [
            {"completed_by": {"email": "a@example.org"}, "lead_time": 12.5, "result": [
                {"from_name": "written", "to_name": "prompt", "type": "textarea",
                 "value": {"text": ["One.", "Two."]}}]},
            {"completed_by": 3, "was_cancelled": True, "result": []},
        ],
    }  # fmt: skip
    [item] = items_of(task)
    assert (item.demonstration, item.judge) == ("One.\nTwo.", "a@example.org")


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"fields": {"text": "a"}, "responses": {}}, "fields: has no 'prompt', only 'text'"),
        ({"fields": {"prompt": "a", "x": "b"}, "responses": {"y": []}}, "shows x and asks y"),
        ({"fields": {"prompt": "a"}, "responses": {"written": "b"}}, "responses.written: must be"),
        ({"fields": {"prompt": "a", "answer": "b"},
          "responses": {"rating": [{"value": 9, "user_id": "u"}]}}, "rating: 9 must be"),
        ({"fields": {"prompt": "a", "answer": "b"},
          "responses": {"true": [{"value": "yes", "user_id": "u"}]}}, "rating: not answered by u"),
        ({"fields": {"prompt": "a"}, "responses": {"use_case": [{"value": "poem"}]}}, "'poem' is none"),
        ({"data": {"prompt": 3}, "annotations": []}, "prompt: must be a list of messages"),
        ({"data": {"prompt": "a"}, "annotations": [{"result": 3}]}, "annotations: must be objects"),
        ({"data": {"prompt": "a"}, "annotations": [{"result": [{"from_name": "written"}]}]},
         "a result has no value"),
        ({"data": [], "annotations": []}, "data, meta: must be objects"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_record_is_named(
    sqlite_store: Store, tmp_path: Path, record: Any, problem: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([{"prompt": "Good"}, record]))
    with pytest.raises(InputError, match=r"bad\.json: record 2: ") as refusal:
        import_files(sqlite_store, [path])
    assert problem in str(refusal.value) and "nothing was imported" in str(refusal.value)
    with sqlite_store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prompt)) == 0


@pytest.mark.parametrize("form", ["messages", "prompt-completion", "preference", "ratings"])
def test_parquet_says_what_jsonl_says(sqlite_store: Store, tmp_path: Path, form: str) -> None:
    judged(sqlite_store)
    path = tmp_path / "rows.parquet"
    assert export_file(sqlite_store, path, form) == len(export_rows(sqlite_store, form))
    found = [
        {k: v for k, v in row.items() if v is not None} for row in pq.read_table(path).to_pylist()
    ]
    wanted = [
        {k: v for k, v in r.items() if v is not None} for r in export_rows(sqlite_store, form)
    ]
    assert found == wanted
    other = open_store(str(tmp_path / "other.db"))
    import_files(other, [path], consent="own")
    assert said(other, form) == said(sqlite_store, form)
    other.close()


def test_parquet_of_nothing_and_with_rows_of_several_forms(
    sqlite_store: Store, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.parquet"
    assert export_file(sqlite_store, empty, "messages") == 0
    with pytest.raises(InputError, match="no line with a prompt"):
        import_files(sqlite_store, [empty])
    mixed = tmp_path / "mixed.parquet"  # a column that one form lacks is null in its rows
    pq.write_table(pa.Table.from_pydict({"prompt": ["a", "b"], "completion": [None, "c"]}), mixed)
    added = import_files(sqlite_store, [mixed]).added
    assert added == {"prompts": 2, "tasks": 1, "judgements": 1}
    bad = tmp_path / "bad.parquet"
    pq.write_table(pa.Table.from_pydict({"prompt": ["a", " "]}), bad)
    with pytest.raises(InputError, match=r"bad\.parquet: row 2: prompt: empty"):
        import_files(sqlite_store, [bad])


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="truing")


def test_the_command_says_both_files_and_refuses_what_does_not_fit(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    judged(sqlite_store)
    store = ["--store", sqlite_store.url.database]
    done = run("data", "export", "t.json", "--form", "label-studio", "--kind", "comparison", *store)
    assert done.stdout == "t.json: 3 tasks; settings: t.config.xml\n"
    done = run(
        "data", "export", "a.json", "--form", "argilla", "--kind", "rating", "--json", *store
    )
    assert json.loads(done.stdout) == {
        "file": "a.json", "beside": "a.settings.json", "form": "argilla", "tasks": 3
    }  # fmt: skip
    for options, problem in (
        (["a.json", "--form", "argilla"], "--kind: no ''; give one of demonstration"),
        (["a.json", "--form", "argilla", "--kind", "ranking"], "--form preference"),
        (["a.jsonl", "--form", "argilla", "--kind", "rating"], "name the file .json"),
        (["a.jsonl", "--kind", "rating"], "--kind, --judged: belong to"),
    ):
        refused = run("data", "export", *options, *store)
        assert refused.exit_code == 2 and problem in refused.stderr
    assert sorted(p.name for p in tmp_path.glob("[at].*")) == [
        "a.json", "a.settings.json", "t.config.xml", "t.json"
    ]  # fmt: skip
