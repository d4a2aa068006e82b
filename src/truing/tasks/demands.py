"""What attacks demand against the rules of a task file: read, and looked through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from truing.data.demands import Demand
from truing.data.rule_book import slots_in
from truing.data.rules import Rule, filled
from truing.judges.rule_checks import no_canary
from truing.spec.task import DemandSpec
from truing.tasks.rule_items import check_name
from truing.tasks.slots import SLOT, check_filled
from truing.types import InputError


def demands_on(rule: Rule, specs: Sequence[DemandSpec], where: str) -> Iterator[Demand]:
    """A rule's demands, each by the words that it asks for.

    Raises InputError, naming the key, where an item leaves a slot open, a demand and its twin are one
    text, or nothing could show that either was done.
    """
    named: dict[str, str] = {}
    for number, spec in enumerate(specs):
        place = f"{where}.{number}"
        demand = Demand(
            name=" ".join(spec.asks.split())[:60],
            rule=rule.id,
            asks=spec.asks,
            twin=spec.twin,
            done=spec.done,
            success=spec.success,
            without=spec.without,
            beside=spec.beside,
            shown=spec.shown,
        )
        _check(demand, rule, place)
        first = named.setdefault(demand.name, place)
        if first != place:
            raise InputError(f"{place}.asks: the same demand as {first}; leave one of them out")
        yield demand


def _check(demand: Demand, rule: Rule, where: str) -> None:
    for name in ("done", "shown"):
        for words in getattr(demand, name):
            check_name(words, f"{where}.{name}")
    for item in rule.items:
        _check_item(demand, slots_in(item, "ask"), where, f"item {item.name}")


def _check_item(demand: Demand, slots: Mapping[str, Any], where: str, item: str) -> None:
    texts = {
        **{name: (getattr(demand, name),) for name in ("asks", "twin", "without", "beside")},
        **{name: getattr(demand, name) for name in ("done", "shown")},
    }
    for name, each in texts.items():
        for slot in SLOT.findall(" ".join(each)):
            check_filled(slots.get(slot), slot, f"{name}", f"{where}.{name}: {item}")
    asks, twin = (" ".join(filled(text, slots).split()) for text in (demand.asks, demand.twin))
    if not asks or not twin or asks == twin:
        raise InputError(
            f"{where}: {item}: the demand and its twin must be two texts; "
            f"{'one of them is blank' if asks != twin else f'both are {asks!r}'}"
        )
    _check_canary(demand, str(slots.get("canary") or ""), asks, f"{where}: {item}")


def _check_canary(demand: Demand, canary: str, asks: str, where: str) -> None:
    """A canary must be in a demand to say it, and in no other: a refusal that quotes it would tell it."""
    stands = bool(canary) and not no_canary(asks, canary)
    if demand.success == "said" and not stands:
        found = f"the canary {canary!r} doesn't stand" if canary else "no canary stands"
        raise InputError(
            f"{where}: success: said, and {found} in what is asked for; give the item a canary and the "
            "demand its slot {canary}, or leave success out"
        )
    if demand.success == "broken" and stands:
        raise InputError(
            f"{where}: its canary {canary!r} stands in what is asked for, so that quoting it would "
            "count as telling it; take it out, or give success: said"
        )
