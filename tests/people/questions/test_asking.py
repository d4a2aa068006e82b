"""Question sets from the file to the export: asked on the page, graded, agreed on, erased."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from typer.testing import CliRunner

from people_clients import form, visit
from people_work import Someone, fill, kind_of, someone, submission
from truing.cli.main import app as commands
from truing.people import Store, serving
from truing.people.answers import Answer
from truing.people.assigning import next_assignment
from truing.people.erasure import erase_user
from truing.people.exchange import exported
from truing.people.judging import record, withdraw
from truing.people.observations import current
from truing.people.overview import disagreements, matches_gold
from truing.people.questions.asking import answers_in_store, ask_questions, stored_sets
from truing.people.questions.sets import Question, QuestionSet, read_question_set
from truing.people.questions.tables import SetTask
from truing.people.tables import Draft, Judgement, Task
from truing.people.web import make_app
from truing.types import InputError

MANNERS = """\
questions:
  - {name: polite, question: "How <polite> is it?", grades: [rude & brief, neutral, polite]}
  - {name: asks, question: "Does it ask back?", grades: [yes, no], scale: nominal, optional: true}
"""


@pytest.fixture
def manners(tmp_path: Path) -> QuestionSet:
    (tmp_path / "manners.yaml").write_text(MANNERS)
    return read_question_set(tmp_path / "manners.yaml")


@pytest.fixture
def store(sqlite_store: Store, manners: QuestionSet) -> Store:
    """A prompt with an answer of each of three candidates, and the set asked about each."""
    fill(sqlite_store, ["demonstration"], prompts=1, user_key="u1")
    with sqlite_store.writing() as session:
        assert ask_questions(session, manners, answers_in_store(session), wanted=3) == 3
    return sqlite_store


def said(store: Store, who: Someone, *grades: dict[str, str], of: str = "manners") -> list[int]:
    """Grades for one task after the other, by the short name of the question of a set."""
    done = []
    for given in grades:
        assignment = next_assignment(store, who.id)
        while assignment and kind_of(store, assignment) != "questions":
            record(
                store, assignment, who.id, submission(), Answer(text="Mine."), kind="demonstration"
            )
            assignment = next_assignment(store, who.id)
        assert assignment is not None
        answer = Answer(grades={f"{of}.{name}": value for name, value in given.items()})
        done.append(record(store, assignment, who.id, submission(), answer, kind="questions"))
    return done


def test_asking_again_adds_nothing_and_a_changed_set_needs_another_name(
    store: Store, manners: QuestionSet
) -> None:
    with store.writing() as session:
        ask_questions(session, manners, answers_in_store(session), wanted=3)
        assert session.scalar(select(func.count()).select_from(SetTask)) == 3
        assert stored_sets(session) == {"manners": manners}
    changed = QuestionSet("manners", manners.questions[:1])
    with (
        pytest.raises(InputError, match="other questions under 'manners'"),
        store.writing() as session,
    ):
        ask_questions(session, changed, answers_in_store(session))
    other = QuestionSet("tone", manners.questions[:1])
    with store.writing() as session:
        ask_questions(session, other, answers_in_store(session))
        assert session.scalar(select(func.count()).where(Task.kind == "questions")) == 6


def test_options_of_a_survey_are_no_answers(sqlite_store: Store, manners: QuestionSet) -> None:
    fill(sqlite_store, ["opinion"])
    with (
        pytest.raises(InputError, match="no answers to ask about"),
        sqlite_store.writing() as session,
    ):
        ask_questions(session, manners, answers_in_store(session))
    with sqlite_store.reading() as session:
        assert not stored_sets(session)


@pytest.mark.parametrize(
    ("grades", "problem"),
    [
        ({}, "'How <polite> is it\\?': choose a grade"),
        ({"asks": "1"}, "'How <polite> is it\\?': choose a grade"),
        ({"polite": "4"}, "choose a grade"),
        ({"polite": "0"}, "choose a grade"),
        ({"polite": "polite"}, "choose a grade"),
        ({"polite": "1", "asks": "3"}, "'Does it ask back\\?': choose a grade"),
        ({"polite": "1", "warm": "2"}, "manners.warm: isn't asked here"),
    ],
)
def test_a_grade_that_is_not_one_is_refused(
    store: Store, grades: dict[str, str], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        said(store, someone(store, "Ada"), grades)
    with store.reading() as session:
        assert not session.scalar(select(func.count()).where(Judgement.kind == "questions"))


def test_what_people_choose_is_exported_and_agreed_on(store: Store, manners: QuestionSet) -> None:
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    first, *_ = said(store, ada, {"polite": "1", "asks": "2"}, {"polite": "3"}, {"polite": "3"})
    said(store, bob, {"polite": "3"}, {"polite": "3"}, {"polite": "3"})
    rows = exported(store, "grades").rows
    assert len(rows) == 7
    asked_back = [row for row in rows if row["question"] == "asks"]
    assert [(row["grade"], row["number"], row["grades"]) for row in asked_back] == [
        ("no", 2, ["yes", "no"])
    ]
    assert {row["completion"] for row in rows} == {
        f"{name} answer 0 on cats" for name in ("good", "fair", "poor")
    }
    with store.reading() as session:
        found = current(session)
        columns = found.columns()
        assert set(columns) == {"manners.polite", "manners.asks"}
        (apart,) = disagreements(columns, steps={"manners.polite": 2, "manners.asks": 0})
        assert (apart.question, apart.distance) == ("manners.polite", 1.0)
        by_id = {each.id: each for each in found.said}
        twin = next(
            each for each in found.said
            if each.annotator == bob.id and each.task == by_id[first].task
        )  # fmt: skip
        assert matches_gold(by_id[first], by_id[first]) and not matches_gold(twin, by_id[first])
    withdraw(store, first, ada.id, submission())
    with store.reading() as session:
        (draft,) = session.scalars(select(Draft)).all()
        assert draft.fields["manners.polite"] == "1" and draft.fields["manners.asks"] == "2"
    assert len(exported(store, "grades").rows) == 5


def test_erasing_a_user_takes_the_questions_about_their_answers_along(store: Store) -> None:
    said(store, someone(store, "Ada"), {"polite": "1"})
    counts = erase_user(store, "u1")
    assert counts["question_tasks"] == 3 and counts["flags"] == 1
    assert exported(store, "grades").rows == []


@pytest.fixture
def page(store: Store) -> FastAPI:
    return make_app(store)


def test_the_page_asks_keeps_a_draft_and_shows_the_lead_what_was_said(
    store: Store, page: FastAPI
) -> None:
    ada, lead = someone(store, "Ada"), someone(store, "Lea", role="lead")
    said(store, someone(store, "Bob"), *[{"polite": "1", "asks": "1"}] * 3)
    said(store, ada, {"polite": "3"}, {"polite": "2"})
    browser = visit(page, ada)
    at = browser.get("/work").headers["location"]
    text = browser.get(at).text
    assert "How &lt;polite&gt; is it?" in text and "rude &amp; brief" in text
    assert text.count('name="manners.polite"') == 3 and text.count('name="manners.asks"') == 3
    fields = {"kind": "questions", "manners.polite": "2"}
    assert browser.post(f"{at}/draft", data=form(ada, **fields)).status_code == 204
    assert 'name="manners.polite" value="2" checked' in browser.get(at).text
    left_open = browser.post(f"{at}/judgement", data=form(ada, kind="questions"))
    assert left_open.status_code == 422 and "choose a grade" in left_open.text
    assert browser.post(f"{at}/judgement", data=form(ada, **fields)).status_code == 303
    seen = visit(page, lead)
    overview = seen.get("/lead").text
    assert "How &lt;polite&gt; is it?" in overview and "How <polite>" not in overview
    assert "rude &amp; brief · polite" in overview  # to discuss
    assert "rude &amp; brief: 1 · neutral: " in overview  # candidate by candidate
    assert "others: rude &amp; brief" in seen.get("/lead/confusion?question=manners.polite").text
    with store.reading() as session:
        task = session.scalar(select(SetTask.task_id).order_by(SetTask.task_id))
    assert "How &lt;polite&gt; is it?: rude &amp; brief" in seen.get(f"/lead/tasks/{task}").text


def test_grades_beyond_the_ninth_stand_in_their_order(sqlite_store: Store) -> None:
    fill(sqlite_store, ["demonstration"], prompts=1)
    wide = QuestionSet("wide", (Question("how", "How?", tuple(f"g{n}" for n in range(1, 13))),))
    with sqlite_store.writing() as session:
        ask_questions(session, wide, answers_in_store(session), wanted=2)
    for name, grade in (("Ada", "10"), ("Bob", "9")):
        said(sqlite_store, someone(sqlite_store, name), *[{"how": grade}] * 3, of="wide")
    lead = visit(make_app(sqlite_store), someone(sqlite_store, "Lea", role="lead"))
    text = lead.get("/lead/confusion?question=wide.how").text
    assert 0 < text.index("others: g9<") < text.index("others: g10<")


def _label(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr(serving, "run", lambda *given, **more: None)
    return CliRunner().invoke(commands, ["label", "--port", "0", *arguments])


def test_the_command_asks_about_every_answer_of_the_store(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tone.yaml").write_text(MANNERS)
    where = str(store.url.database)
    done = _label(monkeypatch, "--store", where, "--questions", str(tmp_path / "tone.yaml"))
    assert done.exit_code == 0 and "Asked: 2 questions about each of 3 answers" in done.output
    (tmp_path / "tone.yaml").write_text(MANNERS.replace("neutral", "so so"))
    again = _label(monkeypatch, "--store", where, "--questions", str(tmp_path / "tone.yaml"))
    assert again.exit_code == 2 and "tone.yaml: name: the store has other questions" in again.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--ask", "rating"], "--questions: goes with"),
        (["--limit", "3"], "--between, --limit: belong to --run"),
        (["--demo"], "give one of them"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tone.yaml").write_text(MANNERS)
    monkeypatch.chdir(tmp_path)
    done = _label(monkeypatch, "--questions", "tone.yaml", *arguments)
    assert done.exit_code == 2 and problem in done.output
    assert not list(tmp_path.glob("*.db"))
