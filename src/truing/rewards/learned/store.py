"""The judgements that stand in a store of people's work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from truing.data.messages import turns_of
from truing.people.assigning import is_current
from truing.people.content import check_consents
from truing.people.exchange.demonstrating import STORES
from truing.people.store import open_store
from truing.people.tables import (
    Annotator,
    Assignment,
    Completion,
    Prompt,
    Task,
)
from truing.people.tables import (
    Judgement as Row,
)
from truing.rewards.learned.judgements import Judgement, Judgements

KINDS = ("comparison", "ranking", "rating")
_RANKS = {"first": (1, 2), "second": (2, 1), "tie": (1, 1)}


def is_store(source: str) -> bool:
    """Whether a source is a store: a database's URL, or a file of SQLite's usual endings."""
    return "://" in source or Path(source).suffix.lower() in STORES


def judgements_of_store(source: str, consents: Collection[str] = ()) -> Judgements:
    """Every comparison, ranking and rating that stands, of prompts with one of these consents (all without
    any), in the order in which they were made.

    Raises InputError where there is no such store, or a consent is unknown.
    """
    check_consents(consents)
    store = open_store(source, must_exist=True)
    try:
        with store.reading() as session:
            rows = _standing(session)
            agreed = [row for row in rows if not consents or _prompt(row).consent in consents]
            known = session.scalars(select(Annotator).options(selectinload(Annotator.groups)))
            people = {each.id: each for each in known}
            texts = {each.id: each.text for each in session.scalars(select(Completion))}
            judgements = tuple(
                _judgement(row, texts, people[row.annotator_id], str(store)) for row in agreed
            )
    finally:
        store.close()
    reason = f"without the consent {' or '.join(consents)}"
    left_out = {reason: len(rows) - len(agreed)} if len(rows) > len(agreed) else {}
    return Judgements(judgements, left_out, str(store))


def _standing(session: Session) -> list[Row]:
    query = (
        select(Row)
        .where(is_current(), Row.kind.in_(KINDS))
        .options(
            joinedload(Row.assignment).joinedload(Assignment.task).joinedload(Task.prompt),
            joinedload(Row.rating),
            joinedload(Row.comparison),
            selectinload(Row.rankings),
        )
        .order_by(Row.id)
    )
    return list(session.scalars(query))


def _prompt(row: Row) -> Prompt:
    return row.assignment.task.prompt


def _judgement(row: Row, texts: Mapping[int, str], person: Annotator, where: str) -> Judgement:
    """A row as a judgement; what was imported without a judge's name was said by nobody known."""
    rating: int | None = None
    ranks: tuple[int, ...] = ()
    if row.comparison:
        ids = [row.comparison.first_id, row.comparison.second_id]
        ranks = _RANKS[row.comparison.preferred]
    elif row.rating:
        ids, rating = [row.rating.completion_id], row.rating.value
    else:
        ids = [each.completion_id for each in row.rankings]
        ranks = tuple(each.rank for each in row.rankings)
    return Judgement(
        turns_of(_prompt(row).messages),
        tuple(texts[each] for each in ids),
        ranks,
        rating,
        "" if person.role == "source" and person.name == _prompt(row).source else person.name,
        {group.dimension: group.value for group in person.groups},
        _prompt(row).user_key or "",
        f"{where}: judgement {row.id}",
    )
