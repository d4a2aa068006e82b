"""Demonstrations: split by prompt and user, and looked through for evaluation questions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.data.contamination import contamination, overlap_length, words
from truing.data.dialogues import Dialogue, groups_of, split_dialogues
from truing.types import Case

NAMES = st.sampled_from(["", "u1", "u2", "u3", "u4"])
MANY = st.lists(st.tuples(st.integers(0, 12), NAMES), min_size=1, max_size=30)


def said(prompt: str, answer: str = "An answer.", user: str = "") -> Dialogue:
    return Dialogue((("user", prompt),), answer, user=user)


def linked(dialogues: list[Dialogue]) -> list[set[int]]:
    """Connected components by brute force: grow until nothing joins any more."""
    components = [{place} for place in range(len(dialogues))]
    grown = True
    while grown:
        grown = False
        for a in components:
            for b in components:
                if a is not b and any(
                    dialogues[i].prompt_id == dialogues[j].prompt_id
                    or (dialogues[i].user and dialogues[i].user == dialogues[j].user)
                    for i in a
                    for j in b
                ):
                    a |= b
                    components.remove(b)
                    grown = True
                    break
            if grown:
                break
    return components


@given(MANY)
def test_groups_are_the_connected_components(rows: list[tuple[int, str]]) -> None:
    dialogues = [said(f"Prompt {n}?", str(place), user) for place, (n, user) in enumerate(rows)]
    keys = groups_of(dialogues)
    for component in linked(dialogues):
        assert len({keys[place] for place in component}) == 1
    assert len(set(keys)) == len(linked(dialogues))


@given(MANY, st.floats(0.01, 0.99), st.randoms(use_true_random=False))
def test_no_prompt_and_no_user_is_on_both_sides(
    rows: list[tuple[int, str]], held_out: float, generator: random.Random
) -> None:
    dialogues = [said(f"Prompt {n}?", str(place), user) for place, (n, user) in enumerate(rows)]
    train, held = split_dialogues(dialogues, held_out)
    assert sorted(d.answer for d in (*train, *held)) == sorted(d.answer for d in dialogues)
    assert not {d.prompt_id for d in train} & {d.prompt_id for d in held}
    assert not {d.user for d in train if d.user} & {d.user for d in held if d.user}
    assert train and bool(held) == (len(set(groups_of(dialogues))) > 1)
    shuffled = generator.sample(dialogues, len(dialogues))
    assert {d.answer for d in split_dialogues(shuffled, held_out)[0]} == {d.answer for d in train}


def test_the_share_is_met_and_more_only_adds() -> None:
    dialogues = [said(f"Prompt number {n}?") for n in range(1000)]
    sides = [{d.prompt for d in split_dialogues(dialogues, share)[1]} for share in (0.1, 0.3)]
    assert 70 < len(sides[0]) < 130 and sides[0] < sides[1] and 250 < len(sides[1]) < 350
    more = [*dialogues, *(said(f"Another {n}?") for n in range(1000))]
    assert sides[0] <= {d.prompt for d in split_dialogues(more, 0.1)[1]}  # nothing moves


QUESTIONS = [
    Case("What happens to you if you eat the seeds of an orange on Sunday?"),  # 13 words
    Case("Why is the sky blue?"),
    Case("Who won?"),
    *(Case(f"Why {n}?") for n in range(5)),
    *(Case(f"Filler {n} with quite a number of words so that it is long {n}?") for n in range(40)),
]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("what happens to you, if you eat the SEEDS of an orange on sunday", "exact"),
        ("Tell me: happens to you if you eat the seeds, I wonder", "8-gram"),
        ("Tell me: to you if you eat the pips of an orange on", None),  # 6 words in a row
        ("Now children, why is the sky   blue? Answer in rhyme.", "whole"),
        ("Why is the sky so blue?", None),
        ("Who won?", "exact"),
        ("I know who won the match.", None),
        ("Filler 7 with quite a number of words", "8-gram"),
    ],
)
def test_questions_are_found_by_shared_words(text: str, match: str | None) -> None:
    assert overlap_length(QUESTIONS) == 8
    for dialogue in (said(text), said("Something else?", text)):
        found = contamination([dialogue, said("Quite another matter")], QUESTIONS)
        assert [each.match for each in found.findings] == ([match] if match else [])
        assert found.counts == ({match: 1} if match else {})
        assert found.to_json()["contaminated"] == len(found.findings)


def test_the_length_of_a_run_follows_the_questions() -> None:
    assert overlap_length([Case("one two three")] * 5) == 8
    assert overlap_length([Case(" ".join(["word"] * 10))] * 5) == 10
    assert overlap_length([Case(" ".join(["word"] * 99))] * 5) == 13
    assert words("It’s 'fine', isn't it?") == ("its", "fine", "isnt", "it")


@given(
    st.lists(st.sampled_from("abcd"), max_size=14), st.lists(st.sampled_from("abcd"), max_size=14)
)
def test_runs_are_found_as_by_brute_force(asked: list[str], text: list[str]) -> None:
    found = contamination([said(" ".join(text) or "-", "-")], [Case(" ".join(asked) or "zzz")])
    n = overlap_length([Case(" ".join(asked) or "zzz")])
    length = min(n, len(asked))
    shares = len(asked) >= 5 and any(
        asked[i : i + length] == text[j : j + length]
        for i in range(len(asked) - length + 1)
        for j in range(len(text) - length + 1)
    )
    assert bool(found.findings) == (shares or (bool(asked) and asked == text))
