"""The lead's page of people: who takes part, and their sign-in links."""

from __future__ import annotations

import segno
from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.people.annotators import add_annotator, remove_annotator, renew_token
from truing.people.assigning import release_open
from truing.people.judging import NotYours
from truing.people.tables import Annotator
from truing.people.web.security import Person
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

router = APIRouter(prefix="/lead/people")


def _people(request: Request, person: Person, name: str = "", link: str = "") -> Response:
    with site(request).store.reading() as session:
        people = session.scalars(
            select(Annotator).where(Annotator.role == "annotator").order_by(Annotator.id)
        ).all()
        return page(
            "people", person, people=people, name=name, link=link, code=_qr(link) if link else ""
        )


def _qr(link: str) -> Markup:
    """A link as a drawing that a phone's camera reads, dark on light in every scheme."""
    return Markup(segno.make(link, micro=False).svg_inline(scale=4, dark="#000", light="#fff"))


@router.get("")
def people(request: Request, person: Lead) -> Response:
    """The annotators."""
    return _people(request, person)


@router.post("/{annotator_id}/remove", openapi_extra=form_schema())
def remove_person(request: Request, annotator_id: Id, person: LeadPoster) -> Response:
    """End somebody's link and sign-ins. What they said stays; what they had begun goes to others."""
    with site(request).store.writing() as session:
        annotator = _annotator(session, annotator_id)
        remove_annotator(session, annotator)
        release_open(session, annotator.id)
    return see_other("/lead/people")


def _annotator(session: Session, annotator_id: int) -> Annotator:
    """An annotator by number. Raises NotYours for the lead, for sources and for nobody."""
    annotator = session.get(Annotator, annotator_id)
    if annotator is None or annotator.role != "annotator":
        raise NotYours
    return annotator


def _link(request: Request, token: str) -> str:
    address = site(request).address
    if address is not None and address.is_open:
        return address.link(token)
    return f"{request.url.scheme}://{request.url.netloc}/?token={token}"


@router.post("", openapi_extra=form_schema("name"))
def add_person(request: Request, person: LeadPoster, fields: Fields) -> Response:
    """A new annotator; the sign-in link is shown this once."""
    with site(request).store.writing() as session:
        added, token = add_annotator(session, fields.get("name", ""))
        name = added.name
    return _people(request, person, name=name, link=_link(request, token))


@router.post("/{annotator_id}/link", openapi_extra=form_schema())
def new_link(request: Request, annotator_id: Id, person: LeadPoster) -> Response:
    """A new sign-in link; the old one stops working."""
    with site(request).store.writing() as session:
        annotator = _annotator(session, annotator_id)
        token, name = renew_token(session, annotator), annotator.name
    return _people(request, person, name=name, link=_link(request, token))
