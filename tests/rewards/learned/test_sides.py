"""Sides: by how a conversation begins, by who asked, by who judged; and what of it is looked for."""

from __future__ import annotations

import pytest

from truing.rewards.learned.judgements import Judgement, Judgements
from truing.rewards.learned.sides import (
    PROMPTS,
    PROMPTS_AND_PEOPLE,
    looked_through,
    split_judgements,
)
from truing.types import Case, InputError


def _judged(opening: str, annotator: str = "", user: str = "", more: str = "") -> Judgement:
    turns = [("user", opening)]
    turns += [("assistant", "yes"), ("user", more)] if more else []
    return Judgement(tuple(turns), ("x", "y"), (1, 2), annotator=annotator, user=user)


def _read(*judgements: Judgement) -> Judgements:
    return Judgements(judgements, {}, "file")


def test_conversations_that_begin_alike_are_on_one_side() -> None:
    every = [_judged(f"Prompt {n}?", more=more) for n in range(60) for more in ("", "and?", "why?")]
    sides = split_judgements(_read(*every), 0.3, 0.2)
    openings = [{each.opening for each in side} for side in (sides.train, sides.held_out)]
    assert not openings[0] & openings[1]
    assert len(sides.train) + len(sides.held_out) == 180 and 9 <= len(openings[1]) <= 27
    assert list(sides.measured) == [PROMPTS]  # nobody says who judged


def test_all_that_one_user_asked_is_on_one_side() -> None:
    every = [_judged(f"prompt {n}", user=f"user {n % 8}") for n in range(80)]
    sides = split_judgements(_read(*every), 0.3, 0)
    assert not {each.user for each in sides.train} & {each.user for each in sides.held_out}


def test_people_are_held_out_where_five_or_more_judged() -> None:
    every = [_judged(f"prompt {n}", annotator=f"p{k}") for n in range(40) for k in range(5)]
    sides = split_judgements(_read(*every), 0.3, 0.2)
    [stranger] = sides.strangers
    assert all(each.annotator != stranger for each in sides.train)
    assert {each.annotator for each in sides.measured[PROMPTS_AND_PEOPLE]} == {stranger}
    assert all(each.annotator != stranger for each in sides.measured[PROMPTS])
    assert sides.neither + len(sides.train) + len(sides.held_out) == 200 and sides.neither > 0
    few = [each for each in every if each.annotator != "p4"]
    assert not split_judgements(_read(*few), 0.3, 0.2).strangers


def test_one_prompt_cant_be_split() -> None:
    with pytest.raises(InputError, match="no judgement to hold out"):
        split_judgements(_read(_judged("a?"), _judged("A?")), 0.3, 0.2)


def test_evaluation_questions_are_looked_for() -> None:
    question = Case("what is the tallest mountain that anybody has ever climbed?")
    read = _read(_judged(f"Tell me: {question.prompt}"), _judged("something else"))
    kept, found = looked_through(read, [question], dropped=False)
    assert len(kept.judgements) == 2 and len(found.findings) == 1
    clean, _ = looked_through(read, [question], dropped=True)
    assert [each.messages[0][1] for each in clean.judgements] == ["something else"]
    assert clean.left_out == {"holds an evaluation question": 1}
    with pytest.raises(InputError, match="all 1 judgements hold"):
        looked_through(_read(read.judgements[0]), [question], dropped=True)
