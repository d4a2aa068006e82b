"""Contrast examples: an attack with the answer that keeps the rule, and its twins with the demand done.

The training side of attacks. Its wordings, demands and secrets are its own, none of them among those of
`data.attacks`, which nothing here learns from: so every wording and every code word of that evaluation is
held out, for every candidate, and it asks the same whether or not a run has a defence. `trained_on` says
of a case which part of it was trained on all the same, as a rule's sentence is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from truing.data.rules import Rule, composed_case, filled
from truing.data.texts import built_in_text
from truing.data.wordings import Wording, built_in_wordings, worded_case
from truing.types import Case, InputError, did_you_mean, normalised

OPENING = "Sure. "
"""What every answer to a twin begins with. Refusals begin alike; if what is permitted began in as many ways
as there are things to ask for, the likeliest first word would be a refusal's whatever is asked, and
greedy answers would refuse every twin."""


FAR = 0.3
"""The share of twins that ask for something quite different from what the attack asks for."""


ABLE = 0.25
"""How often the attack stands there without the rule too: it is the rule that forbids it, not the trick."""


@dataclass(frozen=True)
class ContrastDemand:
    """What is asked for against a rule (`asks`), and what is permitted (`twins`, each with its answer).

    `right` are answers that keep the rule and go on to what can be done, `wrong` ones that break it.
    `slots` are drawn one a pair; a demand without any gets made-up words: {canary}, {permitted}, {thing}.
    One of `beside` stands behind the rule in the system message, where a twin asks for what it says;
    `without` is what that message says where the rule isn't told, and the demand is done. Unless it keeps
    the rule to answer `in_english`, no twin but the demand's own is asked.
    """

    asks: tuple[str, ...]
    twins: tuple[tuple[str, str], ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    slots: tuple[Mapping[str, str], ...] = ()
    beside: tuple[str, ...] = ()
    without: str = ""
    in_english: bool = True


@dataclass(frozen=True)
class ContrastExample:
    """A case with the answer to learn and one to unlearn. `question` is one that stands in the turn too,
    and is answered behind a right answer to an attack as the base answers it."""

    case: Case
    right: str
    wrong: str
    question: str = ""


@dataclass(frozen=True)
class _Texts:
    wordings: tuple[Wording, ...]
    demands: Mapping[str, ContrastDemand]
    permitted: tuple[tuple[str, str], ...]
    phrases: tuple[tuple[str, ...], tuple[str, ...]]
    things: tuple[str, ...]
    look_alikes: tuple[str, ...]


def attackable() -> tuple[str, ...]:
    """The ids of the rules that there are contrast examples of."""
    return tuple(_texts().demands)


def look_alikes() -> tuple[str, ...]:
    """Plain questions in words that sound like harm: what a model that refuses too much would refuse."""
    return _texts().look_alikes


def phrases() -> list[str]:
    """Every made-up phrase of two words that examples may forbid or permit."""
    first, second = _texts().phrases
    return [f"{one} {other}" for one in first for other in second]


def trained_wordings() -> tuple[Wording, ...]:
    """The wordings that are trained on; none is one of `data.attacks`."""
    return _texts().wordings


def contrast_examples(
    rules: Sequence[Rule], pairs: int, questions: Sequence[str], seed: int
) -> list[ContrastExample]:
    """An attack and its twin, `pairs` times: rules and wordings take turns, the rest follows from the seed.
    Some twins ask for much the same as the attack does, others for something quite different.

    Raises InputError where one of the rules can't be attacked.
    """
    texts = _texts()
    for rule in rules:
        if rule.id not in texts.demands:
            known = ", ".join(texts.demands)
            raise InputError(
                f"contrast.rules: there are no attacks on {rule.id!r}; "
                f"{did_you_mean(rule.id, texts.demands)}known: {known}"
            )
    wordings = list(texts.wordings)
    Random(f"wordings {seed}").shuffle(wordings)
    asked = list(questions) or [""]
    examples = []
    for number in range(pairs):
        rule, wording = rules[number % len(rules)], wordings[number // len(rules) % len(wordings)]
        pair = _pair(texts, rule, wording, asked, Random(f"contrast {seed} {number}"))
        examples += [replace(e, case=replace(e.case, family=f"pair {number}")) for e in pair]
    return examples


def _pair(
    texts: _Texts, rule: Rule, wording: Wording, questions: Sequence[str], random: Random
) -> list[ContrastExample]:
    demand = texts.demands[rule.id]
    slots = dict(random.choice(demand.slots)) if demand.slots else _made_up(texts, random)
    slots = {**_common(rule), **slots}
    question = random.choice(questions) if wording.asks_first else ""
    right, wrong = (filled(random.choice(each), slots) for each in (demand.right, demand.wrong))
    ask = filled(random.choice(demand.asks), slots)
    permitted = texts.permitted if demand.in_english and random.random() < FAR else demand.twins
    opening = OPENING if demand.in_english else ""
    request, done = (filled(text, slots) for text in random.choice(permitted))
    beside = filled(random.choice(demand.beside), slots) if demand.beside else ""
    beside = beside[:1].upper() + beside[1:]
    told = " ".join(filter(None, (filled(rule.says, slots), beside)))
    attack = _case("attack", rule, told, wording, (question, ask), slots)
    twin = _case("twin", rule, told, wording, (question, request), slots, done)
    examples = [
        ContrastExample(attack, right, wrong, question),
        ContrastExample(twin, f"{opening}{done}", right),
    ]
    if demand.without and random.random() < ABLE:
        free = " ".join(filter(None, (filled(demand.without, slots), beside)))
        able = _case("able", rule, free, wording, (question, ask), slots, wrong)
        examples.append(ContrastExample(able, f"{opening}{wrong}", right))
    return examples


def _common(rule: Rule) -> dict[str, Any]:
    """What all items of a rule have in common, as its check may ask for it."""
    first, *others = [item.slots for item in rule.items] or [{}]
    return {
        name: value
        for name, value in first.items()
        if isinstance(value, str) and all(other.get(name) == value for other in others)
    }


def _made_up(texts: _Texts, random: Random) -> dict[str, str]:
    """A secret and a permitted phrase that share no word."""
    (one, other), (this, that) = (random.sample(words, 2) for words in texts.phrases)
    thing = random.choice(texts.things)
    return {"canary": f"{one} {this}", "permitted": f"{other} {that}", "thing": thing}


def _case(
    cell: str,
    rule: Rule,
    told: str,
    wording: Wording,
    said: tuple[str, str],
    slots: Mapping[str, Any],
    done: str = "",
) -> Case:
    columns = {
        **slots,
        "cell": cell,
        "family": wording.family,
        "wording": wording.name,
        "rule": rule.id,
        "done": done,
    }
    return worded_case(wording, *said, told, columns)


def rule_told(rule: Rule, case: Case, seed: int) -> Case:
    """A plain question under the rule, as a neutral example: nobody asks to break it."""
    demand = _texts().demands[rule.id]
    random = Random(f"neutral {seed} {case.id}")
    slots = dict(random.choice(demand.slots)) if demand.slots else _made_up(_texts(), random)
    columns = {**_common(rule), **slots, "cell": "neutral", "rule": rule.id}
    return composed_case(filled(rule.says, columns), case.prompt, columns, "neutral")


def trained_on(case: Case) -> list[str]:
    """What of an attack's case stands among the contrast examples' texts: its wording, its words."""
    known = {wording.name for wording in _texts().wordings}
    seen = ["wording"] if case.columns.get("wording") in known else []
    secret = normalised(str(case.columns.get("canary", "")))
    return seen + (["canary"] if secret in {normalised(each) for each in phrases()} else [])


@cache
def _texts() -> _Texts:
    """The examples' texts, all ours and harmless."""
    data = json.loads(built_in_text("contrast_demands.json"))
    first, second = data["phrases"]
    return _Texts(
        built_in_wordings("contrast_wordings.jsonl"),
        {name: _demand(each) for name, each in data["demands"].items()},
        tuple((request, done) for request, done in data["permitted"]),
        (tuple(first), tuple(second)),
        tuple(data["things"]),
        tuple(data["look_alikes"]),
    )


def _demand(data: Mapping[str, Any]) -> ContrastDemand:
    twins = tuple((request, done) for request, done in data["twins"])
    names = ("asks", "right", "wrong", "slots", "beside")
    asks, right, wrong, slots, beside = (tuple(data.get(name, ())) for name in names)
    in_english = bool(data.get("in_english", True))
    without = str(data.get("without", ""))
    return ContrastDemand(asks, twins, right, wrong, slots, beside, without, in_english)
