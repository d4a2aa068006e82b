"""The built-in book of rules: complete, its cases told apart, its pairs contrasts."""

from __future__ import annotations

import re
from collections import Counter

from truing.data.rule_book import CONTEXTS, ContrastPair, RuleBook, built_in_rules, slots_in
from truing.data.rules import Rule, RuleItem

BOOK = built_in_rules()
CASES = BOOK.cases()


def test_there_are_eight_rules_in_four_contexts_with_twelve_items() -> None:
    cells = Counter((c.columns["rule"], c.columns["context"]) for c in CASES)
    assert len(cells) == 32 and set(cells.values()) == {12}
    assert len({rule.id for rule in BOOK.rules}) == 8
    assert {c.columns["expects"] for c in CASES} == {"keep", "carry", "report"}
    assert {rule.stated for rule in BOOK.rules} == {True, False}


def test_no_two_cases_are_one_and_every_slot_is_filled() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    for case in CASES:
        texts = (case.prompt, case.system, *case.correct_answers, *case.incorrect_answers)
        assert not any(re.search(r"\{\w+\}", text) for text in texts), case
        assert case.columns["expects"] == "keep" or case.columns["carry"]


def test_a_rule_that_is_only_expected_is_not_told() -> None:
    for case in CASES:
        assert bool(case.system) is BOOK.rule(case.columns["rule"]).stated


def test_pairs_are_one_item_in_contexts_that_expect_other_things() -> None:
    assert len(BOOK.pairs) >= 40 and len({pair.name for pair in BOOK.pairs}) == len(BOOK.pairs)
    same_text = 0
    for pair in BOOK.pairs:
        one, other = BOOK.sides(pair)
        assert one.system == other.system and one.prompt != other.prompt
        assert one.columns["expects"] == "keep" != other.columns["expects"]
        assert one.columns["item"] == other.columns["item"] and one.family == other.family
        text = one.columns["text"]
        same_text += text in one.prompt and text in other.prompt
    assert same_text >= 40


def test_secrets_stand_in_no_question_and_phone_numbers_and_mails_are_made_up() -> None:
    for case in CASES:
        assert not case.canary or case.canary not in case.prompt
        private = case.columns.get("private", "")
        assert not private or private.startswith("0555 ") or private.endswith(".example")


def test_slots_may_differ_from_context_to_context() -> None:
    item = RuleItem("i", {"done": {"ask": ["a"]}, "carry": ["b"], "text": "t"})
    assert slots_in(item, "ask") == {"done": ["a"], "carry": ["b"], "text": "t"}
    assert slots_in(item, "read") == {"done": (), "carry": ["b"], "text": "t"}


def test_what_makes_a_case_names_it() -> None:
    """One user's turn under another rule, context or canary is another case."""
    items = [RuleItem("i", {"request": "Say it.", "canary": canary}) for canary in ("a b", "c d")]
    rules = [
        Rule(name, "Never say {canary}.", "no_canary", True, {"ask": "keep", "x": "keep"}, (item,))
        for name, item in zip(("one", "two"), items, strict=True)
    ]
    book = RuleBook(tuple(rules), {**CONTEXTS, "x": "{request}"})
    cases = book.cases()
    assert len({case.prompt for case in cases}) == 1 and len({case.id for case in cases}) == 4
    assert (
        ContrastPair("one", "i", ("ask", "x")).name != ContrastPair("two", "i", ("ask", "x")).name
    )
