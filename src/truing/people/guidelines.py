"""What annotators are told about each kind of task: built in, until the lead writes better."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.data.messages import checked_text
from truing.people.tables import Guideline
from truing.people.vocabulary import KINDS
from truing.types import InputError


def guideline(session: Session, kind: str) -> str:
    """What holds for a kind of task now; paragraphs are parted by empty lines."""
    newest = session.scalar(
        select(Guideline).where(Guideline.kind == kind).order_by(Guideline.id.desc()).limit(1)
    )
    if newest:
        return newest.text
    return files("truing.people").joinpath("built_in", f"{kind}.txt").read_text("utf-8").strip()


def write_guideline(session: Session, kind: str, text: str, author_id: int) -> None:
    """A new version; the older ones stay. Raises InputError for an unknown kind or unfit text."""
    if kind not in KINDS:
        raise InputError(f"guidelines: no kind {kind!r}; give one of {', '.join(KINDS)}")
    text = checked_text(text.replace("\r\n", "\n").strip(), "guidelines")
    session.add(Guideline(kind=kind, text=text, author_id=author_id))
