"""What is seen of an answer's text without a model: its plain cases, its words, the parts that are read."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from truing.judges.outcomes import OutcomeName
from truing.types import answer_key, normalised, stable_hash

HEAD_WORDS = 30
"""That are read on their own: how an answer begins says most."""
LAST_WORDS = 25
FIRST_WORDS = 90
"""Of an answer that is read as a whole; one that is longer loses its middle."""
PROMPT_WORDS = 200
COUNTED_WORDS, RUN, COLUMNS = 40, 3, 8192
"""Runs of up to so many words are counted, among the first words, in so many columns."""
_WORD_CHARACTERS = 40
LEAST_WORDS = 6
"""Fewer words in another order say too little of whether the order was one."""
_LOOP_WORDS, _LOOP_SHARE = 24, 0.2
_STRAY_CHARACTERS, _STRAY_SHARE = 16, 0.3

_SPELLINGS = [
    (re.compile(pattern), written)
    for pattern, written in (
        ("[’ʼ`´]", "'"),
        (r"\bcan't\b|\bcannot\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"\bshan't\b", "shall not"),
        (r"n't\b", " not"),
        (r"\bi'm\b", "i am"),
        (r"'ll\b", " will"),
        (r"'ve\b", " have"),
        (r"'re\b", " are"),
        (r"\b(it|that|there|what|let|he|she|here)'s\b", r"\1 is"),
        (r"\b(i|you|he|she|we|they|it)'d\b", r"\1 would"),
        (r"\bapologis", "apologiz"),
        (r"\bunable\b", "not able"),
    )
]
_WORD = re.compile(r"\w+")


def plain_outcome(prompt: str, answer: str) -> OutcomeName | None:
    """The outcome that a program can be certain of: an empty answer, stray characters or an endless loop,
    the prompt once more. None of any other."""
    if not answer_key(answer):
        return "empty"
    if _is_loop(answer) or _is_stray(answer):
        return "gibberish"
    return "unrelated" if _repeats(prompt, answer) else None


def _is_loop(answer: str) -> bool:
    words = answer.split()
    return len(words) >= _LOOP_WORDS and len(set(words)) < _LOOP_SHARE * len(words)


def _is_stray(answer: str) -> bool:
    shown = [each for each in answer if not each.isspace()]
    letters = sum(map(str.isalnum, shown))
    return len(shown) >= _STRAY_CHARACTERS and letters < _STRAY_SHARE * len(shown)


def _repeats(prompt: str, answer: str) -> bool:
    """Whether the answer is the prompt, once or several times, and nothing else."""
    asked, answered = (_WORD.findall(normalised(text)) for text in (prompt, answer))
    if not asked or not answered or len(answered) % len(asked):
        return False
    return answered == asked * (len(answered) // len(asked))


def readable(text: str) -> str:
    """The text without halves of characters, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _words(text: str) -> list[str]:
    """White space apart, a word cut where it has no end."""
    return [word[:_WORD_CHARACTERS] for word in readable(text).split()]


def shortened(text: str, first: int, last: int) -> str:
    """The first and the last words, a mark between them where some are missing."""
    words = _words(text)
    if len(words) <= first + last:
        return " ".join(words)
    return " ".join([*words[:first], "…", *words[len(words) - last :]])


def beginning(text: str, words: int) -> str:
    """The first words."""
    return " ".join(_words(text)[:words])


def shuffled(text: str) -> str:
    """The words in another order, of the same text always the same one."""
    words = text.split()
    random.Random(stable_hash("shuffled words", text)).shuffle(words)
    return " ".join(words)


def spelt_out(text: str) -> str:
    """Small letters, contractions written out: models differ in these, not in what they say."""
    text = text.lower()
    for pattern, written in _SPELLINGS:
        text = pattern.sub(written, text)
    return text


def counted(answers: Sequence[str]) -> sparse.csr_matrix:
    """(B, COLUMNS) counts of runs of one to RUN words at the answers' beginnings, each row of length 1."""
    data: list[float] = []
    columns: list[int] = []
    ends = [0]
    for answer in answers:
        words = _WORD.findall(spelt_out(beginning(answer, COUNTED_WORDS)))
        runs = [
            " ".join(words[start : start + size])
            for size in range(1, RUN + 1)
            for start in range(len(words) - size + 1)
        ]
        own, times = np.unique(
            [zlib.crc32(run.encode()) % COLUMNS for run in runs], return_counts=True
        )
        columns += own.astype(int).tolist()
        data += (times / max(1.0, float(np.linalg.norm(times)))).tolist()
        ends.append(len(columns))
    return sparse.csr_matrix((data, columns, ends), shape=(len(answers), COLUMNS))
