"""The annotator's pages: home, a task, and what can be done with it."""

from __future__ import annotations

import math
import secrets
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.people.annotators import describe_self, groups_of
from truing.people.answers import Answer, shown_completions
from truing.people.assigning import Progress, has_work, is_current, next_assignment, team_progress
from truing.people.guidelines import guideline
from truing.people.judging import latest, owned, record, save_draft, skip, withdraw
from truing.people.questions.asking import set_of_task
from truing.people.questions.sets import KEY
from truing.people.questions.tables import KIND
from truing.people.suggesting import suggest
from truing.people.tables import Annotator, Assignment, Draft, Judgement
from truing.people.vocabulary import FLAGS, KINDS, METADATA
from truing.people.web.security import Person
from truing.people.web.visitors import (
    Fields,
    Id,
    Poster,
    Site,
    Visitor,
    form_schema,
    page,
    see_other,
    site,
    wants_json,
    whole_number,
)
from truing.types import InputError

router = APIRouter()

PROGRESS_SECONDS = 5.0
"""The team's progress is counted anew at most this often."""
RECENT = 10
GROUP_ROWS = 4
_RANKS = tuple(f"rank-{place}" for place in range(7))
_ANSWER = (
    "text",
    "value",
    *FLAGS,
    "preferred",
    *_RANKS,
    "use_case",
    *METADATA,
    "outcome",
    "choice",
    "note",
    "reason",
)
_SENT = ("submission", "kind", "seconds", *_ANSWER)


def _progress(here: Site, session: Session, own: int) -> Progress:
    """The team's, of a person who has judged `own`: counted anew too where that would be more than all have
    together, unless it was so when they were counted (who answers gold questions fills no place)."""
    then, progress, most = here.cache.get("progress", (0.0, None, 0))
    late = time.monotonic() - then > PROGRESS_SECONDS
    if not isinstance(progress, Progress) or late or own > max(progress.done, most):
        progress = team_progress(session)
        here.cache["progress"] = (time.monotonic(), progress, own)
    return progress


def _recent(session: Session, person_id: int, most: int) -> list[Judgement]:
    return list(
        session.scalars(
            select(Judgement)
            .where(Judgement.annotator_id == person_id, is_current())
            .order_by(Judgement.id.desc())
            .limit(most)
        )
    )


def _done(session: Session, person_id: int) -> int:
    mine = select(func.count()).where(
        Judgement.annotator_id == person_id, is_current(), Judgement.kind != "skip"
    )
    return session.scalar(mine) or 0


@router.get("/")
def home(request: Request, person: Visitor, saved: str = "") -> Response:
    """Where one stands, what one did last, and what one says of oneself."""
    here = site(request)
    with here.store.reading() as session:
        annotator = session.get_one(Annotator, person.id)
        groups = [(each.dimension, each.value) for each in annotator.groups]
        return _home(here, session, person, 200, groups=groups, saved=saved == "groups")


def _home(
    here: Site,
    session: Session,
    person: Person,
    status: int,
    *,
    groups: list[tuple[str, str]],
    saved: bool = False,
    problem: str = "",
) -> Response:
    recent = [
        {
            "id": each.id,
            "kind": each.kind,
            "task_kind": each.assignment.task.kind,
            "asked": each.assignment.task.prompt.messages[-1]["content"][:120],
            "at": each.created_at,
            "submission": secrets.token_hex(16),
        }
        for each in _recent(session, person.id, RECENT)
    ]
    done = _done(session, person.id)
    return page(
        "home",
        person,
        status,
        progress=_progress(here, session, done),
        done=done,
        recent=recent,
        left=has_work(session, person.id),
        groups=groups + [("", "")] * (GROUP_ROWS - len(groups)),
        saved=saved,
        problem=problem,
    )


@router.get("/guidelines")
def guidelines(request: Request, person: Visitor) -> Response:
    """All guidelines on one page."""
    with site(request).store.reading() as session:
        texts = {kind: guideline(session, kind) for kind in KINDS}
    return page("guidelines", person, texts=texts)


@router.post("/me/groups", openapi_extra=form_schema("dimension-0", "value-0"))
def groups(request: Request, person: Poster, fields: Fields) -> Response:
    """Replace what one says of oneself. What can't be kept whole is said above what was typed."""
    rows = [
        (fields.get(f"dimension-{row}", ""), fields.get(f"value-{row}", ""))
        for row in range(GROUP_ROWS)
    ]
    here = site(request)
    try:
        said = groups_of(rows)
        with here.store.writing() as session:
            describe_self(session, person.id, said)
    except InputError as error:
        with here.store.reading() as session:
            return _home(here, session, person, 422, groups=rows, problem=f"{error}.")
    return see_other("/?saved=groups#about")


@router.get("/work")
def work(request: Request, person: Visitor) -> Response:
    """Go to what is unfinished, or to something new."""
    assignment_id = next_assignment(site(request).store, person.id)
    return see_other("/" if assignment_id is None else f"/assignments/{assignment_id}")


