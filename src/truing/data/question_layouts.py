"""From one record of a file to a question, by what is in the record: the layouts that are published.

- One's own: `question`, `correct_answers`, `incorrect_answers`, optionally `best_answer`, `category`,
  `source`. With `type` and all of these it is TruthfulQA's (its CSV, and the `generation` set on the
  Hugging Face hub): answers get the full stop that they have in its multiple-choice file.
- TruthfulQA's multiple choice: `mc1_targets` and `mc2_targets`, each a mapping of answers to 1 or 0, or
  `choices` with `labels` (the hub's `multiple_choice`). The true answer of MC1 is the best one. Where
  there is `mc0_targets` (since 2025), its false answer is the best false one and stands first.
- MMLU's on the hub: `question`, a list of `choices`, and `answer`, a number from 0 or a letter.
- OpenBookQA's and ARC's: `question` with `stem` and `choices`, or (on the hub) `question_stem` or
  `question` beside `choices` with `text` and `label`; and `answerKey`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from truing.data.drafts import Draft, FieldNames, check_names, mistake
from truing.data.json_kinds import kind_of
from truing.types import answer_key

REQUIRED = ("question", "correct_answers", "incorrect_answers")
KNOWN = (*REQUIRED, "best_answer", "category", "source")
MAY_STAND = (*KNOWN, "best_incorrect_answer")
"""What a question of one's own form may have."""
TRUTHFULQA = frozenset({*KNOWN, "type"})
_CHOICES = 'give {"text": ["...", "..."], "label": ["A", "B"]}, or [{"text": "...", "label": "A"}]'

Record = Mapping[str, Any]


def plain_name(name: str) -> str:
    """A column's name in lower case, its words joined by underscores."""
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def split_answers(cell: str) -> list[str]:
    """The answers in a cell that are separated by `;`, stripped, empty ones dropped."""
    return [stripped for answer in cell.split(";") if (stripped := answer.strip())]


def with_full_stop(answer: str) -> str:
    """The answer as TruthfulQA's multiple-choice file has it: closed by a full stop."""
    return answer if answer.endswith(".") or not answer else answer + "."


def question_draft(file: str, line: int | None, record: Record) -> Draft:
    """The question in a record, unchecked. Raises InputError where its layout is none that is known."""
    return published_draft(file, line, record) or _own(file, line, record)


def published_draft(file: str, line: int | None, record: Record) -> Draft | None:
    """The question in a record that has a published benchmark's layout; None for any other."""
    if "mc1_targets" in record or "mc2_targets" in record:
        return _targets(file, line, record)
    if isinstance(record.get("question"), dict) or "answerKey" in record:
        return _keyed(file, line, record)
    if isinstance(record.get("choices"), list) and "answer" in record and "question" in record:
        return _numbered(file, line, record)
    return _own(file, line, record) if record.keys() >= TRUTHFULQA else None


def own_draft(
    line: int | None, answers: Mapping[str, list[str]], texts: Mapping[str, str], names: FieldNames
) -> Draft:
    """A question of one's own form, or TruthfulQA's, from its lists of answers and its texts by plain
    name."""
    published = answers.keys() | texts.keys() >= TRUTHFULQA
    closed = with_full_stop if published else str
    return Draft(
        line,
        texts["question"],
        [closed(answer) for answer in answers["correct_answers"]],
        _first(
            [closed(answer) for answer in answers["incorrect_answers"]],
            closed(texts.get("best_incorrect_answer", "").strip()),
        ),
        closed(texts.get("best_answer", "").strip()),
        texts.get("category", ""),
        texts.get("source", ""),
        names,
        published,
    )


def _first(answers: list[str], best: str) -> list[str]:
    """The answers, the best of them first if it is among them."""
    return sorted(answers, key=lambda answer: answer != best)


