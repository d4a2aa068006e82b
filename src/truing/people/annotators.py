"""Who judges: sign-in tokens, roles, and the groups that people say they belong to."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from truing.people.content import insert_rows, parted
from truing.people.tables import Annotator, AnnotatorGroup, SignIn
from truing.people.vocabulary import Role
from truing.types import InputError

NAME_LENGTH = 80


def new_token() -> str:
    """A sign-in token: 256 random bits that can stand in a URL."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What the store keeps of a token. Unsalted: there is nothing to guess in a random token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def add_annotator(session: Session, name: str, role: Role = "annotator") -> tuple[Annotator, str]:
    """A new annotator and the token, which is kept nowhere else.

    Raises InputError for a name that is empty, too long or taken.
    """
    name = " ".join(name.split())
    if not name or len(name) > NAME_LENGTH:
        raise InputError(f"name: give one of 1 to {NAME_LENGTH} characters")
    if session.scalar(select(Annotator.id).where(Annotator.name == name)):
        raise InputError(f"name: there is a {name!r} already; give another one")
    token = new_token()
    annotator = Annotator(name=name, role=role, token_hash=token_hash(token))
    session.add(annotator)
    session.flush()
    return annotator, token


def sign_in_lead(session: Session, token: str) -> Annotator:
    """The lead of this store, who signs in with `token` from now on."""
    lead = session.scalar(select(Annotator).where(Annotator.role == "lead").order_by(Annotator.id))
    if lead is None:
        lead = Annotator(name="lead", role="lead")
        session.add(lead)
        session.flush()
    other = session.scalar(select(Annotator).where(Annotator.token_hash == token_hash(token)))
    if other is not None and other is not lead:
        raise InputError("--token: an annotator has this token; give another one")
    if lead.token_hash != token_hash(token):
        _set_token(session, lead, token)
    session.flush()
    return lead


def _set_token(session: Session, annotator: Annotator, token: str | None) -> None:
    """Another token, or none: whoever is signed in by the old one isn't any more."""
    annotator.token_hash = token and token_hash(token)
    session.execute(delete(SignIn).where(SignIn.annotator_id == annotator.id))


def renew_token(session: Session, annotator: Annotator) -> str:
    """A new token; the old one stops working."""
    token = new_token()
    _set_token(session, annotator, token)
    return token


def remove_annotator(session: Session, annotator: Annotator) -> None:
    """End an annotator's link and sign-ins. What they said stays, and a new link lets them in again."""
    _set_token(session, annotator, None)


def by_token(session: Session, token: str) -> Annotator | None:
    """Who holds the token.

    The database finds a hash, of which a stranger can't choose a single bit usefully; the comparison
    that decides is constant in time.
    """
    digest = token_hash(token)
    annotator = session.scalar(select(Annotator).where(Annotator.token_hash == digest))
    if annotator is None or not hmac.compare_digest(annotator.token_hash or "", digest):
        return None
    return annotator


def source_annotators(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Ids of those under whose names imported judgements stand. They can't sign in.

    Raises InputError for the name of an annotator.
    """
    wanted = list(dict.fromkeys(names))
    ids: dict[str, int] = {}
    for part in parted(wanted):
        people = select(Annotator.name, Annotator.id, Annotator.role)
        for name, id_, role in session.execute(people.where(Annotator.name.in_(part))):
            if role != "source":
                raise InputError(f"source: {name!r} is the name of an annotator; give another one")
            ids[name] = id_
    new = [name for name in wanted if name not in ids]
    rows = [{"name": name, "role": "source"} for name in new]
    return ids | dict(zip(new, insert_rows(session, Annotator, rows, Counter()), strict=True))


def groups_of(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What rows of a form, (dimension, value) each, say of somebody; rows left empty say nothing.

    Raises InputError for half a row and for a dimension that stands twice: one of the two would be lost.
    """
    groups: dict[str, str] = {}
    for dimension, value in rows:
        name, value = " ".join(dimension.split()).casefold(), " ".join(value.split())
        if not name and not value:
            continue
        if not name or not value:
            raise InputError(f"{(name or value)!r} stands alone; fill in both fields, or neither")
        if name in groups:
            raise InputError(f"{name!r} stands there twice; put both into one field")
        groups[name] = value
    return groups


def describe_self(session: Session, annotator_id: int, groups: Mapping[str, str]) -> None:
    """Replace what an annotator says of themselves; empty dimensions or values are left out.

    Raises InputError for what is too long.
    """
    tidied: dict[str, str] = {}
    for dimension, value in groups.items():
        dimension, value = " ".join(dimension.split()).casefold(), " ".join(value.split())
        if len(dimension) > NAME_LENGTH or len(value) > NAME_LENGTH:
            raise InputError(f"groups: at most {NAME_LENGTH} characters each")
        if dimension and value:
            tidied[dimension] = value
    session.execute(delete(AnnotatorGroup).where(AnnotatorGroup.annotator_id == annotator_id))
    for dimension, value in tidied.items():
        session.add(AnnotatorGroup(annotator_id=annotator_id, dimension=dimension, value=value))
