"""Multiple-choice scores of a served model, remembered on disk as they come.

A few questions are asked at once; each answer is filed when it comes. A question that the server
refuses, or fails on too often, is unscored and not filed: the same command asks it again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from truing.evaluate.continued import text_behind
from truing.evaluate.lettered import (
    LETTER_TOKENS,
    TORN,
    Lettered,
    lettered_question,
    offered,
    orders,
)
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.named_choice import LETTERS, named, named_before_cut
from truing.evaluate.respondent import Advance, Continued, silent
from truing.evaluate.variant_choices import Scoring
from truing.models.memo.scores import ScoreStore, text_key
from truing.models.remote.concurrent import asked_at_once
from truing.models.remote.endpoint import Endpoint
from truing.models.remote.replies import Reply
from truing.prompts.boundary import moved
from truing.prompts.rendering import Prompt
from truing.prompts.variants import Form, PromptVariant
from truing.types import Case, InputError, Unscored

Mode = Literal["log-probabilities", "letters"]
THOUGHT_TOKENS = 2048  # a letter behind as much reasoning as a question takes

_READING = "letter, if it is the only one and what names it isn't cut off"
"""Names how replies are read, so that figures from another reading aren't taken for these."""

NO_LOG_PROBABILITIES = "the server gives no log-probabilities of given texts"

Filed = tuple[float, str]  # a figure and the fingerprint it came with


@dataclass(frozen=True)
class Question:
    """What is asked for one case: for each figure the texts that it depends on, and how to get those at
    some places."""

    parts: Sequence[tuple[str, ...]]
    ask: Callable[[Sequence[int]], list[Filed]]


def choose_mode(endpoint: Endpoint, form: Form) -> tuple[Mode, str]:
    """How the server can be scored, and what to tell the user about it.

    Raises InputError where it can't be, or not in the form that is asked for.
    """
    name = endpoint.name.model
    reason = "--form chat" if form == "chat" else endpoint.why_no_log_probs()
    if not reason:
        return (
            "log-probabilities",
            f"{name}: scored by the log-probabilities that the server gives.",
        )
    if form == "text":
        raise InputError(
            f"--form text: {endpoint.name.url} {reason}, which a plain text is scored by; leave out "
            "--form, and it chooses between lettered answers"
        )
    endpoint.try_chat()
    why = "as --form chat asks" if form == "chat" else f"because the server {reason}"
    return "letters", (
        f"{name}: chooses between lettered answers, in every order, {why}: MC1 and binary, no MC2. "
        "Such figures can't be compared with those from likelihoods."
    )


def served_choices(
    endpoint: Endpoint,
    mode: Mode,
    variant: PromptVariant,
    cases: Sequence[Case],
    store: ScoreStore,
    seed: int,
    advance: Advance = silent,
) -> Scoring:
    """As `variant_choices`, for a served model; `seed` draws the order of lettered choices."""
    questions: list[Question | Unscored] = [
        _likelihoods(endpoint, variant, case)
        if mode == "log-probabilities"
        else _letters(endpoint, variant, case, seed)
        for case in cases
    ]
    collected, computed = _collected(endpoint, questions, store, advance)
    made = _choices if mode == "log-probabilities" else _lettered
    return Scoring(
        [
            figures if isinstance(figures, Unscored) else made(case, figures)
            for case, figures in zip(cases, collected, strict=True)
        ],
        computed,
    )


def _likelihoods(endpoint: Endpoint, variant: PromptVariant, case: Case) -> Question:
    context = variant.plain(Prompt(), case)
    answers = [context.delimiter + a for a in (*case.correct_answers, *case.incorrect_answers)]
    return _behind(endpoint, context.text, answers)


def _behind(endpoint: Endpoint, text: str, continuations: Sequence[str]) -> Question:
    before, behind = moved(text, continuations)

    def ask(places: Sequence[int]) -> list[Filed]:
        totals, fingerprint = endpoint.continuation_log_probs(before, [behind[n] for n in places])
        return [(total, fingerprint) for total in totals]

    return Question([("continuation", before, text) for text in behind], ask)


def served_continuations(
    endpoint: Endpoint,
    variant: PromptVariant,
    asked: Sequence[Continued],
    store: ScoreStore,
    advance: Advance = silent,
) -> tuple[list[tuple[float, ...] | Unscored], int]:
    """Log-probabilities of what may follow each text, and how many were new to the store."""
    questions = [
        _behind(endpoint, text_behind(variant, Prompt(), each.text), each.behind) for each in asked
    ]
    collected, computed = _collected(endpoint, questions, store, advance)
    return [each if isinstance(each, Unscored) else tuple(each) for each in collected], computed


