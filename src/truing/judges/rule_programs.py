"""The program behind each rule of a book, and whether it can tell anything apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from truing.data.rule_book import RuleBook, built_in_rules
from truing.judges.checks import CHECKS, Check
from truing.judges.programs import Program, program
from truing.judges.rule_checks import RULE_CHECKS
from truing.rewards.calling import columns_of


def rule_programs(
    book: RuleBook, where: str = "rules", more: Mapping[str, Check] | None = None
) -> dict[str, Program]:
    """The program of each rule by the rule's id; `more` are programs of the task's own.

    Raises InputError, naming the rule behind `where`, if there is none of that name or it asks for a
    column that no case of the rule has.
    """
    known = {**CHECKS, **RULE_CHECKS, **(more or {})}
    cases = book.cases()
    return {
        rule.id: program(
            rule.check,
            f"{where}.{rule.id}.check",
            columns_of(case for case in cases if case.columns["rule"] == rule.id),
            known,
        )
        for rule in book.rules
    }


@cache
def built_in_rule_programs() -> Mapping[str, Program]:
    """Those of the built-in book."""
    return rule_programs(built_in_rules())
