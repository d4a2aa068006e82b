"""Answers as they are compared with one another: cut to the first sentence, and closed all alike.

An answer that the length limit cut off reads badly wherever it stops, so a candidate that learned to end
in time is graded better though it knows no more. Of first sentences, each with a full stop, a judge can't
tell which answer had ended.
"""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…。！？]+[\"'”’)\]»]*(?=\s|$)|\n")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])"
    r"(?:(?:[^\W\d_]\.)*[^\W\d_]|mr|mrs|ms|dr|prof|st|jr|sr|mt|vs|etc|ca|cf|al)$",
    re.IGNORECASE,
)
"""An initial, letters with full stops between them, or a title, right before a full stop."""
_MARKS = re.compile(r"[\s.!?…。！？,;:]+(?=[\"'”’)\]»]*$)")


def first_sentence(answer: str) -> str:
    """The answer up to the end of its first sentence, or all of it; the marks at its end included.

    A full stop behind an abbreviation, before a small letter, or behind the number that an answer begins
    with ends no sentence.
    """
    text = answer.strip()
    for end in _END.finditer(text):
        if end[0] == "\n" or not _goes_on(text[: end.start()], end[0], text[end.end() :]):
            return text[: end.end()].strip()
    return text


def _goes_on(before: str, mark: str, after: str) -> bool:
    """Whether the sentence goes on behind a mark."""
    if not after.strip():
        return False
    if after.lstrip()[0].islower() or not any(map(str.isalnum, before)):
        return True
    return mark == "." and (before.strip().isdigit() or _ABBREVIATION.search(before) is not None)


def first_sentence_closed(answer: str) -> str:
    """The first sentence with a full stop at its end, whatever stood there; nothing of no word."""
    sentence = _MARKS.sub("", first_sentence(answer))
    return f"{sentence}." if any(map(str.isalnum, sentence)) else ""
