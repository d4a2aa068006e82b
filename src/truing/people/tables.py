"""The tables of the store.

Judgements are append-only. A change of mind is a new row that names the one it supersedes; triggers
made by the migration refuse any UPDATE of what people have said. Rows are deleted only in
`erasure.py`, where a person asks for it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Utc(TypeDecorator[dt.datetime]):
    """A moment, kept as UTC without a zone (SQLite knows none), given back with its zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """To UTC. Raises ValueError for a time without a zone, which could mean anything."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone can't be kept; give it one")
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """With its zone."""
        return None if value is None else value.replace(tzinfo=dt.UTC)


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    # Constraints with names, so that a later migration can find them on every database.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Annotator(Base):
    """A person who judges, the lead, or the source of imported judgements."""

    __tablename__ = "annotators"
    __table_args__ = (CheckConstraint("role in ('lead', 'annotator', 'source')", name="role"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    """SHA-256 of the sign-in token; None where nobody can sign in."""
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    groups: Mapped[list[AnnotatorGroup]] = relationship(order_by="AnnotatorGroup.dimension")


class AnnotatorGroup(Base):
    """What annotators say of themselves, if they want to: a dimension and their place in it."""

    __tablename__ = "annotator_groups"
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), primary_key=True)
    dimension: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[str] = mapped_column(String(100))


class SignIn(Base):
    """A browser in which somebody is signed in, by the hash of what its cookie says."""

    __tablename__ = "sign_ins"
    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Prompt(Base):
    """What was asked: messages of role and content, the last of them the user's."""

    __tablename__ = "prompts"
    id: Mapped[int] = mapped_column(primary_key=True)
    messages: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    text_hash: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str] = mapped_column(String(200))
    """Where it came from: a file, a data set, a pilot."""
    consent: Mapped[str] = mapped_column(String(20))
    """One of `vocabulary.CONSENTS`."""
    user_key: Mapped[str | None] = mapped_column(String(200), index=True)
    """Who asked, as a name of the team's choice; all of one user's prompts can be deleted by it."""
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Asking(Base):
    """That a user of the pilot asked something, of which candidate, how often.

    Prompts that differ in case, white space or final punctuation alone are one prompt.
    """

    __tablename__ = "askings"
    __table_args__ = (UniqueConstraint("folded_hash", "user_key", "candidate"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id"), index=True)
    folded_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the normalised messages."""
    user_key: Mapped[str] = mapped_column(String(200), index=True)
    """A pseudonym; empty where the user gave none."""
    candidate: Mapped[str] = mapped_column(String(500))
    count: Mapped[int] = mapped_column("times", default=1)
    first_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    last_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Completion(Base):
    """A candidate's answer to a prompt."""

    __tablename__ = "completions"
    __table_args__ = (UniqueConstraint("prompt_id", "candidate", "text_hash"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id"))
    candidate: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)
    text_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Task(Base):
    """One thing to judge: a kind, a prompt, and the completions that are shown with it."""

    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    prompt_id: Mapped[int] = mapped_column(ForeignKey("prompts.id"), index=True)
    wanted: Mapped[int] = mapped_column()
    """How many people are to judge it; 0 where it was judged before it came here."""
    sort_key: Mapped[str] = mapped_column(String(16), index=True)
    """Its place in the random order, from the seed."""
    key: Mapped[str] = mapped_column(String(64), unique=True)
    """A hash of what it asks about, so that importing a file twice doesn't ask twice."""
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    prompt: Mapped[Prompt] = relationship()
    shown: Mapped[list[TaskCompletion]] = relationship(order_by="TaskCompletion.position")


class TaskCompletion(Base):
    """A completion that a task shows; positions from 0."""

    __tablename__ = "task_completions"
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    completion_id: Mapped[int] = mapped_column(ForeignKey("completions.id"), index=True)
    completion: Mapped[Completion] = relationship()


class Assignment(Base):
    """A task in somebody's hands."""

    __tablename__ = "assignments"
    __table_args__ = (
        UniqueConstraint("task_id", "annotator_id"),
        # Two people who ask at the same moment can't both get the last place.
        UniqueConstraint("task_id", "slot"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), index=True)
    slot: Mapped[int | None] = mapped_column()
    """Which of the `wanted` places it takes; None where it takes none (a gold question, a skip)."""
    order: Mapped[list[int]] = mapped_column("display_order", JSON)
    """Positions of the completions in the order in which they are shown to this person."""
    given_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    task: Mapped[Task] = relationship()


class Draft(Base):
    """What somebody has typed but not handed in. Not a judgement: it may change."""

    __tablename__ = "drafts"
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"), primary_key=True)
    fields: Mapped[dict[str, Any]] = mapped_column(JSON)
    saved_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Judgement(Base):
    """Who said something, when, after how long, on exactly which text. Never changed.

    What was said is in the table of its kind. A withdrawal (undo) and a skip say nothing more.
    """

    __tablename__ = "judgements"
    __table_args__ = (UniqueConstraint("assignment_id", "revision"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    submission: Mapped[str] = mapped_column(String(64), unique=True)
    """Made by the page before it is sent, so that sending it twice can't count it twice."""
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20), index=True)
    """One of `vocabulary.KINDS`, or skip, or withdrawal."""
    revision: Mapped[int] = mapped_column()
    supersedes_id: Mapped[int | None] = mapped_column(ForeignKey("judgements.id"), unique=True)
    prompt_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    seconds: Mapped[float | None] = mapped_column()
    """Time spent on the page with it in view; None where it isn't known (imported)."""
    note: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(String(20), default="")
    """Why it was skipped: one of `vocabulary.SKIP_REASONS`."""
    assignment: Mapped[Assignment] = relationship()
    demonstration: Mapped[Demonstration | None] = relationship()
    rating: Mapped[Rating | None] = relationship()
    comparison: Mapped[Comparison | None] = relationship()
    rankings: Mapped[list[Ranking]] = relationship(order_by="Ranking.rank")
    flags: Mapped[list[Flag]] = relationship(order_by="Flag.name")
    annotation: Mapped[Annotation | None] = relationship()


class Demonstration(Base):
    """An answer that a person wrote."""

    __tablename__ = "demonstrations"
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    text_hash: Mapped[str] = mapped_column(String(64))


class Rating(Base):
    """How good one answer is, 1 (worst) to 7 (best)."""

    __tablename__ = "ratings"
    __table_args__ = (CheckConstraint("value between 1 and 7", name="value"),)
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    completion_id: Mapped[int] = mapped_column(ForeignKey("completions.id"), index=True)
    text_hash: Mapped[str] = mapped_column(String(64))
    value: Mapped[int] = mapped_column()


class Comparison(Base):
    """Which of two answers is better. First and second as this person saw them."""

    __tablename__ = "comparisons"
    __table_args__ = (CheckConstraint("preferred in ('first', 'second', 'tie')", name="preferred"),)
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    first_id: Mapped[int] = mapped_column(ForeignKey("completions.id"), index=True)
    first_hash: Mapped[str] = mapped_column(String(64))
    second_id: Mapped[int] = mapped_column(ForeignKey("completions.id"), index=True)
    second_hash: Mapped[str] = mapped_column(String(64))
    preferred: Mapped[str] = mapped_column(String(10))


class Ranking(Base):
    """One answer's place in a ranking, 1 the best; equal ranks are ties."""

    __tablename__ = "rankings"
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    completion_id: Mapped[int] = mapped_column(
        ForeignKey("completions.id"), primary_key=True, index=True
    )
    text_hash: Mapped[str] = mapped_column(String(64))
    rank: Mapped[int] = mapped_column()


class Flag(Base):
    """A yes, no or unsure: `vocabulary.FLAGS` beside a rating, METADATA beside an annotation.

    Of an outcome it is all that is said: the flag of that name, with one of `vocabulary.OUTCOMES`; of an
    opinion too, with the id of the option; of a set of questions, by each one's key, the grade's number.
    """

    __tablename__ = "flags"
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    value: Mapped[str] = mapped_column(String(10))


class Annotation(Base):
    """What kind of prompt it is, and what the page had suggested."""

    __tablename__ = "annotations"
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), primary_key=True)
    use_case: Mapped[str] = mapped_column(String(30))
    suggested: Mapped[str] = mapped_column(String(30))


class Gold(Base):
    """A task whose right answer the lead knows: everybody gets it, unmarked."""

    __tablename__ = "gold"
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgements.id"), unique=True)
    """The judgement that is held to be right."""
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Guideline(Base):
    """What annotators are told about a kind of task. The newest row of a kind holds."""

    __tablename__ = "guidelines"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), index=True)
    text: Mapped[str] = mapped_column(Text)
    author_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class Erasure(Base):
    """That somebody's data was deleted, when, and how many rows. Not whose."""

    __tablename__ = "erasures"
    id: Mapped[int] = mapped_column(primary_key=True)
    rows: Mapped[dict[str, int]] = mapped_column(JSON)
    erased_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


APPEND_ONLY = (
    "judgements", "demonstrations", "ratings", "comparisons", "rankings", "flags", "annotations",
)  # fmt: skip
"""Tables whose rows can't be changed, only superseded."""
