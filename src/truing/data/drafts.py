"""From what stands in a question file to cases: the checks that every format shares.

A reader of one format turns its lines into drafts; here drafts become cases or a mistake is named.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from truing.data.distinct import CaseFile, distinct_cases
from truing.files import NotJSONError
from truing.types import Case, InputError, answer_key, normalised

ANSWER_TWICE = "answer(s) that stand twice in a list"
BOTH_WAYS = "true answer(s) that are listed as false, too"
EMPTY_ANSWER = "empty answer(s)"


@dataclass(frozen=True)
class FieldNames:
    """What the file calls its fields, so that a message can name them as the user wrote them."""

    question: str = "question"
    correct: str = "correct_answers"
    incorrect: str = "incorrect_answers"


@dataclass(frozen=True)
class Draft:
    """One question as it stands in a file, not yet checked.

    `best` is the best true answer where the row names one. What else is listed as true and as false
    counts as false then, which is how TruthfulQA's own multiple-choice task takes it. `published` marks
    a row in the form of a published benchmark: its user can't mend it, so that answers that are almost
    alike aren't remarked upon. `choices` says that the answers are offered choices, among which
    the right one may stand again.
    """

    line: int | None
    question: str
    correct: Sequence[str]
    incorrect: Sequence[str]
    best: str = ""
    category: str = ""
    source: str = ""
    names: FieldNames = FieldNames()
    published: bool = False
    choices: bool = False


def mistake(file: str, line: int | None, field: str, wrong: str, right: str) -> InputError:
    """The one form of message: `file:line: field: what is wrong; what would be right`."""
    place = file if line is None else f"{file}:{line}"
    # A column's name may hold a line break; a message is one line.
    said = " ".join(f"{wrong}; {right}".split())
    name = " ".join(field.split())
    return InputError(f"{place}: {name}: {said}" if name else f"{place}: {said}")


def bad_json(file: str, line: int | None, error: NotJSONError, right: str) -> InputError:
    """A mistake in JSON; `line` where the text is a line of the file."""
    column = f", column {error.column}" if error.column else ""
    wrong = f"not valid JSON ({error}{column})"
    return mistake(file, error.line or 1 if line is None else line, "", wrong, right)


def check_names(
    file: str,
    line: int | None,
    kind: str,
    found: Iterable[str],
    required: Sequence[str],
    known: Sequence[str],
) -> None:
    """Names of columns or keys: all required ones there, no near miss of a known one.

    A name that resembles none of the known ones, or one that is there, too, is the user's own and is
    let be.
    """
    present = list(found)
    meant = {name.removesuffix("_answers"): name for name in known} | {name: name for name in known}
    for name in present:
        if name in known:
            continue
        close = difflib.get_close_matches(name.casefold(), meant, n=1, cutoff=0.75)
        if close and (nearest := meant[close[0]]) not in present:
            raise mistake(file, line, name, f"unknown {kind}", f"did you mean '{nearest}'?")
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


def distinct(answers: Iterable[str]) -> list[str]:
    """Each answer once, stripped, in the order of first appearance; empty ones dropped."""
    first: dict[str, str] = {}
    for answer in answers:
        if key := answer_key(answer):
            first.setdefault(key, answer.strip())
    return list(first.values())


def _is_best(answer: str, best: str) -> bool:
    """Whether a listed answer is the best one, which may be written without its full stop there."""
    one, other = (answer_key(text).rstrip(" .") for text in (answer, best))
    return one == other if one or other else answer_key(answer) == answer_key(best)


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


@dataclass(frozen=True)
class _Sorted:
    """A draft's answers, the best first, each once; what was left out is counted."""

    correct: list[str]
    incorrect: list[str]
    left_out: Counter[str]


def _sorted(draft: Draft) -> _Sorted:
    best = draft.best.strip() if answer_key(draft.best) else ""
    correct, incorrect = distinct(draft.correct), distinct(draft.incorrect)
    left_out = Counter(
        {
            EMPTY_ANSWER: sum(not answer_key(each) for each in (*draft.correct, *draft.incorrect)),
            ANSWER_TWICE: sum(
                sum(bool(answer_key(each)) for each in listed) - len(once)
                for listed, once in ((draft.correct, correct), (draft.incorrect, incorrect))
            ),
        }
    )
    if not best:
        return _Sorted(correct, incorrect, +left_out)
    if draft.choices:
        rest = [each for each in incorrect if answer_key(each) != answer_key(best)]
        left_out[ANSWER_TWICE] += len(incorrect) - len(rest)
        return _Sorted([best], rest, +left_out)
    false = {answer_key(each) for each in incorrect}
    others = [each for each in correct if not _is_best(each, best)]
    true = [each for each in others if answer_key(each) not in false]
    left_out[BOTH_WAYS] += len(others) - len(true)
    return _Sorted([best, *true], incorrect, +left_out)


def case_of(file: str, draft: Draft) -> tuple[Case, Counter[str]]:
    """The case that a draft is, and how many of its answers are left out, by reason.

    Raises InputError at a mistake.
    """
    names, line = draft.names, draft.line
    _encodable(file, draft)
    if not answer_key(draft.question):
        raise mistake(file, line, names.question, "empty", "give the text of the question")
    answers = _sorted(draft)
    if not answers.correct:
        raise mistake(
            file, line, names.correct, "no true answer", "give at least one, the best first"
        )
    if not answers.incorrect:
        raise mistake(file, line, names.incorrect, "no false answer", "give at least one")
    false = {answer_key(answer) for answer in answers.incorrect}
    for answer in answers.correct:
        if answer_key(answer) in false:
            wrong = f"{answer!r} is listed as true and as false"
            raise mistake(file, line, names.incorrect, wrong, "keep it in one of the two")
    case = Case(
        prompt=draft.question.strip(),
        correct_answers=tuple(answers.correct),
        incorrect_answers=tuple(answers.incorrect),
        category=draft.category.strip(),
        source=draft.source.strip(),
    )
    return case, answers.left_out


def almost_alike(case: Case) -> tuple[str, str] | None:
    """A true and a false answer that a coarse look takes for one; None where there are none."""
    false = {_coarse(answer): answer for answer in case.incorrect_answers}
    pairs = ((answer, false.get(_coarse(answer))) for answer in case.correct_answers)
    return next(((one, other) for one, other in pairs if other is not None), None)


def _coarse(answer: str) -> str:
    text = normalised(answer)
    return text.rstrip(" .") or text


def cases_from(file: str, drafts: Iterable[Draft], remarks: Sequence[str] = ()) -> CaseFile:
    """The drafts as cases, in order. Raises InputError at the first mistake.

    Two questions are the same where stem and choices are (see `Case.question_key`); what an earlier
    line asks is left out and counted, whatever the layout.
    """
    cases: list[Case] = []
    left_out: Counter[str] = Counter()
    alike: list[tuple[str, str]] = []
    asked: set[str] = set()
    for draft in drafts:
        case, dropped = case_of(file, draft)
        left_out += dropped
        if not draft.published and case.question_key not in asked:
            alike += filter(None, [almost_alike(case)])
        asked.add(case.question_key)
        cases.append(case)
    if not cases:
        raise mistake(file, None, "", "no questions in it", "give at least one")
    return distinct_cases(cases, file, left_out, (*remarks, *_in_words(alike)))


def _in_words(alike: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What to tell of true and false answers that a typing mistake may have parted."""
    if alike:
        one, other = alike[0]
        yield (
            f"{len(alike):,} question(s) have a true and a false answer that only letter case, width "
            f"or a full stop tells apart ({one[:40]!r} and {other[:40]!r}): read as two answers"
        )
