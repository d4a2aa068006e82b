"""What the tests of people's work share: a filled store, people, and simulated judgements."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from truing.people.annotators import add_annotator
from truing.people.answers import Answer
from truing.people.assigning import next_assignment
from truing.people.content import (
    add_completion,
    add_prompt,
    add_task,
    stored_completion,
    stored_prompt,
)
from truing.people.judging import record
from truing.people.questions.asking import ask_questions
from truing.people.questions.sets import Question, QuestionSet
from truing.people.sign_ins import sign_in
from truing.people.store import Store
from truing.people.tables import Assignment
from truing.people.vocabulary import KINDS, METADATA

PLAIN_KINDS = tuple(kind for kind in KINDS if kind != "questions")
"""Those that need no set of questions."""
TONE = QuestionSet(
    "tone",
    (
        Question("warm", "How warm is the answer?", ("cold", "mild", "warm")),
        Question("asks", "Does it ask back?", ("yes", "no"), "nominal", optional=True),
    ),
)


@dataclass(frozen=True)
class Someone:
    id: int
    name: str
    token: str
    cookie: str
    """What the cookie of a browser says in which they are signed in."""


def someone(store: Store, name: str, role: str = "annotator") -> Someone:
    with store.writing() as session:
        found, token = add_annotator(session, name, role)  # type: ignore[arg-type]
        return Someone(found.id, name, token, sign_in(session, found.id))


def fill(
    store: Store,
    kinds: Sequence[str] = PLAIN_KINDS,
    *,
    prompts: int = 1,
    wanted: int = 1,
    user_key: str | None = None,
    about: str = "cats",
) -> None:
    """Tasks of the kinds about `prompts` prompts, each with three candidates' completions."""
    with store.writing() as session:
        for number in range(prompts):
            messages = [{"role": "user", "content": f"Question {number} about {about}?"}]
            prompt = add_prompt(session, messages, source="test", consent="own", user_key=user_key)
            answers = [
                add_completion(session, prompt, name, f"{name} answer {number} on {about}")
                for name in ("good", "fair", "poor")
            ]
            if "questions" in kinds:
                about_first = [(stored_prompt(prompt), [stored_completion(answers[0])])]
                ask_questions(session, TONE, about_first, wanted=wanted)
            count = {"rating": 1, "outcome": 1, "comparison": 2, "ranking": 3, "opinion": 3}
            for kind in [each for each in kinds if each != "questions"]:
                add_task(session, kind, prompt, answers[: count.get(kind, 0)], wanted=wanted)


ANSWERS = {
    "demonstration": Answer(text="A careful answer."),
    "rating": Answer(value=6, flags={"true": "yes", "harmful": "no"}),
    "comparison": Answer(preferred="second"),
    "ranking": Answer(ranks={0: 2, 1: 1, 2: 2}),
    "annotation": Answer(use_case="chat", flags={next(iter(METADATA)): "yes"}),
    "outcome": Answer(outcome="partly"),
    "opinion": Answer(choice=1),
    "questions": Answer(grades={"tone.warm": "2", "tone.asks": "1"}),
}


def submission() -> str:
    return secrets.token_hex(16)


def kind_of(store: Store, assignment_id: int) -> str:
    with store.reading() as session:
        return session.get_one(Assignment, assignment_id).task.kind


def work(store: Store, person: Someone, most: int = 1000) -> list[int]:
    """Judge what there is, at most so many times; the judgements' ids."""
    done: list[int] = []
    while len(done) < most:
        assignment = next_assignment(store, person.id)
        if assignment is None:
            break
        kind = kind_of(store, assignment)
        done.append(
            record(store, assignment, person.id, submission(), ANSWERS[kind], kind=kind, seconds=9)
        )
    return done
