"""Who gets which work, what is left of it for whom, and until when."""

from __future__ import annotations

import datetime as dt

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from people_clients import form, visit
from people_work import Someone, fill, kind_of, someone, work
from truing.people import Store
from truing.people.assigning import has_work, next_assignment
from truing.people.erasure import erase_annotator
from truing.people.planning.left import Plan, Work, plan
from truing.people.planning.tables import Deadline, Withheld
from truing.people.planning.withholding import withheld, withhold
from truing.people.questions.asking import answers_in_store, ask_questions
from truing.people.questions.sets import Question, QuestionSet
from truing.people.tables import Assignment, Gold, Judgement, Task, now
from truing.people.web import make_app

TONE = QuestionSet("tone", (Question("warm", "How warm is it?", ("cold", "warm")),))
FACTS = QuestionSet("facts", (Question("right", "Is it right?", ("no", "yes"), "nominal"),))


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    """Two prompts: a rating and a comparison of each by two people, and six answers for each set."""
    fill(sqlite_store, ["rating", "comparison"], prompts=2, wanted=2)
    with sqlite_store.writing() as session:
        for asked in (TONE, FACTS):
            ask_questions(session, asked, answers_in_store(session))
    return sqlite_store


def shares(found: Plan, name: str) -> dict[str, tuple[bool, int, int]]:
    (worker,) = (each for each in found.workers if each.annotator.name == name)
    return {
        work.name: (share.gets, share.done, share.left)
        for work, share in zip(found.works, worker.shares, strict=True)
    }


def keep_from(store: Store, who: Someone, *work: str) -> None:
    with store.writing() as session:
        withhold(session, who.id, work)


def test_everybody_gets_everything_until_it_is_withheld(store: Store) -> None:
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    keep_from(store, ada, "rating", "questions.tone", "questions.facts")
    assert [len(work(store, ada)), next_assignment(store, ada.id)] == [2, None]
    with store.reading() as session:
        kinds = select(Judgement.kind).where(Judgement.annotator_id == ada.id)
        assert set(session.scalars(kinds)) == {"comparison"}
        found = plan(session)
        assert shares(found, "Ada") == {
            "rating": (False, 0, 0),
            "comparison": (True, 2, 0),
            "questions.facts": (False, 0, 0),
            "questions.tone": (False, 0, 0),
        }
        assert shares(found, "Bob") == {
            "rating": (True, 0, 2),
            "comparison": (True, 0, 2),
            "questions.facts": (True, 0, 6),
            "questions.tone": (True, 0, 6),
        }
        assert [(each.name, each.done, each.total) for each in found.works] == [
            ("rating", 0, 4), ("comparison", 2, 4), ("questions.facts", 0, 6), ("questions.tone", 0, 6),
        ]  # fmt: skip
        assert found.workers[0].last_seen is not None
    keep_from(store, ada, "comparison", "rating", "questions.tone")
    assignment = next_assignment(store, ada.id)
    assert assignment is not None and kind_of(store, assignment) == "questions"
    with store.reading() as session:
        ada_s = shares(plan(session), "Ada")["questions.facts"]
        assert ada_s == (True, 0, 6)  # what is in her hands is still left for her
    assert has_everything(store, bob)


def has_everything(store: Store, who: Someone) -> bool:
    with store.reading() as session:
        return has_work(session, who.id) and not withheld(session, who.id)


def test_gold_questions_and_what_is_begun_follow_it_too(store: Store) -> None:
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    keep_from(store, bob, "comparison", "questions.tone", "questions.facts")
    said, *_ = work(store, bob, 1)
    with store.writing() as session:
        task = session.get_one(Judgement, said).assignment.task_id
        session.add(Gold(task_id=task, judgement_id=said))
    keep_from(store, ada, "rating", "questions.tone", "questions.facts")
    work(store, ada)
    keep_from(store, ada, "rating", "comparison", "questions.tone", "questions.facts")
    with store.reading() as session:
        assert not has_work(session, ada.id)


