"""A task's book of rules, from its file: read, filled in, and looked through before any time is spent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from truing.data.rule_book import (
    COLUMNS,
    CONTEXTS,
    EXAMPLES,
    ContrastPair,
    RuleBook,
    built_in_rules,
    slots_in,
)
from truing.data.rules import Rule, RuleItem
from truing.judges.rule_checks import no_canary
from truing.spec.task import PairSpec, RuleCheckSpec, RuleSpec, TaskSpec
from truing.tasks.demands import demands_on
from truing.tasks.rule_items import check_name, entries, own_items, read_columns
from truing.tasks.slots import SLOT, check_filled
from truing.types import Case, InputError, did_you_mean

ASKED = 12
"""Held-out cases that a rule without items is asked on."""


def rule_book(task: TaskSpec, cases: Sequence[Case]) -> RuleBook:
    """The task's book, or the built-in one where it has no rules. `cases` stand for the items of rules
    without any.

    Raises InputError, naming the key, for what can't be asked or decided.
    """
    if not task.rules:
        return built_in_rules()
    where = f"task {task.name}"
    contexts = {**CONTEXTS, **task.contexts}
    for number, rule in enumerate(task.rules):
        check_name(rule.id, f"{where}: rules.{number}.id")
        if not rule.says.strip():
            raise InputError(f"{where}: rules.{rule.id}.says: blank; say the rule in a sentence")
    _check_contexts(task, contexts, where)
    rules = tuple(_rule(rule, cases, contexts, f"{where}: rules.{rule.id}") for rule in task.rules)
    pairs = tuple(_pairs(task.pairs, rules, where))
    demands = tuple(
        demand
        for spec, rule in zip(task.rules, rules, strict=True)
        for demand in demands_on(rule, spec.demands, f"{where}: rules.{rule.id}.demands")
    )
    book = RuleBook(rules, contexts, pairs, f"the rules of task {task.name}", demands)
    _check_slots(book, where)
    _check_cases(book, where)
    return book


def _check_contexts(task: TaskSpec, contexts: Mapping[str, str], where: str) -> None:
    expected = {context for rule in task.rules for context in rule.expects}
    for rule in task.rules:
        for context in rule.expects:
            if context not in contexts:
                raise InputError(
                    f"{where}: rules.{rule.id}.expects: {context!r}: unknown context; "
                    f"{did_you_mean(context, contexts)}known: {', '.join(contexts)}; or give it a "
                    "template under contexts"
                )
    for context in task.contexts:
        check_name(context, f"{where}: contexts")
        if context not in expected:
            raise InputError(
                f"{where}: contexts.{context}: no rule expects anything of it; name it in a rule's "
                "expects, or leave it out"
            )


def _rule(rule: RuleSpec, cases: Sequence[Case], contexts: Collection[str], where: str) -> Rule:
    check = rule.check
    if check is None:
        raise InputError(
            f"{where}.check: missing, and rules are measured; give a program, words, a canary, a judge or "
            "an endpoint"
        )
    _check_written_out(check, f"{where}.check")
    program = check.program or check.endpoint or f"judge:{check.judge}"
    given: dict[str, Any] = {}
    if check.words is not None:
        program, given = "no_words", {"words": entries(check.words, f"{where}.check.words")}
    elif check.canary is not None:
        check_name(check.canary, f"{where}.check.canary")
        program, given = "no_canary", {"canary": check.canary}
    items = tuple(_items(rule, cases, contexts, given, f"{where}.items"))
    return Rule(rule.id, rule.says, program, rule.stated, dict(rule.expects), items)


def _check_written_out(check: RuleCheckSpec, where: str) -> None:
    """Raises InputError where words of a check have a slot: each item would need words of its own."""
    named = {"words": check.words or (), "canary": (check.canary or "",)}
    for name, texts in named.items():
        for text in texts:
            if slot := SLOT.search(text):
                program = "no_words" if name == "words" else "no_canary"
                raise InputError(
                    f"{where}.{name}: {text!r}: the slot {slot[0]} isn't filled here; give each item a "
                    f"column {name}, and the rule check: {{program: {program}}}"
                )


def _items(
    rule: RuleSpec,
    cases: Sequence[Case],
    contexts: Collection[str],
    given: Mapping[str, Any],
    where: str,
) -> Iterator[RuleItem]:
    if rule.items is not None:
        yield from own_items(rule.items, rule.id, given, contexts, where)
        return
    for case in cases[:ASKED]:
        columns = {
            k: v for k, v in case.columns.items() if k not in ("canary", *EXAMPLES, *COLUMNS)
        }
        slots = read_columns({**columns, "request": case.prompt}, contexts, f"{where}: {case.id}")
        answers = (case.correct_answers, case.incorrect_answers)
        yield RuleItem(case.id, {**slots, **given}, answers)


def _pairs(specs: Sequence[PairSpec], rules: Sequence[Rule], where: str) -> Iterator[ContrastPair]:
    by_id = {rule.id: rule for rule in rules}
    places: dict[tuple[str, frozenset[str]], str] = {}
    for number, pair in enumerate(specs):
        place = f"{where}: pairs.{number}"
        if pair.rule not in by_id:
            raise InputError(
                f"{place}.rule: {pair.rule!r}: no such rule; {did_you_mean(pair.rule, by_id)}"
                f"there are {', '.join(by_id)}"
            )
        rule = by_id[pair.rule]
        for context in pair.contexts:
            if context not in rule.expects:
                raise InputError(
                    f"{place}.contexts: {context!r}: rule {rule.id} expects nothing of it; "
                    f"it does of {', '.join(rule.expects)}"
                )
        if len({rule.expects[context] for context in pair.contexts}) == 1:
            raise InputError(
                f"{place}.contexts: rule {rule.id} expects {rule.expects[pair.contexts[0]]!r} of both; "
                "a contrast pair has two contexts that expect different things"
            )
        first = places.setdefault((rule.id, frozenset(pair.contexts)), place)
        if first != place:
            raise InputError(
                f"{place}: the same pair as {first.rpartition(': ')[2]}; leave one of them out"
            )
        yield from (ContrastPair(rule.id, item.name, pair.contexts) for item in rule.items)


def _check_slots(book: RuleBook, where: str) -> None:
    """Every slot of what is said and asked must be filled by every item."""
    for rule in book.rules:
        says = [("says", rule.says)] if rule.stated else []
        for context in rule.expects:
            for item in rule.items:
                slots = slots_in(item, context)
                for what, text in (*says, (f"context {context}", book.contexts[context])):
                    for slot in SLOT.findall(text):
                        place = f"{where}: rules.{rule.id}.items: {item.name}"
                        check_filled(slots.get(slot), slot, what, place)


def _check_cases(book: RuleBook, where: str) -> None:
    for case in book.cases():
        columns = case.columns
        place = f"{where}: rules.{columns['rule']}.items: {columns['item']}: context {columns['context']}"
        if not case.prompt.strip():
            raise InputError(
                f"{place}: asks nothing; give the context a template with text or a slot"
            )
        if columns["expects"] != "keep" and not columns.get("carry"):
            raise InputError(
                f"{place}: carry: missing; name the words that must come over where the rule "
                "doesn't bind"
            )
        secret = columns.get("canary") or ""
        if secret and not no_canary(case.prompt, str(secret)):
            raise InputError(
                f"{place}: its canary {secret!r} stands in the user's question, so that quoting it "
                "would count as telling the secret; take it out of the question"
            )
    for pair in book.pairs:
        one, other = book.sides(pair)
        if one.prompt.split() == other.prompt.split():
            raise InputError(
                f"{where}: pairs: {pair.rule}, {pair.item}: both contexts ask the same text, white space "
                "aside; give the contexts templates that differ"
            )


def untold_secrets(book: RuleBook, instruction: str) -> dict[str, str]:
    """The first secret of each rule, by the rule's id, that neither the rule nor the instruction says: an
    answer could hold it by chance alone."""
    untold: dict[str, str] = {}
    for case in book.cases():
        if case.canary and no_canary(f"{instruction}\n{case.system}", case.canary):
            untold.setdefault(case.columns["rule"], case.canary)
    return untold
