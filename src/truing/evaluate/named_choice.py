"""Which choice a reply to a lettered question names, where it names one alone.

A letter that is misread is a wrong figure; one that isn't read leaves a question unscored. So a reply
counts only where all that it says points to one choice: two letters, a letter that is taken back, or one
that stands before another choice's text name none.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from itertools import islice

from truing.models.templates.thoughts import without_thoughts
from truing.types import Completion, answer_key, split_key

LETTERS = string.ascii_uppercase
_NO_CHOICE = -1
MOST_CHARACTERS, MOST_CLAIMS = 10_000, 20
"""A reply with more of either isn't an answer to such a question."""

_WRAPPING = re.compile(r"\\boxed\{|\\text\{|\\\(|\\\)|</?answer>|[*_`${}]")
"""What Markdown, LaTeX and tags put around a letter."""
_ALONE = re.compile(r"\W*([A-Za-z])\W*")
_END = (  # no "A cat"
    r"(?=\s*(?:$|[.:,;!?)\]\"'’”\n(]|[-–—]\s)|\s+(?i:because|since|as|for|and|or|is|with)\b)"
)
_OPENING = r"(?:\s*[:=\-–—(\[\"'‘“]\s*|\s+){1,3}"
_KIND = r"(?i:\s+(?:option|choice|letter|answer))?"
_LEAD = re.compile(r"^\W*([A-Z])(?:\s?[).:\]](?!\w)|\s+[-–—]\s)", re.MULTILINE)
_CLAIMS = (
    re.compile(
        r"\b(?i:(?:answer|choice|option)(?:\s+to\s+(?:the|this|your)\s+question)?"
        rf"(?:\s+(?:is|would be|should be|must be))?){_KIND}{_OPENING}([A-Z])\b{_END}"
    ),
    re.compile(
        r"\b(?i:choose|pick|select|go(?:ing)? with|I(?:['’]d| would)? say|settle on|it['’]?s|it is)"
        rf"{_KIND}{_OPENING}([A-Z])\b{_END}"
    ),
    re.compile(
        r"\b([A-Z])[)\].\"'’”]*\s+(?i:(?:is|would be|must be)\s+(?:the\s+)?(?:most\s+)?"
        r"(?:correct|right|true|best|answer|accurate))\b"
    ),
)
_DENIAL = re.compile(
    r"\b(?i:not|never|neither|nor|no|cannot|hardly|doubt|wrong|incorrect|false|unless|if|whether|"
    r"either|some|many|people|others)\b|n['’]t\b"
)
"""Before a claim, in its clause: "I don't think that the answer is"."""
_DENIED = re.compile(
    r"\b(?i:wrong|incorrect|false|untrue|mistaken|ruled out|cannot|(?:is|are|was|can|could|would)"
    r"(?:n['’]t| not)|not (?:the |quite )?(?:correct|right|true|answer|best|it|possible))\b|\?"
)
"""Behind a letter, in its sentence: "A) Paris is wrong"."""
_WAVERING = re.compile(
    r"\b(?i:wait|actually|correction|sorry|scratch that|second thought|oops|I mean|"
    r"(?:that|this|it)(?:['’]s| is| was)(?: not| wrong| incorrect| false))\b|(?i:\bno[,.:!])"
)
_OF_ANOTHER = re.compile(
    r"\b(?i:because|since|while|whereas)\b|[,(]?\s*\b[A-Z]\b(?=\)?\s+(?:is|are)\b)"
)
_AND_ANOTHER = re.compile(
    r"[\s)\].]*(?:,|/|&|\+|(?i:\b(?:and|or|nor)\b))\s*\(?([A-Z])(?:[).,;:?!\]]|\s*$|\s+(?:and|or|is|are)\b)"
    r"|[\s).:\]]+\(?([A-Z])(?:[).:;\]]|\s*$)"
)
_WHOLE = re.compile(r"\n|(?<=\w\w)[.!?][\"'’”)\]*_]*\s")
"""The end of a line, or of a sentence: "A." begins one, perhaps."""
_ANOTHER_AND = re.compile(r"\b[A-Z][)\].]*\s*(?:,|/|&|\+|(?i:\b(?:and|or|nor)\b))\s*\(?$")


def rotations(order: Sequence[int]) -> list[tuple[int, ...]]:
    """An order turned by every number of places, itself first."""
    return [(*order[turn:], *order[:turn]) for turn in range(len(order))]


