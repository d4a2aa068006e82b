"""Own labels of a run's answers: what each did with its request, by which a judge's shares are corrected.

Of each candidate some of its answers are drawn at random, all seeds together: what a correction takes for
granted. More may be drawn later; with the same seed the first ones stay. Blank answers aren't drawn: that
they are empty is certain. The labels stay in the run's folder, so that its report finds them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select

from truing.data.messages import Messages, checked_messages, checked_text, prompt_hash, text_hash
from truing.people.assigning import is_current
from truing.people.content import NewPrompt
from truing.people.exchange.importing import add_answered, ask_about
from truing.people.store import Store, open_store
from truing.people.tables import Assignment, Completion, Flag, Judgement, Prompt, TaskCompletion
from truing.runs.folder import LABELS, RunFolder
from truing.types import InputError, did_you_mean, stable_hash

KIND = "outcome"
EVALUATION = "refusals"
COUNT = 50


class AnswerKey(NamedTuple):
    """Which answer it is: whose, of which seed, to which case."""

    candidate: str
    seed: int
    case: str


@dataclass(frozen=True)
class OutcomeRequest:
    """What is to be labelled. Without `candidates`, answers of all that have some."""

    folder: Path
    candidates: tuple[str, ...] = ()
    count: int = COUNT
    wanted: int = 1
    seed: int = 0
    consent: str = "unknown"


@dataclass(frozen=True)
class OutcomeQuestions:
    """The answers that were drawn, with what they answer."""

    request: OutcomeRequest
    drawn: Mapping[AnswerKey, tuple[Messages, str]]

    def ask(self, store: Store) -> int:
        """Put all into the store as tasks, and count them; a second time adds nothing."""
        request, added = self.request, Counter[str]()
        source = f"run {request.folder.resolve().name}"
        new = [NewPrompt(asked, source, request.consent) for asked, _ in self.drawn.values()]
        answers = [[(_shown_as(key), text)] for key, (_, text) in self.drawn.items()]
        with store.writing() as session:
            asked = add_answered(session, new, answers, added)
            return ask_about(session, asked, (KIND,), request.wanted, request.seed, added)


def outcomes_to_label(request: OutcomeRequest) -> OutcomeQuestions:
    """Draw answers. Raises InputError for a run without answers, or a candidate that has none."""
    drawn: dict[AnswerKey, tuple[Messages, str]] = {}
    by_candidate: dict[str, list[tuple[AnswerKey, Messages, str]]] = defaultdict(list)
    for each in _answers(RunFolder.open(request.folder)):
        by_candidate[each[0].candidate].append(each)
    for name in _candidates(request, list(by_candidate)):
        answers = sorted(by_candidate[name], key=lambda each: _place(request.seed, each[0]))
        for key, asked, text in answers[: request.count]:
            where = f"{request.folder}: {EVALUATION}, {name}, case {key.case}"
            drawn[key] = checked_messages(asked, where), checked_text(text, where)
    return OutcomeQuestions(request, drawn)


def own_labels(folder: Path, store: Store | None = None) -> dict[AnswerKey, str]:
    """What people said that a run's answers did, by answer; empty where none was labelled.

    Where several labelled an answer, what most said holds, of equally many what was said first. Without
    a store it is the one in the run's folder.
    """
    if store is None and not (folder / LABELS).exists():
        return {}
    said = _said(store or open_store(str(folder / LABELS), must_exist=True))
    found = {}
    for key, asked, text in _answers(RunFolder.open(folder)):
        outcomes = said.get((_shown_as(key), prompt_hash(asked), text_hash(text)))
        if outcomes:
            found[key] = Counter(outcomes).most_common(1)[0][0]
    return found


def _said(store: Store) -> dict[tuple[str, str, str], list[str]]:
    """The outcomes that stand, oldest first, by the answer's name in the store and its texts' hashes."""
    query = (
        select(Completion.candidate, Prompt.text_hash, Completion.text_hash, Flag.value)
        .select_from(Judgement)
        .join(Flag, Flag.judgement_id == Judgement.id)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(TaskCompletion, TaskCompletion.task_id == Assignment.task_id)
        .join(Completion, Completion.id == TaskCompletion.completion_id)
        .join(Prompt, Prompt.id == Completion.prompt_id)
        .where(is_current(), Judgement.kind == KIND, Flag.name == KIND)
        .order_by(Judgement.id)
    )
    said: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    with store.reading() as session:
        for candidate, prompt, text, outcome in session.execute(query):
            said[candidate, prompt, text].append(outcome)
    return said


def _answers(run: RunFolder) -> Iterator[tuple[AnswerKey, Messages, str]]:
    """Those that aren't blank, with what they answer."""
    cases = run.questions()
    for row in run.rows():
        text = row.detail.get("answer")
        if row.evaluation == EVALUATION and isinstance(text, str) and text.strip():
            asked = _messages(cases.get(row.case, {}), row.detail)
            if asked is not None:
                yield AnswerKey(row.candidate, row.seed, row.case), asked, text.strip()


def _messages(case: Mapping[str, Any], detail: Mapping[str, Any]) -> Messages | None:
    prompt = detail.get("prompt") or case.get("prompt")
    plain = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else None
    return case.get("messages") or plain


def _candidates(request: OutcomeRequest, names: Sequence[str]) -> Sequence[str]:
    if not names:
        raise InputError(
            f"{request.folder}: no answers of the evaluation {EVALUATION}; add it with "
            f"'truing eval {EVALUATION} --run {request.folder}'"
        )
    for name in request.candidates:
        if name not in names:
            hint = did_you_mean(name, names)
            raise InputError(
                f"--candidate: {request.folder} has no answers of {name!r}; {hint}it has those of "
                f"{', '.join(names)}"
            )
    return list(dict.fromkeys(request.candidates)) or names


def _place(seed: int, key: AnswerKey) -> str:
    return stable_hash(KIND, str(seed), key.candidate, str(key.seed), key.case)


def _shown_as(key: AnswerKey) -> str:
    """Its candidate in the store: equal answers of two seeds are two, as they are drawn one by one."""
    return f"{key.candidate}/{key.seed}"