def _prefilled(assignment: Assignment, draft: Draft | None) -> dict[str, str]:
    """What the form holds at first: the draft, or what the rules suggest."""
    if draft is not None:
        return dict(draft.fields)
    if assignment.task.kind != "annotation":
        return {}
    suggestion = suggest(assignment.task.prompt.messages)
    return {"use_case": suggestion.use_case, **dict.fromkeys(suggestion.metadata, "yes")}


def _task_context(session: Session, assignment: Assignment) -> dict[str, Any]:
    task = assignment.task
    asked = set_of_task(session, task.id) if task.kind == KIND else None
    newest = latest(session, assignment.id)
    judged = newest if newest and newest.kind != "withdrawal" else None
    return {
        "assignment": assignment,
        "task": task,
        "messages": task.prompt.messages,
        "answers": [each.text for each in shown_completions(assignment)],
        "guideline": guideline(session, task.kind),
        "fields": _prefilled(assignment, session.get(Draft, assignment.id)),
        "suggested": suggest(task.prompt.messages) if task.kind == "annotation" else None,
        "judged": judged,
        "asked": asked.by_key() if asked else {},
    }


@router.get("/assignments/{assignment_id}")
def task(request: Request, assignment_id: Id, person: Visitor) -> Response:
    """One task with its guidelines, as this person is to see it."""
    here = site(request)
    with here.store.reading() as session:
        assignment = owned(session, assignment_id, person.id)
        recent = _recent(session, person.id, 1)
        done = _done(session, person.id)
        return page(
            "task",
            person,
            progress=_progress(here, session, done),
            done=done,
            last=recent[0] if recent else None,
            submission=secrets.token_hex(16),
            undo_submission=secrets.token_hex(16),
            **_task_context(session, assignment),
        )


def _seconds(fields: dict[str, str]) -> float | None:
    try:
        value = float(fields.get("seconds", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _answer(fields: dict[str, str], kind: str) -> Answer:
    names = METADATA if kind == "annotation" else FLAGS
    ranks = {place: whole_number(fields, name) for place, name in enumerate(_RANKS)}
    return Answer(
        text=fields.get("text", ""),
        value=whole_number(fields, "value"),
        flags={name: fields[name] for name in names if fields.get(name)},
        preferred=fields.get("preferred", ""),
        ranks={place: rank for place, rank in ranks.items() if rank is not None},
        use_case=fields.get("use_case", ""),
        outcome=fields.get("outcome", ""),
        choice=whole_number(fields, "choice"),
        grades={name: value for name, value in fields.items() if KEY.fullmatch(name)},
    )


def _saved(request: Request, path: str) -> Response:
    """Our script is told where to go; a plain form is sent there."""
    return JSONResponse({"next": path}) if wants_json(request) else see_other(path)


@router.post("/assignments/{assignment_id}/judgement", openapi_extra=form_schema(*_SENT))
def judge(request: Request, assignment_id: Id, person: Poster, fields: Fields) -> Response:
    """Keep a judgement. When this answers, it is on the disk.

    The next task is drawn when it is asked for: the answer needn't wait for that, and can't fail by it.
    """
    kind = fields.get("kind", "")
    record(
        site(request).store,
        assignment_id,
        person.id,
        fields.get("submission", ""),
        _answer(fields, kind),
        kind=kind,
        seconds=_seconds(fields),
        note=fields.get("note", "").strip(),
    )
    return _saved(request, "/work")


@router.post("/assignments/{assignment_id}/skip", openapi_extra=form_schema(*_SENT))
def pass_over(request: Request, assignment_id: Id, person: Poster, fields: Fields) -> Response:
    """Pass a task over, with a reason."""
    skip(
        site(request).store,
        assignment_id,
        person.id,
        fields.get("submission", ""),
        fields.get("reason", ""),
        seconds=_seconds(fields),
        note=fields.get("note", "").strip(),
    )
    return _saved(request, "/work")


@router.post("/assignments/{assignment_id}/draft", openapi_extra=form_schema(*_SENT))
def draft(request: Request, assignment_id: Id, person: Poster, fields: Fields) -> Response:
    """Keep what is typed so far."""
    names = [name for name in fields if name in _ANSWER or KEY.fullmatch(name)]
    answers = {name: fields[name] for name in names}
    if any("\0" in value for value in answers.values()):
        raise InputError("the text holds a NUL character; remove it")
    save_draft(site(request).store, assignment_id, person.id, answers)
    return Response(status_code=204)


@router.post("/judgements/{judgement_id}/undo", openapi_extra=form_schema("submission"))
def undo(request: Request, judgement_id: Id, person: Poster, fields: Fields) -> Response:
    """Take a judgement back and open its task again, filled in as it was."""
    here = site(request)
    assignment_id = withdraw(here.store, judgement_id, person.id, fields.get("submission", ""))
    return _saved(request, f"/assignments/{assignment_id}")
