"""Who is signed in on the labelling page. Its cookie names a sign-in; the token stays in the link.

A browser sends a cookie of 127.0.0.1 to the servers on all its ports. What they could read there ends
with a month, with a new link, and with the person's removal.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from truing.people.annotators import new_token, token_hash
from truing.people.tables import Annotator, SignIn, now

LASTS = dt.timedelta(days=30)


def sign_in(session: Session, annotator_id: int) -> str:
    """A new sign-in's id, which is kept nowhere else. Those that have run out are forgotten."""
    session.execute(delete(SignIn).where(SignIn.created_at < now() - LASTS))
    id_ = new_token()
    session.add(SignIn(id_hash=token_hash(id_), annotator_id=annotator_id))
    session.flush()
    return id_


def signed_in(session: Session, id_: str) -> Annotator | None:
    """Whose sign-in it is, if it is one that holds."""
    return session.scalar(
        select(Annotator)
        .join(SignIn, SignIn.annotator_id == Annotator.id)
        .where(SignIn.id_hash == token_hash(id_), SignIn.created_at >= now() - LASTS)
    )
