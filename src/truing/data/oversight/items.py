"""Items of a study of oversight: a question with options, the right one, and the passage that tells.

A JSONL file has one item a line:

    {"question": "Who built the mill?", "options": ["Ada Brook", "Tom Hale"], "answer": "Ada Brook",
     "passage": "Ada Brook built the mill in 1802. Tom Hale ran it.", "source": "own"}

`passage` and `source` may be missing. A SQuAD file (JSON) gives items too: the other answers of the same
passage are the distractors. So does every file of multiple-choice questions that Truing reads (MMLU's CSV,
for instance), without passages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from truing.data.conversion.rows import SourceRow, read_rows
from truing.data.drafts import check_names, mistake
from truing.data.questions import question_file
from truing.data.surveys.order_words import order_words, other_options
from truing.files import NotJSONError, decoded, json_value, numbered_jsonl, read_bytes
from truing.types import InputError, answer_key, normalised, split_key, stable_hash

_REQUIRED = ("question", "options", "answer")
_KNOWN = (*_REQUIRED, "passage", "source")
NO_DISTRACTOR = "no other answer of its passage is apart from the right one"
NO_ANSWER = "the passage doesn't answer it"
TWICE = "stands twice"
REFERS = "its right option, or every wrong one, is about the other options, as 'all of the above'"
ORDER = "it mentions the order or the letters of its options"
ALIKE = "two of its options are the same but for letter case, width or white space"
_OF_THESE = re.compile(r"^(?:all|none|any|both|neither|either) of (?:these|those|them)\.?$", re.I)


@dataclass(frozen=True, slots=True)
class Item:
    """A question, the right option and the wrong ones, and the passage; empty where there is none."""

    question: str
    answer: str
    distractors: tuple[str, ...]
    passage: str = ""
    source: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        """The right one first."""
        return (self.answer, *self.distractors)

    @property
    def id(self) -> str:
        """16 hexadecimal digits of all that is asked."""
        parts = (self.question, self.answer, *self.distractors, self.passage)
        return stable_hash("oversight item", *map(answer_key, parts))[:16]

    @property
    def passage_id(self) -> str:
        """Equal for items of one passage; an item without one stands for itself."""
        return stable_hash("passage", answer_key(self.passage))[:16] if self.passage else self.id

    def to_json(self) -> dict[str, Any]:
        """A JSON object, in the form that is read."""
        record = asdict(self)
        distractors = record.pop("distractors")
        return {**record, "options": [self.answer, *distractors]}


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a file; how many of its questions are left out, by reason."""

    items: tuple[Item, ...]
    unscored: Mapping[str, int]
    source: str


def read_items(path: Path) -> Items:
    """The items in a file. Raises InputError naming file, line and field where one is wrong."""
    ending = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    left_out: Counter[str] = Counter()
    if ending == ".json" and _is_squad(path):
        items = _squad(path, left_out)
    elif ending == ".jsonl" and _has_options(path):
        items = [_item(str(path), *line) for line in numbered_jsonl(path)]
    else:
        items = _multiple_choice(path)
    free = _free_of_order(items, left_out)
    once = {item.id: item for item in free}
    left_out[TWICE] += len(free) - len(once)
    if not once:
        reasons = "; ".join(f"{n}: {reason}" for reason, n in (+left_out).items())
        raise mistake(str(path), None, "", f"no item in it ({reasons or 'empty'})", "give one")
    return Items(tuple(once.values()), dict(+left_out), str(path))


def _free_of_order(items: Sequence[Item], left_out: Counter[str]) -> list[Item]:
    """The items whose options can stand in any order and under any letters; counts the others."""
    differing = [item for item in items if not _alike(item)]
    left_out[ALIKE] += len(items) - len(differing)
    alone = [each for item in differing if (each := _alone(item)) is not None]
    left_out[REFERS] += len(differing) - len(alone)
    # "The items below" are the options, in whatever order.
    free = [i for i in alone if not order_words(i.question.replace(" below", ""), i.options)]
    left_out[ORDER] += len(alone) - len(free)
    return free


