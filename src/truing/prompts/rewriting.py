"""Instructions that a model writes: what it is asked, and which of its texts are of use.

Asking a model to rewrite what did best follows Zhou et al. (2023, "Large language models are human-level
prompt engineers", section 3.2: resampling), showing it several with their scores Yang et al. (2024, "Large
language models as optimizers", section 2). Small models often write something else than an instruction;
such texts are refused here, not raced.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from truing.types import normalised

MAX_WORDS = 60
MIN_WORDS = 3
REPLY_TOKENS = 80
"""Room for the longest instruction that is taken."""

_LABEL = re.compile(r"^(?:[-*#>\s]|\d+[.)]\s)*(?:\*\*)?(?:(?:new|better|rewritten|improved)\s+)?"
                    r"(?:instruction|prompt)s?(?:\*\*)?\s*:\s*", re.IGNORECASE)  # fmt: skip
_BULLET = re.compile(r"^(?:[-*>]\s+|\d+[.)]\s+)")
_ABOUT = re.compile(
    r"\b(answer|repl(y|ies)|respon[ds]|question|sentence|word|sa(y|id)|state|tell|speak|writ[ei]|giv[ei]|tru[et]|"
    r"fact|false|correct|right|wrong|honest|accura|exact|careful|guess|know|evidence|myth|brief|short|concise|"
    r"clear|plain|literal)",
    re.IGNORECASE,
)
"""What an instruction for answering questions can hardly do without one of."""
_SPEAKS = re.compile(r"(I|I['’](m|ll|d|ve)|My|Sure|Thank\w*|Hello|Hi)\b")
"""How a model begins that answers instead of instructing."""
_MARKS = ("<|", "|>", "[INST]", "{", "}", "http://", "https://")


def rewriting_request(best: Sequence[tuple[str, float]], variant: int) -> str:
    """What the model is asked. `best` are instructions with mean scores, best first; even variants show
    one alone, odd ones several with their scores, once they have some."""
    if variant % 2 == 0 or len(best) < 2 or math.isnan(best[0][1]):
        text, _ = best[(variant // 2) % len(best)]
        return (
            "This instruction tells an assistant how to answer questions:\n\n"
            f"{text}\n\n"
            "Write another instruction with the same aim, in other words and clearer. Reply with the "
            "instruction alone."
        )
    listed = "\n".join(f"{score:.3f}: {text}" for text, score in reversed(best))
    return (
        "These instructions tell an assistant how to answer questions. In front of each stands how well "
        f"it did; more is better.\n\n{listed}\n\n"
        "Write an instruction that would do better than all of them. Reply with the instruction alone."
    )


def plain_request(best: Sequence[tuple[str, float]], variant: int) -> str:
    """The same for a model that only continues text."""
    text, _ = best[variant % len(best)]
    return f"Instruction for answering questions: {text}\nThe same instruction in other words, clearer:"


def cleaned(text: str, finished: bool = True) -> str | None:
    """The instruction in a model's reply, or None where there is none that could be used.

    Labels, quotation marks and list marks go; of several paragraphs the first counts. Refused are: nothing;
    fewer than three words or more than sixty; a text that was cut off; template marks or addresses; words
    without letters or in circles; what has nothing to do with answering; a question, or the model speaking
    of itself, which are no instructions.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    lines = [_LABEL.sub("", line) for line in lines]
    if lines and lines[0].endswith(":") and len(lines) > 1:  # "Here is one:"
        lines = lines[1:]
    while lines and not lines[0]:
        lines = lines[1:]
    if lines and _BULLET.match(lines[0]):
        lines = lines[:1]
    paragraph = " ".join(lines[: lines.index("")] if "" in lines else lines)
    instruction = _BULLET.sub("", " ".join(paragraph.split())).strip("\"'“”‘’`* ")
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", instruction)
    alone = "\n" not in text.strip()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or (alone and not finished):
        return None
    if (
        any(mark in instruction for mark in _MARKS)
        or instruction.endswith("?")
        or _SPEAKS.match(instruction)
    ):
        return None
    if not _ABOUT.search(instruction):
        return None
    letters = sum(character.isalpha() for character in instruction)
    return None if letters < 0.6 * len(instruction) or _in_circles(words) else instruction


def _in_circles(words: Sequence[str]) -> bool:
    """Whether the words say the same again and again."""
    folded = [normalised(word) for word in words]
    threes = Counter(zip(folded, folded[1:], folded[2:], strict=False))
    return len(set(folded)) < 0.5 * len(folded) or max(threes.values(), default=0) > 2
