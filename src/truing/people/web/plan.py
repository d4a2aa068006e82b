"""The lead's page of the plan: what is left for whom, who gets what, until when."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from truing.people.assigning import release_open
from truing.people.judging import NotYours
from truing.people.planning.left import plan, set_deadline, work_name, works
from truing.people.planning.withholding import withheld, withhold
from truing.people.tables import Annotator
from truing.people.web.visitors import (
    Fields,
    Id,
    Lead,
    LeadPoster,
    form_schema,
    page,
    see_other,
    site,
)

router = APIRouter(prefix="/lead/plan")


@router.get("")
def what_is_left(request: Request, person: Lead) -> Response:
    """Every work and everybody's part of it."""
    with site(request).store.reading() as session:
        found = plan(session)
        names = {each.name: work_name(each.name) for each in found.works}
        return page("plan", person, plan=found, names=names)


@router.post("/people/{annotator_id}", openapi_extra=form_schema("shown"))
def give(request: Request, annotator_id: Id, person: LeadPoster, fields: Fields) -> Response:
    """Who gets which of the works that the page showed; others stay as they were."""
    shown = set(fields.get("shown", "").split())
    with site(request).store.writing() as session:
        annotator = session.get(Annotator, annotator_id)
        if annotator is None or annotator.role == "source":
            raise NotYours
        known = {each.name for each in works(session)}
        without = {work for work in shown & known if not fields.get(work)}
        withhold(session, annotator_id, (withheld(session, annotator_id) - shown) | without)
        release_open(session, annotator_id, without)
    return see_other("/lead/plan")


@router.post("/due", openapi_extra=form_schema("work", "due"))
def due(request: Request, person: LeadPoster, fields: Fields) -> Response:
    """The last day of a work."""
    with site(request).store.writing() as session:
        set_deadline(session, fields.get("work", ""), fields.get("due", "").strip())
    return see_other("/lead/plan")
