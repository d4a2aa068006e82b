"""Held-out pairs by hand: whose chosen answer is likelier, whose answer a reward likes better than the
base's, and what length alone would tell."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tiny import tiny
from truing.candidates import Candidate
from truing.data.preference_file import Preference, PreferenceFile
from truing.data.preferred_cases import cases_of_preferences
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.preferences import PREFERENCES, controlled
from truing.evaluate.wins import LONGER_BY
from truing.prompts.rendering import Prompt
from truing.rewards.reward import Answered
from truing.types import Case, Completion, InputError, Score, Unscored

ASKED, TALK = (("user", "why?"),), (("user", "hi"), ("assistant", "yes?"), ("user", "go on"))
PAIRS = (
    Preference(ASKED, "one", "seven"),
    Preference(ASKED, "seven", "ten eleven"),
    Preference(ASKED, "one", "ten eleven"),
    Preference(TALK, "so long", "short"),
)


def vowels(answers: Sequence[Answered]) -> list[Score]:
    return [float(sum(map(each.answer.count, "aeiou"))) for each in answers]


def context(pairs: Sequence[Preference] | None = PAIRS, **more: object) -> EvalContext:
    base = LocalRespondent(Candidate("base", 0, tiny(), Prompt()))
    return EvalContext(
        pairs=pairs, max_new_tokens=12, base=lambda: base, pair_judge=lambda: vowels, **more
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ours() -> LocalRespondent:
    return LocalRespondent(Candidate("ours", 0, tiny(seed=1), Prompt()))


def likelihood(candidate: Candidate, turns: tuple[tuple[str, str], ...], answer: str) -> float:
    """log p of an answer, scored by itself."""
    case = Case("\n\n".join(t for _, t in turns), messages=turns if len(turns) > 1 else ())
    renderer = candidate.renderer
    request = renderer.scoring_request(renderer.case_tokens(Prompt(), case), [answer])
    return float(renderer.model.score([request])[0][0].total)


def test_rows_are_of_prompts_and_figures_as_by_hand(ours: LocalRespondent) -> None:
    asked = context()
    rows = PREFERENCES.measure(asked, ours)
    assert [row.detail["pairs"] for row in rows] == [3, 1]
    for row, turns in zip(rows, (ASKED, TALK), strict=True):
        own = [pair for pair in PAIRS if pair.messages == turns]
        better = [
            likelihood(ours.candidate, turns, p.chosen)
            > likelihood(ours.candidate, turns, p.rejected)
            for p in own
        ]
        assert row.metrics["accuracy"] == pytest.approx(sum(better) / len(own))
    assert rows[0].metrics["longer_chosen"] == 0.0 and rows[1].metrics["longer_chosen"] == 1.0
    cases = [Case("why?"), Case("hi\n\nyes?\n\ngo on", messages=TALK)]
    assert [row.case for row in rows] == [case.id for case in cases]
    sides = [each.answer(cases, 12) for each in (ours, asked.base())]  # type: ignore[union-attr]
    for row, mine, its in zip(rows, *sides, strict=True):
        assert isinstance(mine, Completion) and isinstance(its, Completion)
        one, other = (sum(map(a.text.strip().count, "aeiou")) for a in (mine, its))
        assert row.metrics["wins"] == (1 + (one > other) - (one < other)) / 2
        assert row.detail[LONGER_BY] == len(mine.text.strip()) - len(its.text.strip())
    assert controlled(rows, 0)["wins_length_controlled"].n == 2


def test_the_base_wins_half_and_cases_stand_as_they_are_held_out() -> None:
    held_out = (Case("hi\n\nyes?\n\ngo on", messages=TALK), Case("why?"))
    asked = context(held_out=held_out)
    rows = PREFERENCES.measure(asked, asked.base())  # type: ignore[arg-type]
    assert [row.case for row in rows] == [case.id for case in held_out]
    assert {row.metrics["wins"] for row in rows} == {0.5}


def test_what_is_missing_is_said(ours: LocalRespondent) -> None:
    with pytest.raises(InputError, match=r"preferences: compares answers .* data\.preferences"):
        PREFERENCES.measure(context(None), ours)
    lone = EvalContext(pairs=PAIRS, max_new_tokens=4)
    [first, _] = PREFERENCES.measure(lone, ours)
    assert isinstance(first.metrics["wins"], Unscored)
    assert not isinstance(first.metrics["accuracy"], Unscored)


def test_pairs_are_cases_of_their_prompts() -> None:
    [why, talk] = cases_of_preferences(PreferenceFile(PAIRS, {}, "pairs.jsonl")).cases
    assert why.prompt == "why?" and why.messages == () and talk.messages == TALK
    assert why.correct_answers == ("one", "seven") and why.incorrect_answers == ("ten eleven",)
