"""What users of the pilot agreed to share: prompts and answers, masked and folded, and their judgements."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from truing.data.messages import Messages, checked_messages
from truing.people.answers import Answer
from truing.people.content import (
    add_completion,
    add_prompt,
    stored_completion,
    stored_prompt,
)
from truing.people.judged_elsewhere import Statement, record_elsewhere
from truing.people.masking import mask
from truing.people.store import Store
from truing.people.tables import Asking, Completion, Prompt, now
from truing.people.vocabulary import THUMBS
from truing.types import InputError, stable_hash

SOURCE = "pilot"
PICKS = ("first", "second", "tie")


@dataclass(frozen=True)
class Kept:
    """Rows of the store: a prompt, and its answers in the order given (None for an empty one)."""

    prompt: int
    completions: tuple[int | None, ...]


def judge_name(user: str) -> str:
    """The name under which a user's judgements stand."""
    return f"{SOURCE}/{user or 'anonymous'}"


def check_user(user: str) -> str:
    """A pseudonym as it can be kept. Raises InputError for one that says who somebody is."""
    name = " ".join(user.split())
    if mask(name) != name:
        raise InputError("user: give a pseudonym, not an address or a number of a person")
    if len(name) > 100 or not name.isprintable():
        raise InputError("user: give a pseudonym of at most 100 printable characters")
    return name


def folded_hash(messages: Messages) -> str:
    """Equal for messages that differ in case, width, white space or final punctuation alone."""
    parts = [
        part
        for message in messages
        for part in (message["role"], _folded(message["content"]) or message["content"])
    ]
    return stable_hash("folded", *parts)


def _folded(text: str) -> str:
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return " ".join(words).rstrip(".?! ")


def masked(messages: Messages) -> Messages:
    """The messages without personal data."""
    return [{"role": m["role"], "content": mask(m["content"])} for m in messages]


def keep(
    store: Store,
    messages: Messages,
    answers: Sequence[str],
    candidate: str | Sequence[str],
    user: str = "",
) -> Kept:
    """Keeps what a user asked and was answered, without personal data; counts what was asked before.

    Where several candidates answered, `candidate` has a name for each answer; it was asked once all
    the same. Only for users who agreed. Raises InputError for messages that can't be kept (too long, say).
    """
    clean = checked_messages(masked(messages), "messages")
    names = [candidate] * len(answers) if isinstance(candidate, str) else candidate
    asked = candidate if isinstance(candidate, str) else " and ".join(sorted(set(candidate)))
    for last_try in (False, True):
        try:
            with store.writing() as session:
                prompt = _asked(session, clean, asked, user)
                found = [
                    add_completion(session, prompt, name, mask(text)) if text.strip() else None
                    for name, text in zip(names, answers, strict=True)
                ]
                return Kept(prompt.id, tuple(None if each is None else each.id for each in found))
        except IntegrityError:  # on PostgreSQL another server may keep the same at the same moment
            if last_try:
                raise
    raise AssertionError("unreachable")


def _asked(session: Session, messages: Messages, candidate: str, user: str) -> Prompt:
    digest = folded_hash(messages)
    earlier = session.scalars(select(Asking).where(Asking.folded_hash == digest)).all()
    if earlier:
        prompt = session.get_one(Prompt, earlier[0].prompt_id)
    else:
        prompt = add_prompt(
            session, messages, source=SOURCE, consent="given", user_key=user or None
        )
    mine = next((a for a in earlier if (a.user_key, a.candidate) == (user, candidate)), None)
    if mine is None:
        mine = Asking(
            prompt_id=prompt.id, folded_hash=digest, user_key=user, candidate=candidate, count=0
        )
        session.add(mine)
    mine.count += 1
    mine.last_at = now()
    session.flush()
    return prompt


def rate(store: Store, completion_id: int, thumb: str, user: str, submission: str) -> None:
    """Keeps a user's thumb as a rating; a later one supersedes it, the same submission adds nothing.

    Raises InputError where there is no such answer (any more) or thumb.
    """
    if thumb not in THUMBS:
        raise InputError(f"thumb: give {' or '.join(THUMBS)}")
    with store.writing() as session:
        completion = _completion(session, completion_id)
        _record(session, "rating", [completion], Answer(value=THUMBS[thumb]), user, submission)


def compare(
    store: Store, first_id: int, second_id: int, preferred: str, user: str, submission: str
) -> None:
    """Keeps which of two answers a user likes better; as `rate`."""
    if preferred not in PICKS:
        raise InputError(f"preferred: give {', '.join(PICKS)}")
    with store.writing() as session:
        both = [_completion(session, first_id), _completion(session, second_id)]
        if both[0].prompt_id != both[1].prompt_id or first_id == second_id:
            raise InputError("answers: give two different ones to one prompt")
        _record(session, "comparison", both, Answer(preferred=preferred), user, submission)


def _record(
    session: Session,
    kind: str,
    completions: Sequence[Completion],
    answer: Answer,
    user: str,
    submission: str,
) -> None:
    """What a user says now; it supersedes what they said of the same answers before."""
    prompt = stored_prompt(session.get_one(Prompt, completions[0].prompt_id))
    about = tuple(map(stored_completion, completions))
    said = Statement(judge_name(user), kind, prompt, about, answer, submission)
    record_elsewhere(session, [said], {submission}, Counter())


def _completion(session: Session, number: int) -> Completion:
    found = session.get(Completion, number)
    if found is None:
        raise InputError("answer: it isn't kept (any more)")
    return found
