"""From what stands in a question file to cases: the checks that every format shares.

A reader of one format turns its lines into drafts; here drafts become cases or a mistake is named.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from truing.types import Case, InputError, normalised


@dataclass(frozen=True)
class FieldNames:
    """What the file calls its fields, so that a message can name them as the user wrote them."""

    question: str = "question"
    correct: str = "correct_answers"
    incorrect: str = "incorrect_answers"


@dataclass(frozen=True)
class Draft:
    """One question as it stands in a file, not yet checked.

    `best` is the best true answer where the file names one. `published` marks a published
    benchmark, whose known blemishes are dealt with here since its user can't mend them: a repeated
    question is left out, and an answer that is listed as true and as false counts as false (which
    is how TruthfulQA's own multiple-choice task takes it).
    """

    line: int
    question: str
    correct: Sequence[str]
    incorrect: Sequence[str]
    best: str = ""
    category: str = ""
    source: str = ""
    names: FieldNames = FieldNames()
    published: bool = False


def mistake(file: str, line: int | None, field: str, wrong: str, right: str) -> InputError:
    """The one form of message: `file:line: field: what is wrong; what would be right`."""
    place = file if line is None else f"{file}:{line}"
    # A column's name may hold a line break; a message is one line.
    said = " ".join(f"{wrong}; {right}".split())
    name = " ".join(field.split())
    return InputError(f"{place}: {name}: {said}" if name else f"{place}: {said}")


def utf8_text(file: str, data: bytes) -> str:
    """The text of a file, with or without a byte order mark. Raises InputError naming the bad line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        wrong = f"not UTF-8 (byte 0x{data[error.start]:02x})"
        raise mistake(file, line, "", wrong, "save the file as UTF-8") from None


def check_names(
    file: str,
    line: int,
    kind: str,
    found: Iterable[str],
    required: Sequence[str],
    known: Sequence[str],
) -> None:
    """Names of columns or keys: all required ones there, no near miss of a known one.

    A name that resembles none of the known ones is the user's own and is let be.
    """
    present = list(found)
    absent = [name for name in known if name not in present]
    for name in present:
        close = difflib.get_close_matches(name, absent, n=1, cutoff=0.75)
        if name not in known and close:
            raise mistake(file, line, name, f"unknown {kind}", f"did you mean '{close[0]}'?")
    for name in required:
        if name not in present:
            listed = ", ".join(present) if present else "none"
            raise mistake(
                file,
                line,
                name,
                f"this {kind} is missing",
                f"needed: {', '.join(required)}; found: {listed}",
            )


def folded(answer: str) -> str:
    """Equal for answers that differ only in case, white space or a closing full stop."""
    text = normalised(answer)
    return text.rstrip(" .") or text


def distinct(answers: Iterable[str]) -> list[str]:
    """Each answer once, stripped, in the order of first appearance; empty ones dropped."""
    return list(dict.fromkeys(stripped for answer in answers if (stripped := answer.strip())))


def _best_first(draft: Draft, incorrect: Sequence[str]) -> list[str]:
    correct, best = distinct(draft.correct), draft.best.strip()
    if draft.published:
        correct = [answer for answer in correct if answer == best or answer not in incorrect]
    if not best:
        return correct
    return [best, *(answer for answer in correct if folded(answer) != folded(best))]


def _encodable(file: str, draft: Draft) -> None:
    for text in (
        draft.question,
        draft.category,
        draft.source,
        draft.best,
        *draft.correct,
        *draft.incorrect,
    ):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise mistake(
                file, draft.line, "", "half of a surrogate pair", "escape characters as whole pairs"
            ) from None


def _case(file: str, draft: Draft) -> Case:
    names, line = draft.names, draft.line
    _encodable(file, draft)
    if not normalised(draft.question):
        raise mistake(file, line, names.question, "empty", "give the text of the question")
    incorrect = distinct(draft.incorrect)
    correct = _best_first(draft, incorrect)
    if not correct:
        raise mistake(
            file, line, names.correct, "no true answer", "give at least one, the best first"
        )
    if not incorrect:
        raise mistake(file, line, names.incorrect, "no false answer", "give at least one")
    false = {folded(answer) for answer in incorrect}
    for answer in correct:
        if folded(answer) in false:
            wrong = f"{answer!r} is listed as true and as false"
            raise mistake(file, line, names.incorrect, wrong, "keep it in one of the two")
    return Case(
        prompt=draft.question.strip(),
        correct_answers=tuple(correct),
        incorrect_answers=tuple(incorrect),
        category=draft.category.strip(),
        source=draft.source.strip(),
    )


def cases_from(file: str, drafts: Iterable[Draft]) -> tuple[Case, ...]:
    """The drafts as cases, in order. Raises InputError at the first mistake.

    Two questions are the same when their normalised texts are.
    """
    cases: list[Case] = []
    first_line: dict[str, int] = {}
    for draft in drafts:
        case = _case(file, draft)
        text = normalised(case.prompt)
        if text not in first_line:
            first_line[text] = draft.line
            cases.append(case)
        elif not draft.published:
            wrong = f"the question of line {first_line[text]} again"
            raise mistake(file, draft.line, draft.names.question, wrong, "ask each question once")
    if not cases:
        raise mistake(file, None, "", "no questions in it", "give at least one")
    return tuple(cases)
