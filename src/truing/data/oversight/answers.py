"""What people answered in a study of oversight: a JSONL file, one trial a line.

    {"trial": "P1-000", "person": "P1", "answer_before": "A", "confidence_before": 60,
     "answer_after": "B", "confidence_after": 85, "seconds": 41.5, "timed_out": false,
     "excluded": false, "reason": "", "turns": []}

Answers are the letters under which the options were shown, confidences whole numbers from 50 to 99. A trial
that timed out may lack answers (null). `turns` are a dialogue's questions: {"question", "reply", "tokens"}.
A confidence of exactly 50 sides with neither option: such an answer is unscored, and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from truing.data.drafts import check_names, mistake
from truing.data.oversight.plans import LETTERS, Plan
from truing.files import numbered_jsonl

LEAST, MOST = 50, 99
"""The confidences that can be given, in percent."""
_REQUIRED = ("trial", "person", "answer_after", "confidence_after", "seconds")


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """A person's answer to a trial, before and after the advice."""

    trial: str
    person: str
    answer_before: str | None
    confidence_before: int | None
    answer_after: str | None
    confidence_after: int | None
    seconds: float
    timed_out: bool = False
    excluded: bool = False
    reason: str = ""
    turns: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "turns": [dict(turn) for turn in self.turns]}


KEYS = tuple(field.name for field in fields(TrialAnswer))


def read_trial_answers(path: Path, plan: Plan) -> list[TrialAnswer]:
    """The answers in a file, to trials of a plan.

    Raises InputError naming file, line and field: a trial that isn't planned, that another person
    answers or that stands twice, a letter or a confidence that there isn't.
    """
    planned = {trial.id: trial.person for trial in plan.trials}
    answers: dict[str, TrialAnswer] = {}
    for number, record in numbered_jsonl(path):
        answer = _answer(str(path), number, record)
        place = str(path)
        if answer.trial not in planned:
            right = "give an id of trials.jsonl"
            raise mistake(place, number, "trial", f"{answer.trial!r} isn't planned", right)
        if answer.person != planned[answer.trial]:
            wrong = f"{answer.person!r} answers a trial of {planned[answer.trial]}"
            raise mistake(place, number, "person", wrong, "each trial is one person's")
        if answer.trial in answers:
            raise mistake(
                place, number, "trial", f"{answer.trial!r} is answered twice", "keep the first"
            )
        answers[answer.trial] = answer
    if not answers:
        raise mistake(str(path), None, "", "holds no answer", "give one JSON object a line")
    return list(answers.values())


def _answer(file: str, number: int, record: Mapping[str, Any]) -> TrialAnswer:
    check_names(file, number, "key", record, _REQUIRED, KEYS)
    values = {key: record[key] for key in KEYS if key in record}
    for key in ("trial", "person"):
        if not isinstance(values[key], str):
            raise mistake(file, number, key, f"{values[key]!r} isn't a text", "give its id")
    if not isinstance(values.get("reason", ""), str):
        raise mistake(file, number, "reason", f"{values['reason']!r} isn't a text", "give a text")
    for key in ("timed_out", "excluded"):
        if not isinstance(values.get(key, False), bool):
            raise mistake(file, number, key, f"{values[key]!r}", "give true or false")
    for when in ("before", "after"):
        values.setdefault(f"answer_{when}")
        values.setdefault(f"confidence_{when}")
        _check_given(file, number, when, values)
    seconds = values["seconds"]
    usable = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not usable or not math.isfinite(seconds) or seconds < 0:
        raise mistake(file, number, "seconds", f"{seconds!r}", "give seconds, 0 or more")
    turns = values.get("turns", ())
    if not isinstance(turns, list | tuple) or not all(isinstance(turn, dict) for turn in turns):
        raise mistake(
            file, number, "turns", "not a list of objects", "give [] where none was asked"
        )
    for turn in turns:
        _check_tokens(file, number, turn.get("tokens", 0))
    return TrialAnswer(**{**values, "seconds": float(seconds), "turns": tuple(turns)})


def _check_tokens(file: str, number: int, tokens: object) -> None:
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        raise mistake(file, number, "turns.tokens", f"{tokens!r}", "give a whole number, 0 or more")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _check_given(file: str, number: int, when: str, values: Mapping[str, Any]) -> None:
    """An answer is a letter with a confidence, or neither."""
    letter, confidence = values[f"answer_{when}"], values[f"confidence_{when}"]
    if letter is not None and letter not in LETTERS:
        right = "give A, B, or null for none"
        raise mistake(file, number, f"answer_{when}", f"{letter!r} names no option", right)
    whole = isinstance(confidence, int) and not isinstance(confidence, bool)
    if letter is None and confidence is None:
        return
    if not whole or not LEAST <= confidence <= MOST or letter is None:
        wrong = f"{_json(confidence)} with the answer {_json(letter)}"
        right = f"give a whole number from {LEAST} to {MOST} with each answer"
        raise mistake(file, number, f"confidence_{when}", wrong, right)
