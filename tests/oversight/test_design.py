"""Balance of a study: exact, whatever the seed, and nobody meets a passage twice."""

from collections import Counter
from dataclasses import replace

import pytest

from parties import mills
from truing.oversight.design import cells
from truing.types import InputError

ARMS = ("unaided", "passage", "consultancy", "debate")


@pytest.mark.parametrize(("people", "rounds"), [(8, 4), (8, 8), (4, 3), (2, 2)])
@pytest.mark.parametrize("seed", [0, 7])
def test_sides_places_and_orders_are_balanced_exactly(people: int, rounds: int, seed: int) -> None:
    drawn = cells(mills(32).items, ARMS, people, rounds, seed)
    for arm in ARMS:
        kinds = Counter((c.answer_place, c.right_first) for c in drawn if c.arm == arm)
        assert len(kinds) == 4
        assert set(kinds.values()) == {people * rounds // 4}
    for person in range(people):
        own = [c for c in drawn if c.person == person]
        assert [c.place for c in own] == list(range(len(own)))
        assert len({c.item.passage_id for c in own}) == len(own)
        assert Counter(c.arm for c in own) == dict.fromkeys(ARMS, rounds)


def test_arms_rotate_within_a_person_and_each_item_is_seen_in_every_arm() -> None:
    drawn = cells(mills(16).items, ARMS, 4, 4, 1)
    orders = {tuple(c.arm for c in drawn if c.person == 0)[4 * r : 4 * r + 4] for r in range(4)}
    assert len(orders) == 4
    by_item = Counter((c.item.id, c.arm) for c in drawn)
    assert set(by_item.values()) == {1}
    assert len(by_item) == 64


def test_items_of_one_passage_take_turns() -> None:
    items = mills(16).items
    twins = (*items, *(replace(item, question=f"{item.question} Say.") for item in items))
    drawn = cells(twins, ARMS, 8, 4, 0)
    for person in range(8):
        passages = [c.item.passage_id for c in drawn if c.person == person]
        assert len(set(passages)) == len(passages)
    assert len({c.item.id for c in drawn}) == 32


def test_a_seed_draws_and_another_draws_otherwise() -> None:
    first, again, other = (cells(mills(16).items, ARMS, 4, 4, seed) for seed in (3, 3, 4))
    assert first == again != other


@pytest.mark.parametrize(
    ("people", "rounds", "words"),
    [(3, 3, "multiple of 4"), (4, 5, "16 passages"), (0, 4, "at least 1")],
)
def test_what_cannot_be_balanced_is_refused(people: int, rounds: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        cells(mills(16).items, ARMS, people, rounds, 0)
