"""Free answers of a served model, remembered on disk as they come.

The server generates at temperature 0. Answers are filed under its URL, model and fingerprint, the text
or conversation that was sent, and the length limit; one that the server refuses, or fails on too often,
is unscored and not filed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from truing.evaluate.respondent import Advance, Longest, of_each, silent
from truing.evaluate.variant_answers import FreeAnswers, cut_at
from truing.models.memo.answers import Answer, AnswerStore, served_answer_key
from truing.models.remote.client import EndpointError
from truing.models.remote.concurrent import asked_at_once
from truing.models.remote.endpoint import Endpoint
from truing.models.remote.replies import Reply
from truing.models.templates.thoughts import without_thoughts
from truing.prompts.rendering import Prompt
from truing.prompts.variants import Form, PromptVariant
from truing.types import Case, Unscored

Interface = Literal["chat", "completions"]
TRIED: dict[Form, tuple[Interface, ...]] = {
    "auto": ("chat", "completions"),
    "chat": ("chat",),
    "text": ("completions",),
}
"""The interfaces of each form, in the order in which they are tried."""
_TRIAL = PromptVariant("trial", prompt=Prompt())
_TRIAL_QUESTION = Case("Reply with the letter A.")


@dataclass(frozen=True)
class _Request:
    """What is sent, as it stands in the key; how to send it; and the text that ends the answer, which has
    so many tokens at most."""

    sent: str
    send: Callable[[], Reply]
    stop: str
    most: int

    def answer(self) -> tuple[Answer, str]:
        """The answer, and the fingerprint that came with it. Raises Refused or Unreachable."""
        reply = self.send().unfiltered()
        said = without_thoughts(reply.text)
        return cut_at(self.stop, said, finished=not reply.cut), reply.fingerprint


def choose_interface(endpoint: Endpoint, form: Form) -> tuple[Interface, str]:
    """The first interface of the form that answers, and the fingerprint that came with the trial.

    Raises InputError where none does.
    """
    failures: list[EndpointError] = []
    for interface in TRIED[form]:
        try:
            return interface, endpoint.tried(partial(_trial, endpoint, interface)).fingerprint
        except EndpointError as error:
            failures.append(error)
    raise endpoint.unusable(failures[0])


def _trial(endpoint: Endpoint, interface: Interface, room: int) -> Reply:
    return _request(endpoint, interface, _TRIAL, _TRIAL_QUESTION, room).send()


def served_answers(
    endpoint: Endpoint,
    asked: tuple[Interface, str],
    variant: PromptVariant,
    cases: Sequence[Case],
    max_new_tokens: Longest,
    store: AnswerStore,
    advance: Advance = silent,
) -> FreeAnswers:
    """As `variant_answers`, for a served model that is `asked` as `choose_interface` says."""
    interface, first_fingerprint = asked
    requests = [
        _request(endpoint, interface, variant, case, most)
        for case, most in zip(cases, of_each(max_new_tokens, cases), strict=True)
    ]

    def key(request: _Request, fingerprint: str) -> bytes:
        identity = endpoint.identity(fingerprint)
        return served_answer_key(identity, interface, request.most, request.sent)

    keys = [key(request, first_fingerprint) for request in requests]
    known: dict[bytes, Answer | Unscored] = dict(store.known(keys))
    missing = {keys[n]: n for n in reversed(range(len(keys))) if keys[n] not in known}
    done, computed = len(cases) - len(missing), 0
    jobs = {n: requests[n].answer for n in sorted(missing.values())}
    for number, outcome in asked_at_once(endpoint, jobs):
        done += 1
        advance(done)
        if isinstance(outcome, Unscored):
            known[keys[number]] = outcome
            continue
        answer, fingerprint = outcome
        store.add({key(requests[number], fingerprint): answer})
        known[keys[number]] = answer
        computed += 1
    advance(len(cases))
    return FreeAnswers([known[each] for each in keys], computed)


def _request(
    endpoint: Endpoint,
    interface: Interface,
    variant: PromptVariant,
    case: Case,
    most: int,
) -> _Request:
    if interface == "chat":
        messages = variant.messages(Prompt(), case)
        return _Request(
            json.dumps(messages), lambda: endpoint.chat(messages, max_tokens=most), "", most
        )
    context = variant.plain(Prompt(), case)
    text = context.text.rstrip(" ")  # the model's own first token brings one
    return _Request(
        text,
        lambda: endpoint.write(text, max_tokens=most, stop=context.stop),
        context.stop,
        most,
    )
