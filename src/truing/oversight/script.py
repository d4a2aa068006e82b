"""All that an adviser says in a study, each speech written once, however many people hear it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from truing.data.oversight.items import Item
from truing.data.oversight.plans import SILENT, Arm, Speech
from truing.evaluate.respondent import Respondent
from truing.oversight.advice import (
    MOST_TOKENS,
    argument_prompt,
    claim,
    own_answers,
    quotes_in,
    rebuttal_prompt,
)
from truing.oversight.design import Cell
from truing.oversight.respondents import replies
from truing.progress import Progress
from truing.types import Completion, InputError, Unscored

Pairs = dict[str, tuple[str, str]]
Heard = tuple[str, int]
"""An item, and the side that is spoken for."""
ARGUING: tuple[Arm, ...] = ("consultancy", "dialogue")


@dataclass
class Advised:
    """Speeches by item. Places count the right option as 0 and the wrong one as 1.

    `arguments` by (item, side); `rebuttals` by (item, side) for the side that speaks last; `own` is the
    option that the adviser takes, with its reply in `own_replies`.
    """

    claims: dict[tuple[str, int], Speech] = field(default_factory=dict)
    arguments: dict[tuple[str, int], Speech] = field(default_factory=dict)
    rebuttals: dict[tuple[str, int], Speech] = field(default_factory=dict)
    own: dict[str, int | Unscored] = field(default_factory=dict)
    own_replies: dict[str, Speech] = field(default_factory=dict)

    def own_unscored(self, item: Item) -> str:
        """Why the adviser's own answer about an item isn't one; "" where it is, or wasn't asked for."""
        own = self.own.get(item.id)
        return own.reason if isinstance(own, Unscored) else ""

    def speeches(self, arm: Arm, item: Item, *, right_first: bool) -> tuple[Speech, ...]:
        """What is said about an item in an arm."""
        side = 0 if right_first else 1
        if arm == "claim":
            return (self.claims[item.id, side],)
        if arm in ARGUING:
            return (self.arguments[item.id, side],)
        if arm == "open_consultancy":
            own = self.own[item.id]
            argument = self.arguments[item.id, own] if isinstance(own, int) else None
            return (argument or self.own_replies[item.id],)
        if arm == "debate":
            return (self.arguments[item.id, side], self.rebuttals[item.id, 1 - side])
        return ()


def script(
    arms: Sequence[Arm],
    drawn: Sequence[Cell],
    pairs: Pairs,
    adviser: Respondent | None,
    progress: Progress,
) -> Advised:
    """All speeches that the trials need. Raises InputError where the adviser gives none of them."""
    items = {cell.item.id: cell.item for cell in drawn}
    advised = Advised()
    for item in items.values():
        for side in (0, 1):
            advised.claims[item.id, side] = Speech(side, claim(pairs[item.id][side]))
    if adviser is None:
        return advised
    if {"adviser", "open_consultancy"} & set(arms):
        _ask_own(adviser, list(items.values()), pairs, advised, progress)
    _argue(adviser, _needed(drawn, advised), items, pairs, advised, progress)
    last = {(cell.item.id, int(cell.right_first)) for cell in drawn if cell.arm == "debate"}
    _rebut(adviser, sorted(last), items, pairs, advised, progress)
    return advised


def _ask_own(
    adviser: Respondent,
    items: Sequence[Item],
    pairs: Pairs,
    advised: Advised,
    progress: Progress,
) -> None:
    # By a hash of the item, the right option isn't always the first that the adviser reads.
    turned = [int(item.id, 16) % 2 for item in items]
    asked = [
        (item, pairs[item.id][::-1] if turn else pairs[item.id])
        for item, turn in zip(items, turned, strict=True)
    ]
    own = own_answers(
        adviser, [(item, (first, second)) for item, (first, second) in asked], progress
    )
    for item, turn, (taken, reply) in zip(items, turned, own, strict=True):
        advised.own[item.id] = abs(taken - turn) if isinstance(taken, int) else taken
        advised.own_replies[item.id] = _speech(reply, None, item)


def _needed(drawn: Sequence[Cell], advised: Advised) -> list[tuple[str, int]]:
    """The arguments that are heard."""
    needed = set()
    for cell in drawn:
        side = 0 if cell.right_first else 1
        if cell.arm in (*ARGUING, "debate"):
            needed.add((cell.item.id, side))
        elif cell.arm == "open_consultancy" and isinstance(own := advised.own[cell.item.id], int):
            needed.add((cell.item.id, own))
    return sorted(needed)


def _argue(
    adviser: Respondent,
    needed: Sequence[tuple[str, int]],
    items: dict[str, Item],
    pairs: Pairs,
    advised: Advised,
    progress: Progress,
) -> None:
    prompts = {
        (name, side): argument_prompt(items[name], pairs[name][side], pairs[name][1 - side])
        for name, side in needed
    }
    written = _written(adviser, prompts, progress, "arguments")
    lost = [reply.reason for reply in written.values() if isinstance(reply, Unscored)]
    if written and len(lost) == len(written):
        first = next(iter(prompts.values()))
        raise InputError(
            f"--adviser {adviser.name}: writes no argument: {lost[0]}; the first prompt is {first!r}"
        )
    advised.arguments |= _speeches(written, items)


def _rebut(
    adviser: Respondent,
    last: Sequence[tuple[str, int]],
    items: dict[str, Item],
    pairs: Pairs,
    advised: Advised,
    progress: Progress,
) -> None:
    prompts = {
        (name, side): rebuttal_prompt(
            items[name],
            pairs[name][side],
            pairs[name][1 - side],
            advised.arguments[name, 1 - side].text,
        )
        for name, side in last
    }
    advised.rebuttals |= _speeches(_written(adviser, prompts, progress, "rebuttals"), items)


def _written(
    adviser: Respondent, prompts: Mapping[Heard, str], progress: Progress, what: str
) -> dict[Heard, Completion | Unscored]:
    """The adviser's reply to each prompt."""
    written = replies(adviser, list(prompts.values()), MOST_TOKENS, progress, what)
    return {key: written[prompt] for key, prompt in prompts.items()}


def _speeches(
    written: Mapping[Heard, Completion | Unscored], items: Mapping[str, Item]
) -> dict[Heard, Speech]:
    return {
        (name, side): _speech(reply, side, items[name]) for (name, side), reply in written.items()
    }


def _speech(reply: Completion | Unscored, side: int | None, item: Item) -> Speech:
    """A reply as a speech, its quotations looked up. One that there isn't speaks for neither side."""
    if isinstance(reply, Unscored):
        return Speech(None, SILENT)
    text = reply.text.strip()
    tokens = len(reply.tokens) or len(text.split())
    if not text:
        return Speech(None, SILENT, (), tokens)
    return Speech(side, text, quotes_in(text, item.passage), tokens)
