"""The best of n as an evaluation: rows of every draw, and figures that are those of the draws."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from questions import CASES
from tiny import tiny
from truing.candidates import Candidate
from truing.evaluate.best_of_n import BEST_OF_N, drawn_cases
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.models.sampling import Sampling, sample
from truing.prompts.rendering import Prompt
from truing.rewards.best_of_n import BestOfN
from truing.rewards.reward import Answered
from truing.statistics.best_of_n import best_of_n
from truing.types import Row, Score, Unscored

DRAWS, TOKENS = 6, 8


def vowels(answers: Sequence[Answered]) -> list[Score]:
    return [
        float(sum(each.answer.count(v) for v in "aeiou")) if each.answer else Unscored("empty")
        for each in answers
    ]


def short(answered: Answered) -> Score:
    return float(len(answered.answer) < 6)


def candidate(best: BestOfN | None = None) -> Candidate:
    model = tiny("llama")
    return Candidate("base", 3, model, Prompt("Answer."), best)


def context(**over: object) -> EvalContext:
    given = {
        "held_out": CASES, "max_new_tokens": TOKENS, "draws": DRAWS, "draw_cases": 3,
        "reward": lambda: vowels, "graders": lambda: {"short": short},
    }  # fmt: skip
    return EvalContext(**{**given, **over})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return BEST_OF_N.measure(context(), LocalRespondent(candidate()))


def test_rows_have_reward_and_grade_of_every_draw(rows: list[Row]) -> None:
    asked = drawn_cases(context())
    assert [row.case for row in rows] == [case.id for case in asked] and len(asked) == 3
    own = candidate()
    prompts = [own.renderer.case_tokens(own.prompt, case) for case in asked]
    sampling = Sampling(TOKENS, 1.0, own.seed, own.renderer.stop)
    for row, case, drawn in zip(
        rows, asked, sample(own.model, prompts, DRAWS, sampling).completions, strict=True
    ):
        answered = [Answered.of(case, each) for each in drawn]
        rewards, grades = vowels(answered), [short(each) for each in answered]
        assert row.detail["rewards"] == [None if isinstance(r, Unscored) else r for r in rewards]
        assert row.detail["values"]["short"] == grades
        assert row.metrics["reward"] == max(r for r in rewards if isinstance(r, float))
        assert row.metrics["short"] == best_of_n(rewards, grades, DRAWS)
        mean = sum(g for g in grades if isinstance(g, float)) / DRAWS
        gain = row.metrics["short_gain"]
        assert isinstance(gain, float) and isinstance(row.metrics["short"], float)
        assert gain == pytest.approx(row.metrics["short"] - mean, abs=1e-12)
        chosen = next(a.answer for a in answered if vowels([a]) == [row.metrics["reward"]])
        assert row.detail["answer"] == chosen


def test_which_cases_are_asked_depends_on_their_texts_alone() -> None:
    few = {case.id for case in drawn_cases(context())}
    assert few == {case.id for case in drawn_cases(context(held_out=CASES[::-1]))}
    assert few < {case.id for case in drawn_cases(context(draw_cases=4))}
    assert drawn_cases(context(draw_cases=1000)) == list(CASES)


def test_where_nothing_can_be_drawn_the_reason_is_given() -> None:
    own = LocalRespondent(candidate())
    assert BEST_OF_N.measure(context(reward=lambda: None), own) == []
    no_reward = Unscored("learned from no reward")
    for row in BEST_OF_N.measure(context(reward=lambda: no_reward), own):
        assert row.metrics == {"reward": no_reward, "reward_gain": no_reward}
    chooser = LocalRespondent(candidate(BestOfN(2, 1.0, vowels)))
    (reason,) = {str(row.metrics["reward"]) for row in BEST_OF_N.measure(context(), chooser)}
    assert "best of several already" in reason


def test_a_prompt_without_room_is_unscored_and_others_are_drawn() -> None:
    own = candidate()
    free = own.model.context_length - len(own.renderer.case_tokens(own.prompt, CASES[0]))
    long = CASES[0].asking(CASES[0].prompt + "y" * (free - TOKENS + 1))  # a token a letter
    shown = context(held_out=(long, CASES[1]), draw_cases=2)
    first, second = BEST_OF_N.measure(shown, LocalRespondent(own))
    assert isinstance(reason := first.metrics["reward"], Unscored) and "too long" in reason.reason
    assert first.detail["rewards"] == [] and len(second.detail["rewards"]) == DRAWS