def _own(file: str, line: int | None, record: Record) -> Draft:
    check_names(file, line, "key", record, REQUIRED, MAY_STAND)
    answers = {key: _texts(file, line, record, key) for key in REQUIRED[1:]}
    texts = {key: _text(file, line, record, key) for key in ("question", *KNOWN[3:])}
    more = {
        key: str(record.get(key)) for key in ("type", "best_incorrect_answer") if record.get(key)
    }
    return own_draft(line, answers, {**more, **texts}, FieldNames())


def _text(file: str, line: int | None, record: Record, key: str) -> str:
    value = record.get(key)
    if value is None and key not in REQUIRED:
        return ""
    if not isinstance(value, str):
        raise mistake(
            file, line, key, f"{kind_of(value)} stands here", "give a text in double quotes"
        )
    return value


def _texts(file: str, line: int | None, record: Record, key: str) -> list[str]:
    value = record[key]
    if not isinstance(value, list):
        raise mistake(
            file, line, key, f"{kind_of(value)} stands here", 'give a list: ["...", "..."]'
        )
    for number, item in enumerate(value, 1):
        if not isinstance(item, str):
            raise mistake(file, line, key, f"item {number} is {kind_of(item)}", "give texts only")
        if not answer_key(item):
            raise mistake(
                file, line, key, f"item {number} is empty", "give its text or leave it out"
            )
    return value


# --- Multiple choice ----------------------------------------------------------------------------


def choice_draft(
    line: int | None,
    question: str,
    choices: Sequence[str],
    right: int,
    category: str,
    source: str,
    key: str,
) -> Draft:
    """A multiple-choice question of a published benchmark, with one true answer."""
    wrong = [choice for position, choice in enumerate(choices) if position != right]
    names = FieldNames(question="question", correct=key, incorrect="choices")
    return Draft(
        line,
        question,
        [choices[right]],
        wrong,
        choices[right],
        category,
        source,
        names,
        published=True,
        choices=True,
    )


def right_choice(file: str, line: int | None, answer: str, choices: int) -> int:
    """Which choice an answer such as `C` or `2` means. Numbers count from 0."""
    letters = [chr(ord("A") + place) for place in range(choices)]
    allowed = {name: place for place, name in enumerate(letters)}
    allowed |= {str(place): place for place in range(choices)}
    if answer.strip().upper() not in allowed:
        right = f"give A to {letters[-1]}, or 0 to {choices - 1}" if choices else "give choices"
        raise mistake(file, line, "answer", f"{answer.strip()!r} names no choice", right)
    return allowed[answer.strip().upper()]


def _numbered(file: str, line: int | None, record: Record) -> Draft:
    """MMLU's layout on the hub."""
    choices = _as_texts(record["choices"])
    if not all(isinstance(choice, str) for choice in choices):
        raise mistake(file, line, "choices", "not all are texts", 'give a list: ["...", "..."]')
    answer = record["answer"]
    if isinstance(answer, bool) or not isinstance(answer, int | str):
        raise mistake(
            file, line, "answer", f"{kind_of(answer)} stands here", "give a number from 0"
        )
    right = right_choice(file, line, str(answer), len(choices))
    stem, subject = _text(file, line, record, "question"), _text(file, line, record, "subject")
    return choice_draft(line, stem, choices, right, subject.replace("_", " "), "MMLU", "answer")


def _as_texts(values: Sequence[Any]) -> list[Any]:
    """Numbers among choices as they are written: a table may have them without quotes."""
    plain = (int, float)
    return [str(v) if isinstance(v, plain) and not isinstance(v, bool) else v for v in values]


def _keyed(file: str, line: int | None, record: Record) -> Draft:
    """OpenBookQA's and ARC's layouts, their own and the hub's."""
    nested = record.get("question")
    inner: Record = nested if isinstance(nested, dict) else record
    choices = inner.get("choices")
    if not isinstance(choices, list | dict):
        right = 'give {"stem": "...", "choices": [{"text": "...", "label": "A"}, ...]}'
        raise mistake(file, line, "question", "no object with stem and choices", right)
    labels, texts = _labelled(file, line, choices, "question" if inner is nested else "choices")
    key = record.get("answerKey")
    if key not in labels:
        right = f"give one of {', '.join(labels)}"
        raise mistake(file, line, "answerKey", f"{key!r} names no choice", right)
    stem = next((n for n in ("stem", "question_stem", "question") if n in inner), "question")
    question = _text(file, line, {"question": inner.get(stem)}, "question")
    benchmark, source = _benchmark(record)
    return choice_draft(line, question, texts, labels.index(key), benchmark, source, "answerKey")