@pytest.mark.parametrize(
    ("due", "a_day", "late"), [(None, None, False), (0, 10, False), (3, 3, False), (-1, 10, True)]
)
def test_how_many_a_day_it_takes(due: int | None, a_day: int | None, late: bool) -> None:
    today = dt.date(2026, 3, 2)
    day = None if due is None else today + dt.timedelta(days=due)
    found = Work("rating", 2, 12, 0, day, today)
    assert (found.left, found.a_day, found.is_late) == (10, a_day, late)


@pytest.fixture
def page(store: Store) -> FastAPI:
    return make_app(store)


def test_the_lead_says_who_gets_what_and_places_go_to_others(store: Store, page: FastAPI) -> None:
    lead, ada = someone(store, "Lea", role="lead"), someone(store, "Ada <a>")
    keep_from(store, ada, "comparison", "questions.tone", "questions.facts", "annotation")
    begun = next_assignment(store, ada.id)
    browser = visit(page, lead)
    text = browser.get("/lead/plan").text
    assert "Ada &lt;a&gt;" in text and "<a>" not in text and "Questions: tone" in text
    shown = "rating comparison questions.facts questions.tone"
    gets = {"comparison": "yes", "questions.tone": "yes"}
    done = browser.post(f"/lead/plan/people/{ada.id}", data=form(lead, shown=shown, **gets))
    assert done.status_code == 303 and done.headers["location"] == "/lead/plan"
    with store.reading() as session:
        # What the page didn't show stays as it was.
        assert withheld(session, ada.id) == {"rating", "questions.facts", "annotation"}
        assert begun is not None and session.get_one(Assignment, begun).slot is None
    assert next_assignment(store, ada.id) != begun


def test_last_days(store: Store, page: FastAPI) -> None:
    lead = someone(store, "Lea", role="lead")
    browser = visit(page, lead)
    day = (now() + dt.timedelta(days=1)).date().isoformat()
    assert browser.post(
        "/lead/plan/due", data=form(lead, work="questions.tone", due=day)
    ).is_redirect
    with store.reading() as session:
        first = plan(session).works[0]
        assert (first.name, first.a_day) == ("questions.tone", 3)
    assert f'value="{day}"' in browser.get("/lead/plan").text
    for fields, problem in (
        ({"work": "rating", "due": "tomorrow"}, "Last day: give a date as YYYY-MM-DD"),
        ({"work": "annotation", "due": day}, "none named &#39;annotation&#39;"),
    ):
        refused = browser.post("/lead/plan/due", data=form(lead, **fields))
        assert refused.status_code == 422 and problem in refused.text
    browser.post("/lead/plan/due", data=form(lead, work="questions.tone", due=""))
    with store.reading() as session:
        assert session.scalars(select(Deadline)).all() == []


def test_nobody_but_the_lead_plans_and_only_from_our_own_page(store: Store, page: FastAPI) -> None:
    lead, ada = someone(store, "Lea", role="lead"), someone(store, "Ada")
    assert visit(page, ada).get("/lead/plan").status_code == 403
    for path in ("/lead/plan/due", f"/lead/plan/people/{ada.id}"):
        fields = {"work": "rating", "due": "2030-01-01", "shown": "rating"}
        assert visit(page, ada).post(path, data=form(ada, **fields)).status_code == 403
        assert visit(page, lead).post(path, data={**fields, "csrf": "x"}).status_code == 403
    assert visit(page, lead).post("/lead/plan/people/999", data=form(lead)).status_code == 404
    with store.reading() as session:
        assert session.scalars(select(Withheld)).all() == []
        assert session.scalar(select(Task.id).limit(1))


def test_erasing_somebody_takes_along_what_they_did_not_get(store: Store) -> None:
    keep_from(store, someone(store, "Ada"), "rating", "comparison")
    assert erase_annotator(store, "Ada")["withheld_work"] == 2


def test_a_plan_of_an_empty_store_is_a_page(sqlite_store: Store) -> None:
    lead = someone(sqlite_store, "Lea", role="lead")
    answer = visit(make_app(sqlite_store), lead).get("/lead/plan")
    assert answer.status_code == 200 and "nothing to judge yet" in answer.text
