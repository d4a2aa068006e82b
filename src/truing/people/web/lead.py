"""The lead's pages: how the work goes, where people disagree, who they are, what they are told."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current
from truing.people.contrasts import Alphas, GroupContrast, group_contrasts
from truing.people.guidelines import guideline, write_guideline
from truing.people.judging import NotYours
from truing.people.live.overview import HEIGHT, WIDTH, LiveProgress, live_progress, live_version
from truing.people.observations import Record
from truing.people.overview import (
    Disagreement,
    KindProgress,
    Worker,
    disagreements,
    progress_by_kind,
    workers,
)
from truing.people.questions.asking import asked_questions, question_types
from truing.people.questions.results import Graded, graded
from truing.people.questions.tables import StoredSet
from truing.people.results import MeanRating, Win, ratings, wins
from truing.people.tables import Annotator, AnnotatorGroup, Gold, Judgement, Task, now
from truing.people.vocabulary import KINDS, SKIP_REASONS
from truing.people.web.visitors import (
    Fields,
    Id,
    Lead,
    LeadPoster,
    Site,
    form_schema,
    page,
    see_other,
    site,
    whole_number,
)
from truing.statistics.agreement import Value, agreement_rate, confusion
from truing.types import Estimate

router = APIRouter(prefix="/lead")
MOST_PAIRS = 20
"""Candidates, or pairs of them, on the lead's page."""


@dataclass(frozen=True)
class Overview:
    """Everything on the lead's first page."""

    kinds: list[KindProgress]
    trainings: list[LiveProgress]
    workers: list[Worker]
    agreement: list[tuple[str, Estimate]]
    disagreements: list[Disagreement]
    contrasts: list[GroupContrast]
    wins: list[Win]
    ratings: list[MeanRating]
    graded: list[Graded]
    skips: list[tuple[str, int]]
    skipped: list[tuple[int, str, str]]
    """The latest skips: task, reason, note."""
    made_at: dt.datetime


def _others(session: Session) -> tuple[object, ...]:
    """Changes whenever anything in the overview may, other than what people say."""
    groups = session.execute(
        select(AnnotatorGroup.annotator_id, AnnotatorGroup.dimension, AnnotatorGroup.value)
    )
    return (
        tuple(session.execute(select(Gold.task_id, Gold.judgement_id))),
        tuple(sorted(map(tuple, groups))),
        tuple(session.execute(select(Annotator.id, Annotator.name))),
        session.scalar(select(func.sum(Task.wanted))),
        session.scalar(select(func.max(StoredSet.id))),
        live_version(session),
        now().replace(minute=0, second=0, microsecond=0),  # "in the last day" moves on
    )


def _skipped(session: Session, most: int = 20) -> list[tuple[int, str, str]]:
    rows = session.scalars(
        select(Judgement)
        .where(is_current(), Judgement.kind == "skip")
        .order_by(Judgement.id.desc())
        .limit(most)
    )
    return [(row.assignment.task_id, SKIP_REASONS[row.reason], row.note) for row in rows]


def _overview(here: Site, session: Session) -> Overview:
    """As the store is at this moment; computed anew only when something in it has changed."""
    with here.recording:
        version = (here.record.refresh(session), _others(session))
        before, cached = here.cache.get("overview", (None, None))
        if isinstance(cached, Overview) and before == version:
            return cached
        made = _compute(session, here.record)
        here.cache["overview"] = (version, made)
        return made


def _compute(session: Session, record: Record) -> Overview:
    columns = record.columns()
    asked = asked_questions(session)
    alphas = Alphas(columns, question_types(asked))
    steps = {
        key: len(each.grades) - 1 if each.scale != "nominal" else 0 for key, each in asked.items()
    }
    people = session.scalars(select(Annotator).where(Annotator.role != "source")).all()
    reasons = session.execute(
        select(Judgement.reason, func.count())
        .where(is_current(), Judgement.kind == "skip")
        .group_by(Judgement.reason)
    )
    return Overview(
        kinds=progress_by_kind(session),
        trainings=live_progress(session),
        workers=workers(session, record.said),
        agreement=alphas.by_question(),
        disagreements=disagreements(columns, steps=steps),
        contrasts=group_contrasts(people, alphas),
        wins=wins(session)[:MOST_PAIRS],
        ratings=ratings(session)[:MOST_PAIRS],
        graded=graded(session, asked),
        skips=[(SKIP_REASONS[reason], count) for reason, count in reasons],
        skipped=_skipped(session),
        made_at=now(),
    )