def named_before_cut(reply: str, choices: Sequence[str]) -> int | None:
    """`named` of a reply that was cut off: what its whole lines and sentences name, unless the torn one
    behind them speaks against it. "The answer is A" may have been going to be "The answer is A or B"."""
    place = named(whole_part(reply), choices)
    return place if place == named(reply, choices) else None


def whole_part(reply: str) -> str:
    """The whole lines and sentences of a text that was cut off."""
    ends = [match.end() for match in _WHOLE.finditer(reply)]
    return reply[: ends[-1]] if ends else ""


def named_in(answer: Completion, choices: Sequence[str]) -> int | None:
    """`named`, or `named_before_cut` of an answer that the length limit cut off."""
    return (named if answer.finished else named_before_cut)(answer.text, choices)


def named(reply: str, choices: Sequence[str]) -> int | None:
    """The place of the choice that a reply names, or None where it names none, or not one alone.

    Read are: a letter alone; a choice word for word; a letter with a bracket, full stop or colon at the
    beginning of a line; "the answer is B", "I choose B", "B is correct". Anything looser would find a
    letter in "A cat, I think".
    """
    whole = without_thoughts(reply)
    text = _WRAPPING.sub(" ", whole).strip()
    same = _word_for_word(whole, choices) or _word_for_word(text, choices)
    if alone := _ALONE.fullmatch(text):
        place = LETTERS.index(alone[1].upper())
        same += [place] if place < len(choices) else []  # choices may be letters themselves
    claims = [] if same or len(text) > MOST_CHARACTERS else list(islice(_claims(text), MOST_CLAIMS))
    if len(claims) == MOST_CLAIMS:
        return None
    places = set(same) or {_meant(text, *claim, choices) for claim in claims} - {None}
    return places.pop() if len(places) == 1 and _NO_CHOICE not in places else None


def _word_for_word(reply: str, choices: Sequence[str]) -> list[int]:
    """The choices that a reply is: exactly, else letter case, width and full stops aside."""
    for key in (answer_key, _coarse):
        if same := [n for n, choice in enumerate(choices) if key(choice) == key(reply) != ""]:
            return same
    return []


def _coarse(text: str) -> str:
    return split_key(text).strip(" .")


def _claims(text: str) -> Iterator[tuple[str, int]]:
    """Each letter that a reply claims, and where it stands."""
    for match in _LEAD.finditer(text):
        yield match[1], match.start(1)
    for pattern in _CLAIMS:
        for match in pattern.finditer(text):
            before = re.split(r"[.;:!?\n,]|\b(?i:but|however|so|because)\b", text[: match.start()])
            if not _DENIAL.search(before[-1]):
                yield match[1], match.start(1)


def _meant(text: str, letter: str, begins: int, choices: Sequence[str]) -> int | None:
    """The place that a letter at `begins` means: None where it is denied, _NO_CHOICE where that can't
    be told."""
    place, rest = LETTERS.index(letter), text[begins + 1 :]
    if place >= len(choices) or _AND_ANOTHER.match(rest) or _ANOTHER_AND.search(text[:begins]):
        return _NO_CHOICE
    behind = re.sub(r"^[\s).:,\]\"'’”–—-]+", "", rest)
    lengths = [max(_shared(text[begins:], each), _shared(behind, each)) for each in choices]
    own, longest = lengths[place], max(lengths)
    if own < longest or (longest and lengths.count(longest) > 1):
        return _NO_CHOICE
    if letter == "A" and rest.startswith(":") and behind and not own:
        return _NO_CHOICE  # it may stand for "Answer:"
    if own and _shared(behind, choices[place]):
        behind = split_key(behind)[len(_coarse(choices[place])) :]
    sentence = re.split(r"[.;!\n]", _OF_ANOTHER.split(behind)[0].lstrip(" ."), maxsplit=1)[0]
    if _DENIED.search(sentence):
        return None
    return _NO_CHOICE if _WAVERING.search(behind) else place


def _shared(text: str, choice: str) -> int:
    """How much of a choice a text begins with, more where letter case is the same; 0 for no choice."""
    for key, of, exact in (
        (answer_key(choice), answer_key(text), 1),
        (_coarse(choice), split_key(text), 0),
    ):
        if key and re.match(rf"{re.escape(key)}(?!\w)", of):
            return 2 * len(_coarse(choice)) + exact
    return 0
