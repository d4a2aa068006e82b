"""A finished run's answers as tasks for people, who don't see whose answers they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from truing.data.messages import Messages, checked_messages, checked_text
from truing.people.content import NewPrompt
from truing.people.exchange.importing import Asked, add_answered, ask_about
from truing.people.store import Store
from truing.people.vocabulary import ABOUT_ANSWERS, COMPLETIONS_NEEDED
from truing.runs.folder import RunFolder
from truing.types import InputError, Row, stable_hash

Answers = dict[str, dict[str, str]]
"""By case and candidate."""


@dataclass(frozen=True)
class RunRequest:
    """What people are asked about a run. Without `between`, it is about all of its candidates."""

    folder: Path
    ask: tuple[str, ...]
    between: tuple[str, str] | None = None
    wanted: int = 1
    limit: int | None = None
    seed: int = 0
    consent: str = "unknown"


@dataclass(frozen=True)
class RunQuestions:
    """What can be asked about a run: messages, and each candidate's answer to them."""

    request: RunRequest
    questions: tuple[tuple[Messages, dict[str, str]], ...]
    alike: int
    """Questions to which the answers are the same, so that there is nothing to compare."""
    unanswered: int
    """Questions that a candidate has no answer to."""

    @property
    def name(self) -> str:
        """The run's, as its candidates bear it in the store."""
        return self.request.folder.resolve().name

    def ask(self, store: Store) -> int:
        """Put all into the store as tasks, and count them; a second time adds nothing."""
        request, added = self.request, Counter[str]()
        with store.writing() as session:
            asked = self.put(session, added)
            return ask_about(session, asked, request.ask, request.wanted, request.seed, added)

    def put(self, session: Session, added: Counter[str]) -> list[Asked]:
        """Put questions and answers into the store, without a task."""
        request, source = self.request, f"run {self.name}"
        new = [
            NewPrompt(messages, source=source, consent=request.consent)
            for messages, _ in self.questions
        ]
        answers = [
            [(f"{self.name}/{candidate}", text) for candidate, text in texts.items()]
            for _, texts in self.questions
        ]
        return add_answered(session, new, answers, added)

    def left_out(self) -> str:
        """What isn't asked and why; empty where all is."""
        reasons = (
            (self.alike, "the answers are the same"),
            (self.unanswered, "an answer is missing"),
        )
        return "; ".join(f"{count} left out: {why}" for count, why in reasons if count)


def questions_of_run(request: RunRequest) -> RunQuestions:
    """Read what can be asked about a run.

    Of a candidate with several seeds each question gets one seed's answer, drawn by the seed. Raises
    InputError for a folder without answers, unknown kinds or candidates, and for a comparison that
    doesn't say between which.
    """
    run = RunFolder.open(request.folder)
    rows, cases = run.rows(), run.questions()
    answers = _answers(rows, cases, request.seed)
    answered = {name for texts in answers.values() for name in texts}
    names = _candidates(request, [name for name in run.candidates(rows) if name in answered])
    drawn = sorted(answers, key=lambda case: stable_hash("asked", str(request.seed), case))
    questions: list[tuple[Messages, dict[str, str]]] = []
    alike = unanswered = 0
    for case in drawn:
        if len(questions) == request.limit:
            break
        texts = {name: answers[case].get(name, "") for name in names}
        if not all(texts.values()):
            unanswered += 1
        elif _nothing_to_compare(request.ask, texts):
            alike += 1
        else:
            where = f"{request.folder}: case {case}"
            checked = {name: checked_text(text, f"{where}, {name}") for name, text in texts.items()}
            questions.append((_messages(cases[case], where), checked))
    if not questions:
        raise InputError(
            f"{request.folder}: nothing to ask about {', '.join(names)}: {alike} questions have the "
            f"same answers, {unanswered} lack one"
        )
    return RunQuestions(request, tuple(questions), alike, unanswered)


def _candidates(request: RunRequest, names: Sequence[str]) -> list[str]:
    """Whose answers are asked about, of those who have some. Raises InputError."""
    if unknown := [kind for kind in request.ask if kind not in ABOUT_ANSWERS]:
        raise InputError(f"--ask: no kind {unknown[0]!r}; give one of {', '.join(ABOUT_ANSWERS)}")
    if not request.ask:
        raise InputError(f"--ask: say what people are to do: {', '.join(ABOUT_ANSWERS)}")
    if not names:
        raise InputError(f"{request.folder}: no rows with answers; let 'truing align' end first")
    listed = ", ".join(names)
    chosen = list(request.between or names)
    if unknown := [name for name in chosen if name not in names]:
        raise InputError(
            f"--between: {request.folder} has no answers of {unknown[0]!r}; it has those of {listed}"
        )
    if len(set(chosen)) < len(chosen):
        raise InputError(f"--between: give two different candidates of {listed}")
    fewest = max(COMPLETIONS_NEEDED[kind][0] for kind in request.ask)
    if len(chosen) < fewest or ("comparison" in request.ask and len(chosen) > 2):
        raise InputError(f"--between: say which two are compared, of {listed}")
    most = COMPLETIONS_NEEDED["ranking"][1]
    if "ranking" in request.ask and len(chosen) > most:
        raise InputError(f"--between: {len(chosen)} candidates can't be ranked; at most {most} can")
    return chosen


def _answers(rows: Sequence[Row], cases: Mapping[str, Any], seed: int) -> Answers:
    """Of the evaluation that has answers to most of the run's questions."""
    by_evaluation: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.seed):
        text = row.detail.get("answer")
        if isinstance(text, str) and row.case in cases:
            by_evaluation[row.evaluation].setdefault((row.case, row.candidate), []).append(text)
    if not by_evaluation:
        return {}
    most = max(sorted(by_evaluation), key=lambda name: len(by_evaluation[name]))
    answers: Answers = defaultdict(dict)
    for (case, name), texts in by_evaluation[most].items():
        drawn = int(stable_hash("which seed", str(seed), case, name)[:8], 16)
        answers[case][name] = texts[drawn % len(texts)].strip()
    return answers


def _nothing_to_compare(kinds: Sequence[str], texts: Mapping[str, str]) -> bool:
    return set(kinds) <= {"comparison", "ranking"} and len(set(texts.values())) == 1


def _messages(case: Mapping[str, Any], where: str) -> Messages:
    plain = [{"role": "user", "content": case["prompt"]}]
    return checked_messages(case.get("messages") or plain, where)