def _alone(item: Item) -> Item | None:
    """The item without wrong options about other options: of these a trial shows just one. None where
    the right one is such, or no wrong one stays."""
    distractors = tuple(each for each in item.distractors if not _refers(each))
    return (
        None if _refers(item.answer) or not distractors else replace(item, distractors=distractors)
    )


def _alike(item: Item) -> bool:
    keys = [split_key(option) for option in item.options]
    return len(set(keys)) < len(keys)


def _refers(option: str) -> bool:
    return bool(other_options(option) or _OF_THESE.search(option))


def _is_squad(path: Path) -> bool:
    try:
        document = json_value(decoded(str(path), read_bytes(path)), None)
    except NotJSONError:
        return False  # the reader of questions names the line
    return isinstance(document, dict) and isinstance(document.get("data"), list)


def _has_options(path: Path) -> bool:
    """Whether a JSONL file has the keys of items; other files are questions in another layout."""
    first = next(numbered_jsonl(path), (1, {}))[1]
    return bool({"options", "passage"} & first.keys())


def _item(file: str, line: int, record: Mapping[str, Any]) -> Item:
    check_names(file, line, "key", record, _REQUIRED, _KNOWN)
    for key in ("question", "answer", "passage", "source"):
        text = record.get(key, "")
        if not isinstance(text, str) or (key in _REQUIRED and not text.strip()):
            raise mistake(file, line, key, "not a text with something in it", "give a text")
    options = record["options"]
    if not isinstance(options, list) or not all(
        isinstance(option, str) and option.strip() for option in options
    ):
        raise mistake(file, line, "options", "not a list of texts", "give at least two")
    keys = [answer_key(option) for option in options]
    if len(keys) < 2 or len(set(keys)) < len(keys):
        raise mistake(file, line, "options", "fewer than two that differ", "give each option once")
    answer = answer_key(record["answer"])
    if answer not in keys:
        right = "give the text of the right option"
        raise mistake(file, line, "answer", f"{record['answer']!r} is no option", right)
    distractors = tuple(o.strip() for o, key in zip(options, keys, strict=True) if key != answer)
    return Item(
        record["question"].strip(),
        record["answer"].strip(),
        distractors,
        str(record.get("passage", "")).strip(),
        str(record.get("source", "")).strip(),
    )


def _squad(path: Path, left_out: Counter[str]) -> list[Item]:
    bad: list[str] = []
    rows = read_rows(path, bad, [])
    if bad:
        raise InputError(bad[0])
    answers: dict[str, list[str]] = {}
    for row in rows:
        if row.values["answerable"] == "yes":
            answers.setdefault(row.values["context"], []).append(row.values["answer"].strip())
    items = []
    for row in rows:
        if row.values["answerable"] != "yes":
            left_out[NO_ANSWER] += 1
            continue
        item = _of_passage(row, answers[row.values["context"]])
        if item.distractors:
            items.append(item)
        else:
            left_out[NO_DISTRACTOR] += 1
    return items


def _of_passage(row: SourceRow, answers: Sequence[str]) -> Item:
    """A question with the passage's other answers, those aside that overlap with the right one."""
    right = row.values["answer"].strip()
    own = normalised(right)
    others = {
        normalised(answer): answer
        for answer in answers
        if normalised(answer) not in own and own not in normalised(answer)
    }
    title = str(row.values.get("title", ""))
    question, passage = str(row.values["question"]), str(row.values["context"])
    return Item(question.strip(), right, tuple(others.values()), passage.strip(), title)


def _multiple_choice(path: Path) -> list[Item]:
    """Questions in any other layout; the best true answer is the right one."""
    return [
        Item(
            case.prompt,
            case.correct_answers[0],
            case.incorrect_answers,
            source=case.source or case.category,
        )
        for case in question_file(path).cases
    ]
