"""Proposed prompts: seeded, all different, made as their source says; what models write is cleaned."""

from __future__ import annotations

import numpy as np
import pytest

from truing.data.texts import instructions
from truing.prompts.proposals import (
    EXAMPLE_RULES,
    Proposal,
    example_proposals,
    example_set,
    fresh,
    in_turn,
    paraphrase_proposals,
    slot_proposals,
)
from truing.prompts.rendering import Prompt
from truing.prompts.rewriting import cleaned, plain_request, rewriting_request
from truing.types import Case

BEST = [Prompt("Answer the question in one short sentence."), *map(Prompt, instructions("helpful"))]
CASES = [
    Case(f"{word} {thing}?", (" ".join(["so"] * (1 + 3 * n)),), ("no",), category=thing)
    for n, word in enumerate(("why", "how", "when", "where"))
    for thing in ("bats", "gold", "rain")
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_same_seed_proposes_the_same_and_another_others() -> None:
    for propose in (
        lambda seed: slot_proposals(BEST, 12, rng(seed)),
        lambda seed: paraphrase_proposals(BEST, 12, rng(seed)),
        lambda seed: example_proposals(BEST, CASES, (0, 2), 8, rng(seed)),
    ):
        assert propose(1) == propose(1) != propose(2)
        assert len({proposal.key for proposal in propose(1)}) == len(propose(1)) > 7


def test_slots_change_one_choice_of_a_good_text_of_the_grammar() -> None:
    first = slot_proposals([], 1, rng())[0]
    made = [p for p in slot_proposals([first.prompt], 40, rng(1)) if p.parent]
    assert made and all(p.parent == first.prompt.id and p.origin == "slots" for p in made)
    words = set(first.prompt.instruction.split())
    shared = [len(words & set(p.prompt.instruction.split())) / len(words) for p in made]
    assert np.mean(shared) > 0.5


def test_paraphrases_say_it_in_other_words_and_keep_the_examples() -> None:
    parent = Prompt(BEST[0].instruction, example_set("random", CASES, 2, rng()))
    for proposal in paraphrase_proposals([parent], 6, rng()):
        assert proposal.prompt.shots == parent.shots and proposal.parent == parent.id
        assert proposal.prompt.instruction != parent.instruction
        assert (
            proposal.prompt.instruction[0].isupper() and "sentence" in proposal.prompt.instruction
        )
    assert paraphrase_proposals([Prompt()], 6, rng()) == []


def test_examples_follow_their_rule() -> None:
    assert {len(example_set(rule, CASES, 3, rng())) for rule in EXAMPLE_RULES} == {3}
    assert len(example_set("random", CASES, 99, rng())) == len(CASES)
    assert all(shot.answer == "so" for shot in example_set("short", CASES, 3, rng()))
    kinds = {shot.question.split()[1] for shot in example_set("spread", CASES, 3, rng())}
    assert len(kinds) == 3
    first, second = (shot.question.split() for shot in example_set("varied", CASES, 2, rng()))
    assert not set(first) & set(second)
    answers = {case.prompt: case.correct_answers[0] for case in CASES}
    for shot in example_set("varied", CASES, 9, rng()):
        assert shot.answer == answers[shot.question]


def test_sources_take_turns() -> None:
    a, b = ([Proposal(Prompt(f"{name}{n}"), name) for n in range(3)] for name in "ab")
    assert [p.prompt.instruction for p in in_turn([a, [], b], 5)] == ["a0", "b0", "a1", "b1", "a2"]
    known = {a[0].key}
    assert fresh([*a, a[1]], known) == a[1:] and fresh(a, known) == []


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("Answer truthfully in one sentence.", "Answer truthfully in one sentence."),
        ('Instruction: "Be exact and be brief."', "Be exact and be brief."),
        ("Sure! Here is one:\n\nSay what is true.\n\nI hope it helps.", "Say what is true."),
        ("1. State only what is so.\n2. Something else here.", "State only what is so."),
        ("**New prompt:** Use one clear sentence.", "Use one clear sentence."),
        ("", None),
        ("   \n ", None),
        ("Be true.", None),
        ("word " * 61, None),
        ("What would be the best answer here?", None),
        ("answer well answer well answer well", None),
        ("I'll answer all questions in one sentence.", None),
        ("Sure, here is the short answer to it.", None),
        ("Bridges of great cities shine at night.", None),
        ("1 2 3 4 5 a b c 6 7 8 9 10 11", None),
        ("<|im_start|>system answer the question", None),
        ("Look at https://example.org for the answer", None),
        ("Fill {question} in and answer it", None),
    ],
)
def test_what_a_model_writes_is_cleaned_or_refused(text: str, instruction: str | None) -> None:
    assert cleaned(text) == instruction


def test_a_text_that_was_cut_off_is_refused() -> None:
    assert cleaned("Answer the question as if you were", finished=False) is None
    assert cleaned("Say what is true.\n\nThis is", finished=False) == "Say what is true."


def test_a_model_is_shown_one_or_several_with_their_scores() -> None:
    best = [("Be exact.", 0.5), ("Be brief.", 0.4)]
    assert "Be exact." in rewriting_request(best, 0) and "Be brief." not in rewriting_request(
        best, 0
    )
    assert "Be brief." in rewriting_request(best, 2)
    several = rewriting_request(best, 1)
    assert several.index("0.400: Be brief.") < several.index("0.500: Be exact.")
    unknown = [(text, float("nan")) for text, _ in best]
    assert "nan" not in "".join(rewriting_request(unknown, n) for n in range(4))
    assert plain_request(best, 1).startswith("Instruction for answering questions: Be brief.")
