"""Messages through a chat template, in another process that is ended where it takes too much."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from truing.models.limited_worker import LimitedWorker
from truing.types import InputError

SECONDS = 5
"""Of processor time, for one rendering. A long conversation takes a few hundredths of one."""
MEMORY = 1 << 30
MOST_CHARACTERS = 1 << 24
_RIGHT = "give the model a chat template that only writes messages down"


class TemplateRefusal(Exception):
    """A template that raises an error for these messages: for a system role mostly."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template and the special tokens that it may write."""

    source: str
    special: tuple[tuple[str, str], ...] = ()

    def render(self, messages: Sequence[Mapping[str, str]], *, prompt: bool = True) -> str:
        """The text of some messages; `prompt` adds the beginning of the next answer.

        Raises TemplateRefusal with the template's own words, InputError where it takes too much.
        """
        request = {
            "template": self.source,
            "variables": {
                **dict(self.special),
                "messages": [dict(message) for message in messages],
                "add_generation_prompt": prompt,
            },
            "now": _now().isoformat(),
        }
        length = sum(len(text) for message in messages for text in message.values())
        answer = _worker.ask(request | {"most": max(MOST_CHARACTERS, 8 * length)})
        if "refused" in answer:
            raise TemplateRefusal(answer["refused"])
        if "text" in answer:
            return str(answer["text"])
        raise InputError(f"model: its chat template {_BEYOND[answer['beyond']]}; {_RIGHT}")


_BEYOND = {
    "time": f"takes more than {SECONDS} s of processor time",
    "memory": f"takes more than {MEMORY >> 20} MB of memory",
    "length": f"writes more than {MOST_CHARACTERS >> 20} million characters",
}


_worker = LimitedWorker(Path(__file__).with_name("worker.py"), SECONDS, MEMORY)
_as_of: list[datetime.datetime | None] = [None]


def _now() -> datetime.datetime:
    return _as_of[-1] or datetime.datetime.now()


@contextmanager
def as_of(moment: str | None) -> Iterator[None]:
    """Templates that write the date write this one (ISO 8601), in the local time, meanwhile.

    So all of a run has the date on which it was begun, and goes on with it another day. None: today's.
    """
    then = datetime.datetime.fromisoformat(moment).astimezone() if moment else None
    _as_of.append(then and then.replace(tzinfo=None))
    try:
        yield
    finally:
        _as_of.pop()
