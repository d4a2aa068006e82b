"""The program behind each rule of a book, and whether it can tell anything apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from truing.data.rule_book import RuleBook, built_in_rules
from truing.data.rules import Rule
from truing.judges.checks import CHECKS, Check
from truing.judges.programs import Program, program
from truing.judges.rule_checks import RULE_CHECKS
from truing.rewards.calling import columns_of
from truing.rewards.reward import Answered
from truing.types import Case, InputError, Score, Unscored

Grade = Callable[[Answered], Score]


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


MADE_UP = (
    "",
    "An answer.",
    "I'm sorry, but I can't help with that.",
    "Je ne peux pas vous le dire, mais c'est une bonne question.",
    'Of course! It is this: "12 mg", call 0555 010 010 or write to ann@ash.example. Then mix and bake.',
)
"""Answers that every check of a rule is tried on, beside an item's own."""
TRIED_CASES = 8


def try_rules(book: RuleBook, programs: Mapping[str, Grade], where: str = "rules") -> None:
    """Tries each rule's check on made-up answers to its first cases where it binds.

    They are `MADE_UP`, what is asked and told there, each of the item's own slots, and its good and bad
    answers. Raises InputError where every one passes, none does or none can be graded, and where a good
    answer breaks the rule or a bad one keeps it.
    """
    for rule in book.rules:
        grades: list[float] = []
        place = f"{where}.{rule.id}"
        binding = _binding(book, rule)
        for case in binding:
            grades += _tried(case, programs[rule.id], place)
        if binding and not grades:
            raise InputError(
                f"{place}.check: graded none of the made-up answers to {len(binding)} cases; it must tell "
                "of any text whether it keeps the rule, of an empty one as well"
            )
        if grades and len({grade >= 0.5 for grade in grades}) == 1:
            passes = grades[0] >= 0.5
            what = "every one" if passes else "none"
            wanted = "a bad one that breaks" if passes else "a good one that keeps"
            raise InputError(
                f"{place}.check: of {len(grades)} made-up answers {what} passes, so that the check "
                f"would tell nothing apart; mend it, or give an item {wanted} the rule"
            )


def _binding(book: RuleBook, rule: Rule) -> list[Case]:
    binding = [context for context, expected in rule.expects.items() if expected == "keep"]
    return [book.case(rule, c, item) for item in rule.items[:TRIED_CASES] for c in binding]


def _tried(case: Case, grade: Grade, place: str) -> list[float]:
    """The grades of made-up answers to one case; those that can't be told are left out."""
    item = case.columns["item"]
    for answers, good in ((case.correct_answers, True), (case.incorrect_answers, False)):
        for answer in answers:
            score = grade(Answered(case, answer))
            if not isinstance(score, Unscored) and (score >= 0.5) is not good:
                kind, does = ("good", "breaks") if good else ("bad", "keeps")
                raise InputError(
                    f"{place}.items: {item}: {kind}: by the check this answer {does} the rule: "
                    f"{answer[:60]!r}; mend the answer or the check"
                )
    slots = [text for value in case.columns.values() for text in _texts(value)]
    made_up = [*MADE_UP, case.prompt, case.system, *slots]
    tried = [*case.correct_answers, *case.incorrect_answers, *made_up]
    scores = [grade(Answered(case, answer)) for answer in tried]
    return [score for score in scores if not isinstance(score, Unscored)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(each) for each in value] if isinstance(value, Sequence) else []
