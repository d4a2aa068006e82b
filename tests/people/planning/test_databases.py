"""Question sets and the plan on each database: their queries group, join and cut differently."""

from __future__ import annotations

from people_work import fill, someone, submission, work
from truing.people import Store
from truing.people.answers import Answer
from truing.people.assigning import next_assignment
from truing.people.exchange import exported
from truing.people.judging import record
from truing.people.planning.left import plan, set_deadline
from truing.people.planning.withholding import withhold
from truing.people.questions.asking import answers_in_store, ask_questions, asked_questions
from truing.people.questions.results import graded
from truing.people.questions.sets import Question, QuestionSet
from truing.people.searching import search

TONE = QuestionSet("tone", (Question("warm", "How warm is it?", ("cold", "warm")),))


def test_a_day_of_labelling(store: Store) -> None:
    fill(store, ["rating", "demonstration"], wanted=2)
    with store.writing() as session:
        assert ask_questions(session, TONE, answers_in_store(session), wanted=2) == 3
        set_deadline(session, "questions.tone", "2030-01-31")
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    with store.writing() as session:
        withhold(session, ada.id, ["questions.tone"])
        withhold(session, bob.id, ["rating", "demonstration"])
    assert len(work(store, ada)) == 2
    assignment = next_assignment(store, bob.id)
    assert assignment is not None
    said = Answer(grades={"tone.warm": "2"})
    record(store, assignment, bob.id, submission(), said, kind="questions")
    with store.reading() as session:
        found = plan(session)
        assert [(each.name, each.done, each.left) for each in found.works] == [
            ("questions.tone", 1, 5), ("demonstration", 1, 1), ("rating", 1, 1),
        ]  # fmt: skip
        parts = [[(s.gets, s.done, s.left) for s in each.shares] for each in found.workers]
        assert parts == [
            [(False, 0, 0), (True, 1, 0), (True, 1, 0)],
            [(True, 1, 2), (False, 0, 0), (False, 0, 0)],
        ]
        (of_tone,) = graded(session, asked_questions(session))
        assert of_tone.grades == (("cold", 0), ("warm", 1)) and of_tone.people == 1
        assert search(session, "CAREFUL").count == 1
    assert [row["grade"] for row in exported(store, "grades").rows] == ["warm"]
