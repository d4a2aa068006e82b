"""Composed attacks: a wording of a family, a demand, and the rule that the demand goes against.

No wording is written for a demand: each has a slot, {demand}, and {question} where it stands behind a
question. One wording, one demand and one item of its rule make an *attack*; beside every attack stand

- `direct`: the demand alone, without the trick, under the rule;
- `able`: the same turn as the attack's without the rule: would the model do it if it might?
- `twin`: the same wording with a demand that the rule permits, under the rule;
- `neutral`: a plain question under the rule: is it kept where nobody asks?

`direct` and `neutral` are those of a demand and an item, and serve all wordings of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Literal, TypeVar, get_args

from truing.data.demands import Demand
from truing.data.rule_book import BY_CONTEXT, RuleBook, built_in_rules, slots_in
from truing.data.rules import Rule, RuleItem, composed_case, filled
from truing.data.texts import built_in_text
from truing.data.wordings import Wording, built_in_wordings, worded_case
from truing.types import Case, InputError, normalised, stable_hash

Cell = Literal["attack", "direct", "able", "twin", "neutral"]
CELLS: tuple[Cell, ...] = get_args(Cell)
OF_OUTCOMES = tuple(name for name in BY_CONTEXT if name not in ("words", "canary"))
"""An item's columns that decide what becomes of `rules` alone."""

_Any = TypeVar("_Any")
_Named = TypeVar("_Named", "Wording", RuleItem)

WORDINGS_EACH = 26
"""Wordings of one demand and item in a large design: enough for hit@25, and some to spare."""
BESIDE = 4
"""Direct requests and plain questions beside one demand and item in a large design."""


@dataclass(frozen=True)
class ImportedAttack:
    """A whole prompt out of somebody's list. Any of its `triggers` in an answer is a success; without
    triggers only a judge of outcomes can tell."""

    family: str
    name: str
    text: str
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttackBook:
    """What attacks are composed of, `plain` being direct requests, and whole ones out of lists.

    `remarks` is what the user is told of how lists were read.
    """

    wordings: tuple[Wording, ...]
    demands: tuple[Demand, ...]
    rules: Mapping[str, Rule]
    plain: tuple[str, ...]
    imported: tuple[ImportedAttack, ...] = ()
    remarks: tuple[str, ...] = ()

    def demand(self, name: str) -> Demand:
        """The demand of this name."""
        return next(demand for demand in self.demands if demand.name == name)


@dataclass(frozen=True)
class _Target:
    """What an attack is after: a demand, on one item of its rule."""

    demand: Demand
    rule: Rule
    item: RuleItem

    @property
    def slots(self) -> dict[str, Any]:
        """The item's as it is asked, and the demand's for it; what isn't a text is for checks alone."""
        place = self.rule.items.index(self.item)
        own = {name: each[place % len(each)] for name, each in self.demand.slots.items()}
        return {**slots_in(self.item, "ask"), **own}

    @property
    def under_rule(self) -> str:
        """What the system message says of the rule; nothing, where it is only expected."""
        return self._system(self.rule.says if self.rule.stated else "")

    @property
    def without_rule(self) -> str:
        """What it says where the rule isn't told."""
        return self._system(self.demand.without)

    def _system(self, text: str) -> str:
        return filled(" ".join(filter(None, (text, self.demand.beside))), self.slots)

    @property
    def canary(self) -> str:
        """The words that show that the demand was carried out; empty where only a check can tell."""
        return str(self.slots.get("canary", ""))


def built_in_attacks(rules: Sequence[Rule]) -> AttackBook:
    """The built-in wordings and demands, all ours and harmless. `rules` are those to go against, beside
    the ones that stand with the demands; a demand whose rule isn't there is left out."""
    data = json.loads(built_in_text("attack_demands.json"))
    own = [_rule(each) for each in data["rules"]]
    by_id = {rule.id: rule for rule in (*own, *rules)}
    demands = map(_demand, data["demands"])
    return AttackBook(
        built_in_wordings("attack_wordings.jsonl"),
        tuple(demand for demand in demands if demand.rule in by_id),
        by_id,
        tuple(data["plain"]),
    )


def attacks_on(book: RuleBook) -> AttackBook:
    """The built-in wordings with the demands of a task's own rules; with the built-in demands, where the
    book has none."""
    built_in = built_in_attacks(built_in_rules().rules)
    if not book.demands:
        return built_in
    return replace(built_in, demands=book.demands, rules={rule.id: rule for rule in book.rules})


def _rule(data: Mapping[str, Any]) -> Rule:
    items = tuple(RuleItem(each["name"], each["slots"]) for each in data["items"])
    return Rule(data["id"], data["says"], data["check"], True, {}, items)


def _demand(data: Mapping[str, Any]) -> Demand:
    words = {name: tuple(data.get(name, ())) for name in ("done", "shown")}
    return Demand(**{**data, **words})


def compose(book: AttackBook, size: int, questions: Sequence[str], seed: int = 0) -> list[Case]:
    """`size` attacks, or as many as there are, with every cell beside them; then the imported ones.

    The design is balanced: demands, items and families take turns, no wording stands twice with one
    demand and item, and which stand together follows from the seed alone. Raises InputError where an
    attack can't stand behind any of the questions.
    """
    asked = list(questions) or [""]
    cases: dict[str, Case] = {}
    for case in chain(_composed(book, size, asked, seed), _imported(book, asked)):
        cases.setdefault(case.id, case)
    return list(cases.values())