@router.get("")
def overview(request: Request, person: Lead) -> Response:
    """How the work goes."""
    here = site(request)
    with here.store.reading() as session:
        found = _overview(here, session)
        size = (WIDTH, HEIGHT)
        return page("lead", person, overview=found, curve_size=size, **_words(session))


def _words(session: Session) -> dict[str, Any]:
    """What questions are called, and the grades of those of sets."""
    asked = asked_questions(session)
    grades = {key: each.grades for key, each in asked.items()}
    return {"questions": question_types(asked), "grades": grades}


def _in_order(value: Value) -> tuple[int, str]:
    """Numbers as numbers: the grade 10 is behind the grade 9."""
    return (0, value) if isinstance(value, str) else (value, "")


@router.get("/confusion")
def confusions(
    request: Request,
    person: Lead,
    question: str = "",
    annotator: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """What one person says where others say something."""
    here = site(request)
    with here.store.reading() as session:
        with here.recording:
            here.record.refresh(session)
            columns = here.record.columns()
        people = session.scalars(
            select(Annotator).where(Annotator.role != "source").order_by(Annotator.id)
        ).all()
        words = _words(session)
        if question not in columns:
            question = next(iter(columns), "")
        observed = columns[question].observations() if question else []
        chosen = annotator or next((each.annotator for each in observed), 0)
        counts = confusion(observed, chosen)
        values = sorted({v for pair in counts for v in pair}, key=_in_order)
        return page(
            "confusion",
            person,
            questions={name: words["questions"][name][0] for name in columns},
            grades=words["grades"],
            people=people,
            question=question,
            annotator=chosen,
            counts=counts,
            values=values,
            rate=agreement_rate(counts),
        )


@router.get("/tasks/{task_id}")
def task(request: Request, task_id: Id, person: Lead) -> Response:
    """What everybody said about one task."""
    here = site(request)
    with here.store.reading() as session:
        stored = session.get(Task, task_id)
        if stored is None:
            raise NotYours
        names = dict(session.execute(select(Annotator.id, Annotator.name)).all())
        with here.recording:
            here.record.refresh(session)
            observed = {each.id: each.told for each in here.record.said if each.task == task_id}
        judgements = session.scalars(
            select(Judgement).where(Judgement.id.in_(observed)).order_by(Judgement.id)
        ).all()
        gold = session.get(Gold, task_id)
        return page(
            "discuss",
            person,
            task=stored,
            names=names,
            said=judgements,
            gold=gold.judgement_id if gold else None,
            completions={each.completion_id: each.completion for each in stored.shown},
            told=observed,
            **_words(session),
        )


@router.post("/tasks/{task_id}/gold", openapi_extra=form_schema("judgement"))
def set_gold(request: Request, task_id: Id, person: LeadPoster, fields: Fields) -> Response:
    """Hold one judgement to be right, so that everybody gets the task; an empty one ends that."""
    judgement_id = whole_number(fields, "judgement")
    with site(request).store.writing() as session:
        if session.get(Task, task_id) is None:
            raise NotYours
        before = session.get(Gold, task_id)
        if before:
            session.delete(before)
            session.flush()
        if judgement_id is not None:
            judgement = session.get(Judgement, judgement_id)
            if judgement is None or judgement.assignment.task_id != task_id:
                raise NotYours
            session.add(Gold(task_id=task_id, judgement_id=judgement_id))
    return see_other(f"/lead/tasks/{task_id}")


@router.get("/guidelines")
def edit_guidelines(request: Request, person: Lead) -> Response:
    """The guidelines, to be changed."""
    with site(request).store.reading() as session:
        texts = {kind: guideline(session, kind) for kind in KINDS}
    return page("edit_guidelines", person, texts=texts)


@router.post("/guidelines", openapi_extra=form_schema("kind", "text"))
def save_guideline(request: Request, person: LeadPoster, fields: Fields) -> Response:
    """A new version of one guideline."""
    with site(request).store.writing() as session:
        write_guideline(session, fields.get("kind", ""), fields.get("text", ""), person.id)
    return see_other("/lead/guidelines")
