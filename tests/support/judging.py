"""A judge behind a scripted server: what it was asked about, and how it replies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from endpoints import Answer

TRIAL = "Reply with the letter A."


@dataclass(frozen=True)
class AskedOf:
    """One request to a judge, read back: the blocks by their title, and the grades in their order."""

    blocks: dict[str, str]
    grades: tuple[str, ...]
    text: str

    @property
    def request(self) -> str:
        return self.blocks["The request"]

    @property
    def answer(self) -> str:
        return self.blocks["The answer to grade"]


def asked_of(text: str) -> AskedOf:
    """What a judge's request asks about."""
    blocks = {
        title: "\n".join(line.removeprefix("| ") for line in lines.splitlines())
        for title, lines in re.findall(
            r"^([A-Z][^\n|]*):\n((?:\|[^\n]*(?:\n|$))+)", text, re.MULTILINE
        )
    }
    grades = re.findall(r"^- ([^:\n]+)", text.partition("The grades:")[2], re.MULTILINE)
    return AskedOf(blocks, tuple(grades), text)


class Judging:
    """A chat server that replies as `reply` says of each request; counts tokens as words.

    After `dies_after` replies it is gone; `ended_by` is what it gives as the reason of a reply's end.
    `replied` is what it was asked, its trial aside.
    """

    def __init__(
        self,
        reply: Callable[[AskedOf], str],
        *,
        dies_after: int | None = None,
        ended_by: Callable[[AskedOf], str] = lambda asked: "stop",
    ) -> None:
        self.reply, self.dies_after, self.ended_by = reply, dies_after, ended_by
        self.replied: list[AskedOf] = []

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        if path != "/v1/chat/completions":
            return 404, {"error": {"message": "no such path"}}
        text = body["messages"][-1]["content"]
        if text == TRIAL:
            return _message("A", 5)
        if self.dies_after is not None and len(self.replied) >= self.dies_after:
            return 503, {"error": {"message": "going down"}}
        self.replied.append(asked_of(text))
        asked = self.replied[-1]
        return _message(self.reply(asked), len(text.split()), self.ended_by(asked))


def _message(text: str, sent: int, ended_by: str = "stop") -> Answer:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": ended_by}
    usage = {"prompt_tokens": sent, "completion_tokens": len(text.split())}
    return 200, {"choices": [choice], "usage": usage, "system_fingerprint": "fp"}
