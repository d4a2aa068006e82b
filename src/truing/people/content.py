"""Putting prompts, completions and tasks into the store. What is there already is not added twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.data.messages import Messages, prompt_hash, text_hash
from truing.hints import did_you_mean
from truing.people.tables import Completion, Prompt, Task, TaskCompletion
from truing.people.vocabulary import COMPLETIONS_NEEDED, CONSENTS, KINDS
from truing.types import InputError, stable_hash


def check_consents(consents: Iterable[str]) -> None:
    """Raises InputError for a word that no consent has."""
    for consent in consents:
        if consent not in CONSENTS:
            hint = did_you_mean(consent, CONSENTS)
            raise InputError(f"consent: no {consent!r}; {hint}give one of {', '.join(CONSENTS)}")


def add_prompt(
    session: Session, messages: Messages, *, source: str, consent: str, user_key: str | None = None
) -> Prompt:
    """The prompt with these messages; the first source and consent of a text stay."""
    check_consents([consent])
    digest = prompt_hash(messages)
    prompt = session.scalar(select(Prompt).where(Prompt.text_hash == digest))
    if prompt:
        return prompt
    prompt = Prompt(
        messages=messages, text_hash=digest, source=source, consent=consent, user_key=user_key
    )
    session.add(prompt)
    session.flush()
    return prompt


def add_completion(session: Session, prompt: Prompt, candidate: str, text: str) -> Completion:
    """The candidate's completion with this text."""
    digest = text_hash(text)
    completion = session.scalar(
        select(Completion).where(
            Completion.prompt_id == prompt.id,
            Completion.candidate == candidate,
            Completion.text_hash == digest,
        )
    )
    if completion:
        return completion
    completion = Completion(prompt_id=prompt.id, candidate=candidate, text=text, text_hash=digest)
    session.add(completion)
    session.flush()
    return completion


def add_task(
    session: Session,
    kind: str,
    prompt: Prompt,
    completions: Sequence[Completion] = (),
    *,
    wanted: int = 1,
    seed: int = 0,
) -> Task:
    """The task of this kind about these texts, for `wanted` people; the seed draws its place.

    With 0 wanted it only holds what was judged elsewhere, and may have more completions than a page.
    Raises InputError for an unknown kind or a number of completions that the kind can't show.
    """
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise InputError(f"task: no kind {kind!r}; {hint}give one of {', '.join(KINDS)}")
    fewest, most = COMPLETIONS_NEEDED[kind]
    if not fewest <= len(completions) <= (most if wanted else max(most, len(completions))):
        span = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise InputError(f"a {kind} is about {span} completion(s), not {len(completions)}")
    parts = sorted(f"{each.candidate}\n{each.text_hash}" for each in completions)
    key = stable_hash("task", kind, prompt.text_hash, *parts)
    task = session.scalar(select(Task).where(Task.key == key))
    if task:
        # Judged elsewhere before (0 places), and now to be judged here too.
        task.wanted = max(task.wanted, wanted)
        return task
    task = Task(
        kind=kind,
        prompt_id=prompt.id,
        wanted=wanted,
        key=key,
        sort_key=stable_hash("task order", str(seed), key)[:16],
    )
    task.shown = [
        TaskCompletion(position=position, completion_id=completion.id)
        for position, completion in enumerate(completions)
    ]
    session.add(task)
    session.flush()
    return task
