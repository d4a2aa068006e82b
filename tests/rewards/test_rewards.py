"""What a reward may give, and what is refused."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from truing.models.features import CachedEmbedder, Features
from truing.policies.trajectories import reward_tensor
from truing.rewards.mixture import build_reward, needs_model
from truing.rewards.program import REWARDS, program
from truing.rewards.reward import Answered, scored
from truing.spec.reward import RewardSpec
from truing.types import Case, InputError, Unscored

ANSWERS = [Answered(Case(f"Question {n}?"), f"Answer {n}.") for n in range(4)]


def _giving(given: Any) -> Any:
    def reward(answers: Sequence[Answered]) -> Any:
        return given

    return reward


def test_none_and_nan_are_unscored_and_never_0() -> None:
    found = scored(_giving([1, None, float("nan"), Unscored("empty answer")]), ANSWERS)
    assert found == [
        1.0,
        Unscored("the reward gave None"),
        Unscored("the reward gave NaN"),
        Unscored("empty answer"),
    ]
    tensor = reward_tensor(found)
    assert tensor[0] == 1 and tensor[1:].isnan().all()


@pytest.mark.parametrize(
    "given",
    [
        [0.5, 1.0, -2.0, 3.0],
        (0.5, 1.0, -2.0, 3.0),
        np.array([0.5, 1.0, -2.0, 3.0], dtype=np.float32),
        torch.tensor([0.5, 1.0, -2.0, 3.0]),
        iter([np.float64(0.5), True, torch.tensor(-2), 3]),
    ],
)
def test_numbers_of_any_kind(given: Any) -> None:
    found = scored(_giving(given), ANSWERS)
    assert found == [0.5, 1.0, -2.0, 3.0] and all(type(score) is float for score in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, 2.0], "reward gave 2 scores for 4 answers"),
        (torch.zeros(5), "5 scores for 4 answers"),
        (torch.zeros(4, 2), "a Tensor for answer 0"),
        ([1.0, "2", 3.0, 4.0], "a str for answer 1"),
        ([1.0, 2.0, [3.0], 4.0], "a list for answer 2"),
        ([1.0, 2.0, 3.0, float("inf")], "inf for answer 3; scores must be finite"),
        (1.0, "TypeError"),
        (None, "TypeError"),
    ],
)
def test_wrong_shapes_and_kinds_are_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scored(_giving(given), ANSWERS)


def test_a_reward_that_raises_is_named() -> None:
    def broken(answers: Sequence[Answered]) -> list[float]:
        return [len(answer.text) for answer in answers]  # type: ignore[attr-defined]

    with pytest.raises(
        InputError, match=r"reward: broken failed on 4 answers \(AttributeError"
    ) as e:
        scored(broken, ANSWERS)  # type: ignore[arg-type]
    assert isinstance(e.value.__cause__, AttributeError)


# --- Programs and mixtures --------------------------------------------------------------------


def _scores(name: str, answers: list[str], **options: Any) -> list[Any]:
    given = [Answered(Case("Q?"), answer) for answer in answers]
    return scored(program(name, options, "here"), given)


def test_the_built_in_programs() -> None:
    assert _scores("length", ["a b", "", "a b c d e f", "a"], target=2) == [0.0, -1.0, -2.0, -0.5]
    nothing = Unscored("the answer has no word")
    found = _scores("words", ["The SEA, the sky", "no", "?!", ""], words=["Sea", "sky"])
    assert found == [0.5, 0.0, nothing, nothing]
    assert _scores("matches", ["in 1999.", "in May."], pattern=r"\b\d{4}\b") == [1.0, 0.0]
    assert _scores("contains", ["I  Don't know", "Yes"], text="i don't know") == [1.0, 0.0]
    assert _scores("lacks", ["I  Don't know", "Yes"], text="i don't know") == [0.0, 1.0]
    assert _scores("ends_properly", ["Yes.", 'He said "no."', "Yes", ""]) == [1.0, 1.0, 0.0, 0.0]
    row = [
        Answered(Case("Q?", columns={"say": say}), "in May.") for say in ("M.y", "June", None, "(")
    ]
    scores = scored(program("matches", {"column": "say"}, "here", ["say"]), row)
    assert scores[:3] == [1.0, 0.0, Unscored("the case has no 'say'")]
    assert isinstance(scores[3], Unscored) and "not a regular expression" in scores[3].reason
    cut_off = Answered(Case("Q?"), "Yes.", finished=False)
    assert scored(program("ends_properly", {}, "here"), [cut_off]) == [0.0]
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    for name in REWARDS:  # each is measured above, or in a file beside
        assert f'"{name}"' in tests


def test_a_pattern_that_never_returns_is_ended_and_others_go_on() -> None:
    endless = "a" * 60 + "!"
    late, quick = _scores("matches", [endless, "aaa"], pattern="(a|aa)+$")
    assert late == Unscored("the pattern takes more than 1 s of processor time on this answer")
    assert quick == 1.0


def test_a_mixture_adds_up_and_keeps_what_is_unscored() -> None:
    spec = RewardSpec.model_validate(
        {"parts": [{"name": "reward_model", "weight": 2}, {"name": "words", "words": ["sea"]}]}
    )
    model = _giving([1.0, float("nan"), 3.0, Unscored("empty answer")])
    answers = [Answered(Case("Q?"), text) for text in ("sea sky", "sea", "", "sky")]
    assert build_reward(spec, lambda: model)(answers) == [
        2.5,
        Unscored("truth_probe: the reward gave NaN"),
        Unscored("words: the answer has no word"),
        Unscored("truth_probe: empty answer"),
    ]
    assert build_reward(RewardSpec(), lambda: model) is model
    assert needs_model(spec) and needs_model(RewardSpec())
    with pytest.raises(InputError, match="gave 4 scores for 3 answers"):
        build_reward(spec, lambda: model)(answers[:3])


def test_a_users_function_may_define_classes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Longest:\n    words: int\n"
        "    def __call__(self, prompt: str, answer: str) -> float | None:\n"
        "        return float(len(answer.split()) <= self.words) if answer else None\n"
        "short = Longest(2)\n"
    )
    reward = program(f"{file}:short", {}, "here")
    answers = [Answered(Case("Q?"), text) for text in ("a b", "a b c", "")]
    assert scored(reward, answers) == [1.0, 0.0, Unscored("the reward gave None")]
    with pytest.raises(InputError, match=r"here\.words: a function of your own has no such option"):
        program(f"{file}:short", {"words": 3}, "here")
    with pytest.raises(InputError, match=r"here\.seconds: 0 is no time"):
        program(f"{file}:short", {"seconds": 0}, "here")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm on this system")
@pytest.mark.parametrize("function", ["one", "by_name", "many", "stubborn"])
def test_a_users_function_that_never_returns_is_ended(function: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def one(prompt, answer):\n    while True:\n        pass\n"
        "def by_name(*, answer):\n    while True:\n        pass\n"
        "def many(prompts, completions):\n    while True:\n        pass\n"
        "def stubborn(prompt, answer):\n    while True:\n        try:\n            [].pop()\n"
        "        except Exception:\n            pass\n"
    )
    reward = program(f"{file}:{function}", {"seconds": 0.01}, "here")
    before, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
    with pytest.raises(InputError, match=rf"{function}: took more than 0.01 s for an answer"):
        scored(reward, ANSWERS)
    assert signal.getsignal(signal.SIGALRM) == before
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (left > 0)


def test_a_cached_embedder_reads_the_same_answers_once_in_a_row() -> None:
    asked: list[list[tuple[str, str]]] = []

    def embed(pairs: Sequence[tuple[str, str]]) -> Features:
        asked.append(list(pairs))
        return np.array([[len(question), len(answer)] for question, answer in pairs])

    embedder = CachedEmbedder(embed)
    one, two = [("How?", "So.")], [("How?", "Not so.")]
    for pairs in (one, list(one), two, one):
        assert embedder(pairs).tolist() == [[len(q), len(a)] for q, a in pairs]
    assert asked == [one, two, one]
