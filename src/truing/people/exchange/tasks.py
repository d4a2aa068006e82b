"""Tasks of one kind with what people said about them, as other labelling programs show them.

The answers have the same names everywhere (`ANSWERS`): in Argilla as questions, in Label Studio as
controls. A ranking is about two to seven answers; neither program has a question with so many, so
rankings leave as preference pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from truing.data.messages import Messages, checked_messages, checked_text
from truing.people.assigning import is_current
from truing.people.content import check_consents
from truing.people.exchange.items import Item
from truing.people.store import Store
from truing.people.tables import Annotator, Assignment, Judgement, Task
from truing.people.vocabulary import FLAG_VALUES, FLAGS, METADATA, RATINGS, USE_CASES
from truing.types import InputError

KINDS = ("demonstration", "rating", "comparison", "annotation")
PREFERENCES = ("first", "tie", "second")
TEXTS: dict[str, tuple[str, ...]] = {
    "demonstration": (),
    "rating": ("answer",),
    "comparison": ("first", "second"),
    "annotation": (),
}
"""What is shown beside the prompt, by kind."""
WRITTEN = "written"
ANSWERS: dict[str, tuple[str, ...]] = {
    "demonstration": (WRITTEN,),
    "rating": ("rating", *FLAGS),
    "comparison": ("preferred",),
    "annotation": ("use_case", "metadata", "unsure"),
}
"""What is asked, by kind; the first of each has to be answered."""


@dataclass(frozen=True)
class Said:
    """What one person said about a task: answers by name, and how long it took (seconds)."""

    annotator: str
    answers: dict[str, Any]
    seconds: float | None = None


@dataclass(frozen=True)
class Shown:
    """A task: the prompt, the texts beside it with their candidates, and what was said."""

    id: str
    kind: str
    messages: Messages
    texts: dict[str, str]
    candidates: dict[str, str]
    source: str
    user: str
    said: list[Said] = field(default_factory=list)


def _answers(judgement: Judgement, completions: Sequence[int]) -> dict[str, Any]:
    flags = {flag.name: flag.value for flag in judgement.flags}
    if judgement.demonstration:
        return {WRITTEN: judgement.demonstration.text}
    if judgement.rating:
        return {"rating": judgement.rating.value, **flags}
    if judgement.comparison:
        # On the page the order was the annotator's own; here it is the task's.
        comparison, preferred = judgement.comparison, judgement.comparison.preferred
        if preferred != "tie" and comparison.first_id != completions[0]:
            preferred = "second" if preferred == "first" else "first"
        return {"preferred": preferred}
    assert judgement.annotation is not None
    return {
        "use_case": judgement.annotation.use_case,
        "metadata": [name for name in METADATA if flags.get(name) == "yes"],
        "unsure": [name for name in METADATA if flags.get(name) == "unsure"],
    }


def names_shown(session: Session) -> dict[int, str]:
    """What people are called outside, by id: annotators by a number, sources by their names."""
    return {
        each.id: each.name if each.role == "source" else f"annotator-{each.id}"
        for each in session.scalars(select(Annotator))
    }


def tasks_shown(
    store: Store, kind: str, consents: Collection[str] = (), *, judged: bool = False
) -> list[Shown]:
    """The tasks of a kind, in the order in which they were made; `judged` adds what stands of them.

    Raises InputError for a kind that other programs have no form for.
    """
    if kind not in KINDS:
        raise InputError(
            f"--kind: no {kind!r}; give one of {', '.join(KINDS)} (rankings: --form preference)"
        )
    check_consents(consents)
    with store.reading() as session:
        names = names_shown(session)
        judgements: dict[int, list[Judgement]] = {}
        current = (
            select(Judgement)
            .join(Assignment)
            .where(is_current(), Judgement.kind == kind)
            .options(selectinload(Judgement.flags))
            .order_by(Judgement.id)
        )
        for judgement in session.scalars(current) if judged else ():
            judgements.setdefault(judgement.assignment.task_id, []).append(judgement)
        tasks = []
        for task in session.scalars(select(Task).where(Task.kind == kind).order_by(Task.id)):
            if consents and task.prompt.consent not in consents:
                continue
            completions = [each.completion for each in task.shown]
            named = list(zip(TEXTS[kind], completions, strict=True))
            tasks.append(
                Shown(
                    task.key[:16],
                    kind,
                    task.prompt.messages,
                    {name: each.text for name, each in named},
                    {name: each.candidate for name, each in named},
                    task.prompt.source,
                    task.prompt.user_key or "",
                    [
                        Said(
                            names[each.annotator_id],
                            _answers(each, [c.id for c in completions]),
                            each.seconds,
                        )
                        for each in judgements.get(task.id, [])
                    ],
                )
            )
        return tasks


def messages_of(prompt: Any) -> Any:
    """A prompt that is one text as the user's message; any other as it is, unchecked."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def kind_of(texts: Collection[str], asked: Collection[str]) -> str:
    """The kind whose texts are shown, and one of whose questions is asked. Raises InputError."""
    for kind in KINDS:
        if set(TEXTS[kind]) == set(texts) and (not asked or set(asked) & set(ANSWERS[kind])):
            return kind
    known = "; ".join(
        f"{kind}: {', '.join(('prompt', *TEXTS[kind]))} and {', '.join(ANSWERS[kind])}"
        for kind in KINDS
    )
    raise InputError(
        f"shows {', '.join(texts) or 'nothing beside the prompt'} and asks {', '.join(asked)}, which "
        f"is no task that is known; the names of texts and questions by kind: {known}"
    )


def _chosen(value: object, known: Collection[str], what: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{what}: {value!r} is none of {', '.join(known)}")
    return value


def items_from(shown: Shown) -> list[Item]:
    """What was said about a task, an item for each person; the prompt alone where nobody did.

    Raises InputError naming the text or answer that is wrong.
    """
    messages = checked_messages(shown.messages, "prompt")
    completions = [
        (shown.candidates.get(name, ""), checked_text(shown.texts.get(name), name))
        for name in TEXTS[shown.kind]
    ]
    if not shown.said:
        return [Item(messages, completions=completions, user=shown.user)]
    return [_item(shown.kind, messages, completions, shown.user, said) for said in shown.said]


def _item(
    kind: str, messages: Messages, completions: list[tuple[str, str]], user: str, said: Said
) -> Item:
    item = Item(messages, completions=list(completions), user=user, judge=said.annotator)
    first = ANSWERS[kind][0]
    if first not in said.answers:
        raise InputError(f"{first}: not answered by {said.annotator or 'somebody'}")
    if unknown := sorted(set(said.answers) - set(ANSWERS[kind])):
        raise InputError(
            f"{unknown[0]}: no question of a {kind}, which asks {', '.join(ANSWERS[kind])}"
        )
    value = said.answers[first]
    if kind == "demonstration":
        item.demonstration = checked_text(value, WRITTEN)
    elif kind == "rating":
        if type(value) is not int or value not in RATINGS:
            raise InputError(f"rating: {value!r} must be a whole number from 1 to 7")
        item.rating = value
        item.flags = {
            name: _chosen(said.answers[name], FLAG_VALUES, name)
            for name in FLAGS
            if said.answers.get(name) is not None
        }
    elif kind == "comparison":
        item.preferred = _chosen(value, PREFERENCES, "preferred")
    else:
        item.use_case = _chosen(value, USE_CASES, "use_case")
        for name, flag in (("metadata", "yes"), ("unsure", "unsure")):
            for each in said.answers.get(name) or []:
                item.flags[_chosen(each, METADATA, name)] = flag
    return item
