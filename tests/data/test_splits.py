"""Splits depend on what is asked alone; near-duplicates are found without comparing every pair."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.data.splits import (
    NEAR_DUPLICATE,
    content_words,
    is_held_out,
    leak_warning,
    leaks,
    limit_cases,
    near_duplicates,
    share,
    split,
)
from truing.types import Case, InputError, normalised


def numbered(count: int) -> list[Case]:
    return [Case(f"Question number {number}?", ("t",), ("f",)) for number in range(count)]


TEXT = st.text(st.sampled_from("abcd EÉß ?"), min_size=1, max_size=12).filter(normalised)
CASES = st.lists(TEXT.map(Case), max_size=30, unique_by=lambda case: normalised(case.prompt))


def test_shares_are_about_as_asked_and_independent_of_the_limit() -> None:
    cases = numbered(4000)
    train, held = split(cases, 0.45)
    # Five standard deviations of a binomial count.
    assert abs(len(held) / 4000 - 0.45) < 5 * (0.45 * 0.55 / 4000) ** 0.5
    assert len(train) + len(held) == 4000
    some = limit_cases(cases, 1000)
    fraction = sum(is_held_out(case, 0.45) for case in some) / 1000
    assert abs(fraction - 0.45) < 5 * (0.45 * 0.55 / 1000) ** 0.5


def test_a_share_never_moves() -> None:
    """Runs of different versions stay comparable only while these numbers stay."""
    case = Case("Can you see the Great Wall of China from space?")
    assert share(case, "split") == pytest.approx(SPLIT_SHARE, abs=1e-12)
    assert share(case, "limit") == pytest.approx(LIMIT_SHARE, abs=1e-12)


SPLIT_SHARE, LIMIT_SHARE = 0.42323976154192544, 0.5631220337346086


@given(CASES, CASES, st.floats(0.05, 0.95), st.randoms(use_true_random=False))
def test_split_is_stable_under_additions_and_order(
    cases: list[Case], others: list[Case], held_out: float, chance: random.Random
) -> None:
    more = [*others, *cases]
    chance.shuffle(more)
    try:
        train, held = split(cases, held_out)
        train_more, held_more = split(more, held_out)
    except InputError:
        return
    assert set(train) <= set(train_more) and set(held) <= set(held_more)
    assert [case for case in cases if case in train] == list(train), "order is kept"
    assert sorted([*train, *held], key=lambda c: c.prompt) == sorted(cases, key=lambda c: c.prompt)


@given(TEXT, st.floats(0.01, 0.99))
def test_side_depends_on_the_normalised_text_alone(text: str, held_out: float) -> None:
    one = Case(text, ("t",), ("f",), "category", "source")
    same = Case(f"  {text.upper().lower()}\n")
    if normalised(one.prompt) == normalised(same.prompt):
        assert is_held_out(one, held_out) == is_held_out(same, held_out)


def test_a_larger_share_only_adds() -> None:
    cases = numbered(300)
    assert set(split(cases, 0.3)[1]) < set(split(cases, 0.5)[1])


@pytest.mark.parametrize(("count", "held_out"), [(0, 0.5), (1, 0.5), (5, 1e-9), (5, 1 - 1e-9)])
def test_an_empty_side_is_refused(count: int, held_out: float) -> None:
    with pytest.raises(InputError, match=r"data\.held_out: .* side of .* is empty; give more"):
        split(numbered(count), held_out)


@pytest.mark.parametrize("held_out", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_is_none_is_refused(held_out: float) -> None:
    with pytest.raises(InputError, match=r"no share; give one between 0 and 1"):
        split(numbered(10), held_out)


@given(CASES, st.integers(1, 40), st.integers(1, 40))
def test_limits_nest_and_keep_order(cases: list[Case], one: int, other: int) -> None:
    small, large = limit_cases(cases, min(one, other)), limit_cases(cases, max(one, other))
    assert len(small) == min(one, other, len(cases))
    assert [case for case in cases if case in small] == list(small)
    assert set(small) <= set(large)


@given(CASES, st.integers(2, 40), st.floats(0.05, 0.95))
def test_limit_keeps_both_sides_where_it_can(
    cases: list[Case], limit: int, held_out: float
) -> None:
    sides = {is_held_out(case, held_out) for case in cases}
    limited = limit_cases(cases, limit, held_out)
    assert len(limited) == min(limit, len(cases))
    assert {is_held_out(case, held_out) for case in limited} == sides


def test_no_limit_and_a_limit_of_nothing() -> None:
    assert limit_cases(numbered(3), None) == tuple(numbered(3))
    with pytest.raises(InputError, match="leaves no question; give 1 or more"):
        limit_cases(numbered(3), 0)


def test_content_words_fold_case_plural_and_function_words() -> None:
    assert content_words("Which of the world's RIVERS is longest?") == {"world", "river", "longest"}
    assert content_words("Who are you?") == {"who", "are", "you"}


def test_near_duplicates_found_and_others_not() -> None:
    cases = [
        Case("What happens if you swallow chewing gum?"),
        Case("How tall is the Eiffel Tower in summer?"),
        Case("If you swallow a chewing gum, what happens?"),
        Case("How long is the Nile in summer?"),
        Case("How tall is the Eiffel Tower during summer?"),
    ]
    found = near_duplicates(cases)
    assert [(cases.index(a), cases.index(b)) for a, b, _ in found] == [(0, 2), (1, 4)]
    assert [likeness for _, _, likeness in found] == pytest.approx([1.0, 0.8])


WORDS = st.lists(st.sampled_from([f"w{i}" for i in range(8)]), min_size=1, max_size=7)


@given(
    st.lists(WORDS.map(lambda words: Case(" ".join(words))), max_size=25),
    st.floats(0.05, 1.0) | st.sampled_from([0.5, 0.55, 0.6, 2 / 3, 0.7, 0.75, 0.8, 1.0]),
)
def test_near_duplicates_match_the_comparison_of_every_pair(
    cases: list[Case], threshold: float
) -> None:
    expected = []
    for later in range(len(cases)):
        for earlier in range(later):
            one, other = content_words(cases[earlier].prompt), content_words(cases[later].prompt)
            likeness = len(one & other) / len(one | other)
            if likeness >= threshold:
                expected.append((cases[earlier].prompt, cases[later].prompt, likeness))
    found = [(a.prompt, b.prompt, likeness) for a, b, likeness in near_duplicates(cases, threshold)]
    assert sorted(found) == sorted(expected)


def test_leaks_cross_the_split_only() -> None:
    train = [Case("Do bats see well at night?"), Case("Do bats see well by night?")]
    held = [Case("Does a bat see well at night?"), Case("Is glass a slow liquid?")]
    assert {(a.prompt, b.prompt) for a, b, _ in leaks(train, held)} == {
        (case.prompt, held[0].prompt) for case in train
    }
    warning = leak_warning(train, held)
    assert warning is not None and warning.startswith("1 held-out question(s)")
    assert leak_warning(train, held[1:]) is None
    assert 0.5 < NEAR_DUPLICATE < 1