def _labelled(
    file: str, line: int | None, choices: list[Any] | dict[str, Any], field: str
) -> tuple[list[str], list[str]]:
    """The labels and texts of choices: a list of pairs, or a pair of lists."""
    if isinstance(choices, dict):
        names, values = choices.get("label"), choices.get("text")
        if not (isinstance(names, list) and isinstance(values, list) and len(names) == len(values)):
            raise mistake(file, line, field, "no lists of text and label, equally long", _CHOICES)
        pairs = list(zip(names, values, strict=True))
    else:
        pairs = [
            (each.get("label"), each.get("text")) if isinstance(each, dict) else (None, None)
            for each in choices
        ]
    for number, pair in enumerate(pairs, 1):
        if not all(isinstance(each, str) for each in pair):
            wrong = f"choice {number} has no text and label"
            raise mistake(file, line, field, wrong, 'give {"text": "...", "label": "A"}')
    return [label for label, _ in pairs], [text for _, text in pairs]


def _benchmark(record: Record) -> tuple[str, str]:
    """Category and source, told by the identifier: ARC's name an exam (`MCAS_2000_4_6`)."""
    identifier = record.get("id")
    name = "ARC" if isinstance(identifier, str) and "_" in identifier else "OpenBookQA"
    return name, f"{name} {identifier}" if isinstance(identifier, str) else name


# --- TruthfulQA's targets -----------------------------------------------------------------------

Marked = list[tuple[str, int]]
_TARGETS = ("mc0_targets", "mc1_targets", "mc2_targets")


def _targets(file: str, line: int | None, record: Record) -> Draft:
    check_names(file, line, "key", record, ("question",), ("question", *_TARGETS))
    mc0, mc1, mc2 = (_marked(file, line, record, name) for name in _TARGETS)
    best = [answer for answer, mark in mc1 if mark]
    if mc1 and len(best) != 1:
        raise mistake(
            file, line, "mc1_targets", f"{len(best)} true answers", "mark exactly one with 1"
        )
    best_false = {answer for answer, mark in mc0 if not mark}
    named = [a for targets in (mc1, mc2) for a, mark in targets if not mark and a in best_false]
    return Draft(
        line,
        _text(file, line, record, "question"),
        _once(mc1, mc2, 1),
        [*named[:1], *(each for each in _once(mc1, mc2, 0) if each not in named[:1])],
        best[0] if best else "",
        _text(file, line, record, "category"),
        _text(file, line, record, "source"),
        FieldNames("question", "mc2_targets", "mc2_targets"),
        published=True,
    )


def _once(mc1: Marked, mc2: Marked, wanted: int) -> list[str]:
    """MC1's answers and the others of MC2: that the two share some is no repetition."""
    first = [answer for answer, mark in mc1 if mark == wanted]
    return [*first, *(answer for answer, mark in mc2 if mark == wanted and answer not in first)]


def _marked(file: str, line: int | None, record: Record, key: str) -> Marked:
    """Answers with 1 where they are true, 0 where they aren't."""
    value = record.get(key)
    pairs: list[tuple[Any, Any]] | None = [] if value is None else None
    if isinstance(value, dict):
        answers, labels = value.get("choices"), value.get("labels")
        if not isinstance(answers, list):
            pairs = list(value.items())
        elif isinstance(labels, list) and len(labels) == len(answers):
            pairs = list(zip(answers, labels, strict=True))
    if pairs is None or not all(isinstance(text, str) and mark in (0, 1) for text, mark in pairs):
        right = 'give {"answer": 1 where it is true, 0 where it is false}'
        raise mistake(file, line, key, "not a mapping of answers to 1 or 0", right)
    return pairs
