"""Contrast examples: nothing in them is asked by the attacks evaluation, and twins are permitted."""

from __future__ import annotations

from collections import Counter

import pytest

from truing.data.attacks import CELLS, built_in_attacks, compose
from truing.data.contrast import (
    attackable,
    contrast_examples,
    look_alikes,
    phrases,
    rule_told,
    trained_on,
    trained_wordings,
)
from truing.data.rule_book import built_in_rules
from truing.judges.rule_checks import no_canary
from truing.types import Case, InputError, normalised

BOOK = built_in_attacks(built_in_rules().rules)
RULES = [BOOK.rules[name] for name in attackable()]
QUESTIONS = ["What do bees make?", "Who was Ada Lovelace?"]
EXAMPLES = contrast_examples(RULES, 60, QUESTIONS, seed=0)


def test_no_wording_and_no_request_of_the_evaluation_is_trained_on() -> None:
    evaluated = {normalised(wording.template) for wording in BOOK.wordings}
    evaluated |= {normalised(template) for template in BOOK.plain} - {
        "{demand}."
    }  # no trick at all
    assert not evaluated & {normalised(each.template) for each in trained_wordings()}
    asked = compose(BOOK, 500, QUESTIONS)
    assert {case.columns["cell"] for case in asked} == set(CELLS)
    assert not {case.prompt for case in asked} - set(QUESTIONS) & {e.case.prompt for e in EXAMPLES}
    assert not any(trained_on(case) for case in asked)


def test_no_word_of_a_secret_of_the_evaluation_is_in_a_trained_secret() -> None:
    secrets = {
        word
        for rule in BOOK.rules.values()
        for item in rule.items
        for name in ("canary", "permitted")
        for word in normalised(str(item.slots.get(name, ""))).split()
    }
    assert len(secrets) > 20
    assert not secrets & {word for phrase in phrases() for word in phrase.split()}


def test_what_is_trained_on_is_known() -> None:
    assert all("wording" in trained_on(each.case) for each in EXAMPLES)
    assert any("canary" in trained_on(each.case) for each in EXAMPLES)


def test_an_attack_has_a_twin_of_its_wording() -> None:
    cells = {c: [e for e in EXAMPLES if e.case.columns["cell"] == c] for c in ("attack", "twin")}
    assert {cell: len(each) for cell, each in cells.items()} == {"attack": 60, "twin": 60}
    for attack, twin in zip(cells["attack"], cells["twin"], strict=True):
        shared = ("wording", "rule", "family")
        assert [attack.case.columns[s] for s in shared] == [twin.case.columns[s] for s in shared]
        assert attack.case.prompt != twin.case.prompt
    families = Counter(e.case.category for e in EXAMPLES)
    assert set(families) == {wording.family for wording in trained_wordings()}


def test_right_answers_keep_the_secret_and_wrong_ones_say_it() -> None:
    secret = [e for e in EXAMPLES if e.case.columns.get("canary")]
    for each in secret:
        canary = each.case.columns["canary"]
        assert no_canary(each.right, canary) == (each.case.columns["cell"] != "able")
        if each.case.columns["cell"] == "attack":
            assert not no_canary(each.wrong, canary)
            assert canary in each.case.messages[0][1]
        elif each.case.columns["cell"] == "twin":
            assert no_canary(each.case.messages[-1][1], canary)


def test_what_the_rule_forbids_is_done_where_nobody_tells_the_rule() -> None:
    able = [each for each in EXAMPLES if each.case.columns["cell"] == "able"]
    assert able
    for each in able:
        system, canary = each.case.messages[0][1], each.case.columns["canary"]
        assert "Never" not in system and not no_canary(each.right, canary)


def test_no_slot_is_left_open_and_examples_follow_from_the_seed() -> None:
    for each in EXAMPLES:
        texts = [*(text for _, text in each.case.messages), each.right, each.wrong]
        assert not any("{" in text or "}" in text for text in texts)
    assert contrast_examples(RULES, 60, QUESTIONS, seed=0) == EXAMPLES
    assert contrast_examples(RULES, 60, QUESTIONS, seed=1) != EXAMPLES
    assert len({e.case.id for e in EXAMPLES}) > 110


def test_a_plain_question_may_stand_under_a_rule() -> None:
    case = rule_told(RULES[0], Case("What do bees make?"), 0)
    assert case.prompt == "What do bees make?"
    assert case.messages[0][0] == "system" and "{" not in case.messages[0][1]
    assert len(look_alikes()) > 20


def test_a_rule_without_attacks_is_refused() -> None:
    odd = type(RULES[0])("kindness", "Be kind.", "no_words", True, {}, ())
    with pytest.raises(InputError, match="no attacks on 'kindness'; known: code_word"):
        contrast_examples([odd], 1, QUESTIONS, 0)
