"""Wordings: tricks with a slot for a demand, as attacks and contrast examples are composed of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from truing.data.rules import composed_case, filled
from truing.data.texts import built_in_lines
from truing.types import Case


@dataclass(frozen=True)
class Wording:
    """A trick, as a template with {demand} in it, perhaps {question}; `turns` are earlier ones, of the
    user and the assistant, harmless and fixed."""

    family: str
    name: str
    template: str
    turns: tuple[tuple[str, str], ...] = ()

    @property
    def asks_first(self) -> bool:
        """Whether it stands behind a question."""
        return "{question}" in self.template


def built_in_wordings(name: str) -> tuple[Wording, ...]:
    """Those of a built-in file, one a line."""
    return tuple(_wording(json.loads(line)) for line in built_in_lines(name))


def _wording(data: Mapping[str, Any]) -> Wording:
    turns = tuple((user, assistant) for user, assistant in data.get("turns", ()))
    return Wording(data["family"], data["name"], data["template"], turns)


def worded_case(
    wording: Wording, question: str, demand: str, system: str, columns: Mapping[str, Any]
) -> Case:
    """The case of a demand in a wording, perhaps behind a question and the wording's earlier turns, under a
    system message."""
    user = filled(wording.template, {"question": question, "demand": demand})
    case = composed_case(system, user[:1].upper() + user[1:], columns, wording.family)
    if not wording.turns:
        return case
    earlier = [
        turn
        for asked, answered in wording.turns
        for turn in (("user", asked), ("assistant", answered))
    ]
    before = [turn for turn in case.messages if turn[0] == "system"]
    turns = (*earlier, ("user", case.prompt))
    prompt = "\n\n".join(text for _, text in turns)
    return replace(case, prompt=prompt, messages=(*before, *turns))