def _choices(case: Case, totals: Sequence[float]) -> Choices:
    true = len(case.correct_answers)
    return Choices(tuple(totals[:true]), tuple(totals[true:]))


def _letters(
    endpoint: Endpoint, variant: PromptVariant, case: Case, seed: int
) -> Question | Unscored:
    """All orders of all choices, then both orders of the first two (the same where there are two)."""
    choices = offered(case)
    if not case.correct_answers or not case.incorrect_answers:
        return Unscored(f"no {'false' if case.correct_answers else 'true'} answer")
    if len(choices) > len(LETTERS):
        return Unscored(f"{len(choices)} choices, more than there are letters")
    shown_orders = [*orders(choices, case.prompt, seed), *orders(choices[:2], case.prompt, seed)]
    conversations = [
        variant.messages(
            Prompt(),
            case.asking(lettered_question(case.turns[-1][1], [choices[n] for n in order])),
        )
        for order in shown_orders
    ]

    room = THOUGHT_TOKENS if endpoint.thinks else LETTER_TOKENS
    roomy = (str(room),) if endpoint.thinks else ()  # what was filed before knows of one room alone

    def ask(places: Sequence[int]) -> list[Filed]:
        filed = []
        for place in places:
            reply = endpoint.chat(conversations[place], max_tokens=room, seed=seed).unfiltered()
            filed.append((_taken(reply, choices, shown_orders[place]), reply.fingerprint))
        return filed

    parts = [(_READING, json.dumps(messages), *roomy) for messages in conversations]
    return Question(parts, ask)


def _taken(reply: Reply, choices: Sequence[str], order: Sequence[int]) -> float:
    """The place of the choice that a reply names where they were shown in this order: see Lettered."""
    name = named_before_cut if reply.cut else named
    place = name(reply.said, [choices[n] for n in order])
    if place is None:
        return TORN if reply.cut else math.nan
    return float(order[place])


def _lettered(case: Case, taken: Sequence[float]) -> Lettered:
    count = len(offered(case))
    return Lettered(tuple(taken[:count]), tuple(taken[count:]))


def _collected(
    endpoint: Endpoint,
    questions: Sequence[Question | Unscored],
    store: ScoreStore,
    advance: Advance,
) -> tuple[list[list[float] | Unscored], int]:
    """Every question's figures, or why it has none; and how many figures were new to the store."""
    left_out = {n: q for n, q in enumerate(questions) if isinstance(q, Unscored)}
    to_ask = {n: q for n, q in enumerate(questions) if isinstance(q, Question)}
    keys = {n: _keys(endpoint, endpoint.fingerprint, question) for n, question in to_ask.items()}
    known = store.known([key for row in keys.values() for key in row])
    missing = {n: _missing(row, known) for n, row in keys.items()}
    jobs = {n: _job(to_ask[n], places) for n, places in missing.items() if places}
    done, computed = len(questions) - len(jobs), 0
    for number, outcome in asked_at_once(endpoint, jobs):
        done += 1
        advance(done)
        if isinstance(outcome, Unscored):
            left_out[number] = outcome
            continue
        places = missing[number]
        store.add(
            {
                _keys(endpoint, fingerprint, to_ask[number])[place]: figure
                for place, (figure, fingerprint) in zip(places, outcome, strict=True)
            }
        )
        known |= {
            keys[number][place]: figure
            for place, (figure, _) in zip(places, outcome, strict=True)
        }  # fmt: skip
        computed += len(places)
    advance(len(questions))
    return [
        left_out[n] if n in left_out else [known[key] for key in keys[n]]
        for n in range(len(questions))
    ], computed


def _keys(endpoint: Endpoint, fingerprint: str, question: Question) -> list[bytes]:
    identity = endpoint.identity(fingerprint)
    return [text_key(identity, *parts) for parts in question.parts]


def _missing(row: Sequence[bytes], known: Mapping[bytes, float]) -> list[int]:
    """The places of figures that aren't known, each figure once."""
    first = {key: place for place, key in reversed(list(enumerate(row))) if key not in known}
    return sorted(first.values())


def _job(question: Question, places: Sequence[int]) -> Callable[[], list[Filed]]:
    return lambda: question.ask(places)
