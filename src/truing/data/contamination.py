"""Whether training texts hold questions that are asked in the evaluation.

A question is found in a text where they share a run of N words, punctuation, case and spacing left
aside: Brown et al. (2020), "Language Models are Few-Shot Learners", appendix C, with their choice of N,
the 5th percentile of the questions' lengths in words, at least 8 and at most 13. Departure: they count
no overlap below 8 words, which would pass over most short questions; here a question shorter than N is
found where all of it stands in the text, and one below 5 words where it is a whole message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from truing.data.dialogues import Dialogue
from truing.types import Case, normalised

LEAST, MOST = 8, 13
"""Bounds of N in words."""
SHORT = 5
"""Questions below this many words are ordinary phrases; only a whole message counts."""
SHOWN = 20
"""Findings that stand in a document; all are counted."""


@dataclass(frozen=True)
class Finding:
    """A demonstration that holds an evaluation question: which one, and the words they share."""

    dialogue: Dialogue
    question: str
    match: str
    shared: str

    def to_json(self) -> dict[str, str]:
        """`match` is exact (a message is the question), whole (it stands in the text) or n-gram."""
        return {
            "source": self.dialogue.source,
            "question": self.question,
            "match": self.match,
            "shared": self.shared,
        }


@dataclass(frozen=True)
class Contamination:
    """What was found, one finding for each demonstration that holds a question; `what` they are."""

    n: int
    questions: int
    demonstrations: int
    findings: tuple[Finding, ...] = ()
    dropped: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    what: str = "demonstrations"

    def to_json(self) -> dict[str, Any]:
        """For the JSON document: counts of all, and the first findings."""
        return {
            "n": self.n,
            "questions": self.questions,
            "demonstrations": self.demonstrations,
            "contaminated": len(self.findings),
            "matches": self.counts,
            "dropped": self.dropped,
            "sentence": self.sentence(),
            "examples": [finding.to_json() for finding in self.findings[:SHOWN]],
        }

    def sentence(self) -> str:
        """The finding in words, for the terminal and the model card."""
        if not self.findings:
            return (
                f"none of {self.demonstrations:,} {self.what} shares {self.n} words in a row, or "
                f"a whole question, with the {self.questions:,} evaluation questions"
            )
        done = "left out" if self.dropped else "kept"
        kinds = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        return (
            f"{len(self.findings):,} of {self.demonstrations:,} {self.what} hold one of the "
            f"{self.questions:,} evaluation questions ({kinds}); {done}"
        )


def words(text: str) -> tuple[str, ...]:
    """The words of a text, case and punctuation left aside."""
    return tuple(re.findall(r"\w+", normalised(text).replace("'", "").replace("’", "")))


def overlap_length(questions: Sequence[Case]) -> int:
    """N: the 5th percentile of the lengths in words, from 8 to 13."""
    lengths = [len(words(case.prompt)) for case in questions] or [LEAST]
    return int(min(max(np.percentile(lengths, 5), LEAST), MOST))


def _runs(words_in: tuple[str, ...], n: int) -> Iterator[tuple[str, ...]]:
    return (words_in[start : start + n] for start in range(len(words_in) - n + 1))


class _Index:
    """The questions by the runs of words that give them away."""

    def __init__(self, questions: Sequence[Case], n: int) -> None:
        self.exact: dict[tuple[str, ...], str] = {}
        self.runs: dict[tuple[str, ...], str] = {}
        for case in questions:
            prompt_words = words(case.prompt)
            if prompt_words:
                self.exact.setdefault(prompt_words, case.prompt)
            if len(prompt_words) >= SHORT:
                for run in _runs(prompt_words, min(n, len(prompt_words))):
                    self.runs.setdefault(run, case.prompt)
        self.lengths = sorted({len(run) for run in self.runs}, reverse=True)

    def find(self, dialogue: Dialogue, n: int) -> Finding | None:
        """The closest match: a message that is the question, then the longest shared run."""
        texts = [words(content) for _, content in dialogue.messages] + [words(dialogue.answer)]
        for text_words in texts:
            if text_words in self.exact:
                return Finding(dialogue, self.exact[text_words], "exact", " ".join(text_words))
        for length in self.lengths:
            for text_words in texts:
                for run in _runs(text_words, length):
                    if run in self.runs:
                        kind = f"{n}-gram" if length == n else "whole"
                        return Finding(dialogue, self.runs[run], kind, " ".join(run))
        return None


def contamination(
    dialogues: Sequence[Dialogue],
    questions: Sequence[Case],
    *,
    dropped: bool = False,
    what: str = "demonstrations",
) -> Contamination:
    """Looks for the questions in the messages and answers of all dialogues.

    `dropped` only says what the caller does with what is found.
    """
    n = overlap_length(questions)
    index = _Index(questions, n)
    findings = [finding for each in dialogues if (finding := index.find(each, n))]
    kinds = [finding.match for finding in findings]
    counts = {kind: kinds.count(kind) for kind in ("exact", f"{n}-gram", "whole") if kind in kinds}
    return Contamination(n, len(questions), len(dialogues), tuple(findings), dropped, counts, what)
