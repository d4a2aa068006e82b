"""What a chat template writes around an answer, seen in a rendered pair of question and answer.

Nothing is assumed of the model's family: the text behind the answer is the turn's end, and what stands
between the prompt for an answer and the answer is what the answer begins with.
"""

from __future__ import annotations

from dataclasses import dataclass

from truing.models.templates.rendering import ChatTemplate, TemplateRefusal
from truing.models.templates.thoughts import Thoughts, first_block, left_open

_QUESTION = {"role": "user", "content": "Which letter comes first?"}
_ANSWER = {"role": "assistant", "content": "The first is A."}
_MORE = {"role": "user", "content": "And then?"}


@dataclass(frozen=True)
class Turn:
    """The parts of an assistant's turn.

    `opened` is the beginning of a block of thoughts that the prompt ends with, `closing` what an answer
    without thoughts writes before itself (an empty block, or the end of the opened one), `space` the
    white space that the template puts before an answer, `end` the text behind it, `next` what stands
    behind it where the conversation goes on.
    """

    end: str = ""
    next: str = ""
    space: str = ""
    closing: str = ""
    opened: str = ""
    thoughts: Thoughts | None = None


def turn_of(template: ChatTemplate) -> Turn:
    """The turn that a template writes; an empty one where it refuses a question and an answer.

    Raises InputError where it takes too long or too much memory.
    """
    try:
        prompt = template.render([_QUESTION])
        pair = template.render([_QUESTION, _ANSWER], prompt=False)
        _, rest = _around(template.render([_QUESTION, _ANSWER, _MORE], prompt=False))
    except TemplateRefusal:
        return Turn()
    if _ANSWER["content"] not in pair:  # it writes something else: nothing can be seen
        return Turn()
    before, end = _around(pair)
    following = rest[: rest.rfind(_MORE["content"])]
    if before.startswith(prompt):
        space, closing, opened = _answered(prompt, before[len(prompt) :])
    else:
        space, (closing, opened) = "", _opened(prompt, before)
    thoughts = first_block(closing) or first_block(template.source)
    return Turn(end, following, space, closing, opened, thoughts)


def _around(text: str) -> tuple[str, str]:
    """What stands before the answer and behind it."""
    before, _, behind = text.rpartition(_ANSWER["content"])
    return before, behind


def _answered(prompt: str, between: str) -> tuple[str, str, str]:
    """(space, closing, opened) where the template writes the prompt and more before an answer."""
    if not between.strip():
        return between, "", ""
    block = first_block(between)
    begun = prompt.rstrip()
    if block is None or block.opening in between or not begun.endswith(block.opening):
        return "", between, ""
    return "", between, prompt[len(begun) - len(block.opening) :]


def _opened(prompt: str, before: str) -> tuple[str, str]:
    """(closing, opened) where the prompt goes on behind what the template writes before an answer."""
    begun = before.rstrip()
    found = left_open(prompt[len(begun) :]) if prompt.startswith(begun) else None
    if found is None:
        return "", ""
    opened, block = found
    return f"\n{block.closing}\n\n", opened
