"""A task's book of rules, from its file: read, filled in, and looked through before any time is spent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from truing.data.rule_book import CONTEXTS, ContrastPair, RuleBook, built_in_rules, slots_in
from truing.data.rules import Rule, RuleItem
from truing.data.tables.reading import read_table
from truing.hints import did_you_mean
from truing.judges.rule_checks import no_canary
from truing.spec.task import PairSpec, RuleSpec, TaskSpec
from truing.types import Case, InputError

ASKED = 12
"""Held-out cases that a rule without items is asked on."""
_SLOT = re.compile(r"\{(\w+)\}")


def rule_book(task: TaskSpec, cases: Sequence[Case]) -> RuleBook:
    """The task's book, or the built-in one where it has no rules. `cases` stand for the items of rules
    without any.

    Raises InputError, naming the key, for what can't be asked or decided.
    """
    if not task.rules:
        return built_in_rules()
    where = f"task {task.name}"
    contexts = {**CONTEXTS, **task.contexts}
    _check_contexts(task, contexts, where)
    rules = tuple(_rule(rule, cases, f"{where}: rules.{rule.id}") for rule in task.rules)
    pairs = tuple(_pairs(task.pairs, rules, where))
    book = RuleBook(rules, contexts, pairs)
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
        if context not in expected:
            raise InputError(
                f"{where}: contexts.{context}: no rule expects anything of it; name it in a rule's "
                "expects, or leave it out"
            )


def _rule(rule: RuleSpec, cases: Sequence[Case], where: str) -> Rule:
    check = rule.check
    if check is None:
        raise InputError(
            f"{where}.check: missing, and rules are measured; give a program, words, a canary or a judge"
        )
    program = check.program or f"judge:{check.judge}"
    given: dict[str, Any] = {}
    if check.words is not None:
        program, given = "no_words", {"words": list(check.words)}
    elif check.canary is not None:
        program, given = "no_canary", {"canary": check.canary}
    items = tuple(_items(rule, cases, given, f"{where}.items"))
    return Rule(rule.id, rule.says, program, rule.stated, dict(rule.expects), items)


def _items(
    rule: RuleSpec, cases: Sequence[Case], given: Mapping[str, Any], where: str
) -> Iterator[RuleItem]:
    if rule.items is None:
        for case in cases[:ASKED]:
            columns = {name: value for name, value in case.columns.items() if name != "canary"}
            yield RuleItem(case.id, {**columns, "request": case.prompt, **given})
        return
    rows = _read(rule.items, where) if isinstance(rule.items, str) else rule.items
    if not rows:
        raise InputError(f"{where}: empty; give at least one item, or leave the key out")
    names = [str(row.get("name") or f"{rule.id}-{number}") for number, row in enumerate(rows, 1)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{where}: two items are called {name!r}; give each a name of its own")
    for name, row in zip(names, rows, strict=True):
        yield RuleItem(name, {**given, **row})


def _read(source: str, where: str) -> list[dict[str, Any]]:
    return [dict(row.values) for row in read_table(source, where).rows]


def _pairs(specs: Sequence[PairSpec], rules: Sequence[Rule], where: str) -> Iterator[ContrastPair]:
    by_id = {rule.id: rule for rule in rules}
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
        yield from (ContrastPair(rule.id, item.name, pair.contexts) for item in rule.items)


def _check_slots(book: RuleBook, where: str) -> None:
    """Every slot of what is said and asked must be filled by every item."""
    for rule in book.rules:
        says = [("says", rule.says)] if rule.stated else []
        for context in rule.expects:
            for item in rule.items:
                slots = slots_in(item, context)
                for what, text in (*says, (f"context {context}", book.contexts[context])):
                    for slot in _SLOT.findall(text):
                        if slots.get(slot) in (None, "", ()):
                            raise InputError(
                                f"{where}: rules.{rule.id}.items: {item.name}: doesn't fill the slot "
                                f"{{{slot}}} of {what}; give it a value of that name"
                            )


def _check_cases(book: RuleBook, where: str) -> None:
    for case in book.cases():
        columns = case.columns
        place = f"{where}: rules.{columns['rule']}.items: {columns['item']}: context {columns['context']}"
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
        if one.prompt == other.prompt:
            raise InputError(
                f"{where}: pairs: {pair.rule}, {pair.item}: both contexts ask the same text; give the "
                "contexts templates that differ"
            )