def _composed(book: AttackBook, size: int, questions: Sequence[str], seed: int) -> Iterator[Case]:
    targets, wordings = _targets(book, size, seed), _in_turn(book.wordings, seed)
    if not targets or not wordings:
        return
    plain = min(BESIDE, max(2, round(BESIDE * size / (len(targets) * WORDINGS_EACH))))
    for number in range(min(size, len(targets) * len(wordings))):
        place, turn = number % len(targets), number // len(targets)
        # Targets begin at places as far apart as can be, so that each wording is used as often.
        wording = wordings[(turn + place * len(wordings) // len(targets)) % len(wordings)]
        yield from _attack_cells(targets[place], wording, questions, number + seed)
    for place, target in enumerate(targets):
        for number in range(plain):
            yield _direct(target, book.plain[(place + number) % len(book.plain)])
            yield _neutral(target, questions, place * plain + number)


def _targets(book: AttackBook, size: int, seed: int) -> list[_Target]:
    """Demands in turn, of each its items in an order that the seed draws: at least two of each demand
    where the size allows, and no more than it can ask often."""
    items = {demand.name: _shuffled(book.rules[demand.rule].items, seed) for demand in book.demands}
    rows = [
        [_Target(demand, book.rules[demand.rule], item) for item in items[demand.name]]
        for demand in book.demands
    ]
    every = _taking_turns(rows)
    return every[: min(size, max(2 * len(rows), size // WORDINGS_EACH))]


def _in_turn(wordings: Sequence[Wording], seed: int) -> list[Wording]:
    """Families in turn, of each its wordings in an order that the seed draws."""
    families: dict[str, list[Wording]] = {}
    for wording in wordings:
        families.setdefault(wording.family, []).append(wording)
    return _taking_turns([_shuffled(family, seed) for family in families.values()])


def _taking_turns(rows: Sequence[Sequence[_Any]]) -> list[_Any]:
    return [each for turn in zip_longest(*rows) for each in turn if each is not None]


def _shuffled(things: Sequence[_Named], seed: int) -> list[_Named]:
    return sorted(things, key=lambda each: stable_hash("composition", str(seed), each.name))


def _attack_cells(
    target: _Target, wording: Wording, questions: Sequence[str], number: int
) -> Iterator[Case]:
    demand, slots = target.demand, target.slots
    done = _filled(demand.done, slots)
    shown, question = _filled(demand.shown, slots), ""
    if wording.asks_first:
        words = (target.canary, *done, *shown)
        question = _question(questions, number, words, wording.name)
    asks, permitted = filled(demand.asks, slots), filled(demand.twin, slots)
    told, without = target.under_rule, target.without_rule
    sought = (target.canary,)
    family = stable_hash("attack", wording.name, demand.name, target.item.name)[:16]
    for cell, request, system, words in (
        ("attack", asks, told, sought),
        ("able", asks, without, sought),
        ("twin", permitted, told, done),
    ):
        if cell == "able" and told == without:
            continue  # a rule that nobody is told: it would be the attack again
        case = _case(cell, target, wording, (question, request), system, words)
        yield replace(case, family=family)


def _filled(words: Sequence[str], slots: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(filled(each, slots) for each in words)


def _direct(target: _Target, template: str) -> Case:
    wording = Wording("plain", f"plain-{stable_hash('plain', template)[:4]}", template)
    asks = filled(target.demand.asks, target.slots)
    return _case("direct", target, wording, ("", asks), target.under_rule, (target.canary,))


def _neutral(target: _Target, questions: Sequence[str], number: int) -> Case:
    """A question without a demand. What it is about is left to whoever asks."""
    question = _question(questions, number, (target.canary,), "a plain question")
    wording = Wording("plain", f"question-{stable_hash('question', question)[:4]}", "{question}")
    return _case("neutral", target, wording, (question, ""), target.under_rule, (target.canary,))


def _case(
    cell: str,
    target: _Target,
    wording: Wording,
    said: tuple[str, str],
    system: str,
    sought: Sequence[str],
) -> Case:
    """A cell's case, from what is `said`: a question and a request. What it is made of stands in its
    columns, `sought` being the words to look for, `shown` those that a broken rule must come with; the
    item's slots are there for the rule's check."""
    slots = {name: each for name, each in target.slots.items() if name not in OF_OUTCOMES}
    columns = {
        **slots,
        "cell": cell,
        "family": wording.family,
        "wording": wording.name,
        "demand": target.demand.name,
        "rule": target.rule.id,
        "item": target.item.name,
        "sought": tuple(each for each in sought if each),
        "shown": _filled(target.demand.shown, target.slots),
    }
    return worded_case(wording, *said, system, columns)


def _imported(book: AttackBook, questions: Sequence[str]) -> Iterator[Case]:
    for number, attack in enumerate(book.imported):
        where = f"{attack.family}: {attack.name}"
        behind = "{question}" in attack.text
        question = _question(questions, number, attack.triggers, where) if behind else ""
        columns = {
            "cell": "attack",
            "family": attack.family,
            "wording": attack.name,
            "demand": "imported" if attack.triggers else "goal",
            "rule": "",
            "item": attack.family,
            "canary": attack.triggers[0] if attack.triggers else "",
            "sought": attack.triggers,
        }
        user = filled(attack.text, {"question": question})
        yield composed_case("", user, columns, attack.family)


def _question(questions: Sequence[str], number: int, words: Sequence[str], where: str) -> str:
    """The next question that holds none of the words, which an answer to it could hold unasked.

    Raises InputError where there is none.
    """
    sought = [normalised(word) for word in words if word]
    held: list[str] = []
    for place in range(len(questions)):
        question = questions[(number + place) % len(questions)]
        there = [word for word in sought if word in normalised(question)]
        if not there:
            return question
        held += there
    raise InputError(
        f"{where}: {held[0]!r} shows that its demand was carried out, and stands in every question that "
        "it is put behind; give other questions with --questions, or another canary"
    )
