"""No row is lost on the way in or out: round trips of every form, later files, and what is counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from truing.cli.main import app
from truing.people import Store, open_store
from truing.people.exchange import (
    EXPORT_FORMS,
    export_file,
    export_tasks,
    exported,
    import_files,
)
from truing.people.exchange.exporting import GONE, export_rows
from truing.people.exchange.tasks import KINDS
from truing.people.vocabulary import METADATA

USER = {"role": "user", "content": "Is rain wet?"}
BOT = {"role": "assistant", "content": "It is."}
PAIR = {"prompt": "Is rain wet?", "completion": "It is."}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments], prog_name="truing")


def crowded(store: Store, folder: Path) -> None:
    """Several things about one prompt by one source, the same words twice, by two people, of kinds."""
    flags = {"true": "yes", "harmful": "no"}
    kinds: list[dict[str, Any]] = [
        {"completion": "One."}, {"completion": "Two."}, {"completion": "One."},
        {"completion": "One.", "rating": 7, **flags}, {"completion": "One.", "rating": 1},
        {"completion": "One.", "rating": 7, **flags},
        {"chosen": "One.", "rejected": "Two."}, {"chosen": "Two.", "rejected": "One."},
        {"chosen": "One.", "rejected": "Two."},
        {"chosen": "One.", "rejected": "One.", "chosen_candidate": "a", "rejected_candidate": "b"},
        {"use_case": "chat", "metadata": {next(iter(METADATA)): "unsure"}},
        {"use_case": "other", "metadata": {}}, {"use_case": "chat", "metadata": {}},
    ]  # fmt: skip
    turns = [USER, BOT, {"role": "user", "content": "Why\u2028so?"}]
    asked: list[Any] = ["Name a\tnumber: “ä”", turns]
    rows = [
        {"prompt": prompt, **said, **({"annotator": person} if person else {})}
        for prompt in asked
        for said in kinds
        for person in ("", "p1", "p2")
    ]
    import_files(store, [write(folder / "crowd.jsonl", *rows)], consent="own")


def said(rows: list[dict[str, Any]]) -> Counter[str]:
    apart = ("annotator", "judged_at", "source", "suggested_use_case", "from")
    return Counter(
        json.dumps(
            {k: v for k, v in row.items() if k not in apart and v is not None}, sort_keys=True
        )
        for row in rows
    )


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    "form", [form for form in EXPORT_FORMS if form not in ("outcomes", "grades")]
)
def test_a_round_trip_of_every_form_keeps_every_row(
    sqlite_store: Store, tmp_path: Path, form: str, ending: str
) -> None:
    """Outcomes aside: what reads them is the judge that learns from them (test_outcomes_of_run.py). And
    grades, which belong to the store that has their questions."""
    crowded(sqlite_store, tmp_path)
    path = tmp_path / f"out.{ending}"
    first = export_rows(sqlite_store, form)
    assert export_file(sqlite_store, path, form) == len(first) > 12
    other = open_store(str(tmp_path / "other.db"))
    imported = import_files(other, [path])
    assert imported.records == imported.added["judgements"] == len(first)
    back = "messages" if form == "liked" else form
    second = export_rows(other, back)
    assert said(second) == said(first)
    other.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", ["argilla", "label-studio"])
def test_a_round_trip_through_a_labelling_program_keeps_every_judgement(
    sqlite_store: Store, tmp_path: Path, kind: str, program: str
) -> None:
    crowded(sqlite_store, tmp_path)
    path = tmp_path / "tasks.json"
    export_tasks(sqlite_store, path, program, kind, judged=True)
    other = open_store(str(tmp_path / "other.db"))
    import_files(other, [path], consent="own")
    form = {"demonstration": "messages", "rating": "ratings", "comparison": "preference",
            "annotation": "annotations"}[kind]  # fmt: skip
    assert said(export_rows(other, form)) == said(export_rows(sqlite_store, form))
    other.close()


def test_a_later_file_supersedes_one_for_one_what_it_no_longer_says(
    store: Store, tmp_path: Path
) -> None:
    def answers() -> list[str]:
        return [row["completion"] for row in export_rows(store, "prompt-completion")]

    path, prompt = tmp_path / "a.jsonl", {"prompt": "Name a number."}
    write(path, *({**prompt, "completion": each} for each in ("One.", "Two.", "Three.")))
    import_files(store, [path])
    write(path, *({**prompt, "completion": each} for each in ("One.", "Four.", "Two.", "Five.")))
    imported = import_files(store, [path])
    assert imported.added == {"judgements": 2}
    assert (imported.there, imported.superseded) == (2, 1)
    assert answers() == ["One.", "Two.", "Four.", "Five."]
    write(path, {**prompt, "completion": "Three."})
    imported = import_files(store, [path])
    assert (imported.there, imported.gone) == (1, 1) and "don't stand" in "".join(imported.notes())
    assert exported(store, "messages").left_out == {GONE: 1}


def test_exports_say_what_gives_no_row(sqlite_store: Store, tmp_path: Path) -> None:
    tie = {"fields": {"prompt": "?", "first": "a", "second": "b"},
           "responses": {"preferred": [{"value": "tie", "user_id": "u"}]}}  # fmt: skip
    rows = [PAIR, {**PAIR, "rating": 2}, {**PAIR, "rating": 7}, tie]
    import_files(sqlite_store, [write(tmp_path / "a.jsonl", *rows)], consent="own")
    public = write(tmp_path / "b.jsonl", {"prompt": "New?", "completion": "Yes."})
    import_files(sqlite_store, [public], consent="public")
    assert exported(sqlite_store, "messages", ["own"]).left_out == {
        "without the consent own": 1, "of other kinds": 3
    }  # fmt: skip
    store = ["--store", sqlite_store.url.database]
    done = run("data", "export", tmp_path / "l.jsonl", "--form", "liked", *store)
    assert done.stdout.endswith(
        "3 rows; left out: 2 rated below 6, called false or harmful, or ties\n"
    )
    done = run("data", "export", tmp_path / "p.jsonl", "--form", "preference", "--json", *store)
    counts = json.loads(done.stdout)
    assert (counts["rows"], counts["left_out"]) == (0, {"of other kinds": 4, "ties": 1})
