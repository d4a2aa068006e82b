"""A reward model that is fitted in the run, to the run's own pairs of answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tiny import saved
from truing.candidates import load_candidate
from truing.methods import chosen
from truing.methods.graders import Graders
from truing.methods.reward import fit_reward
from truing.methods.setup import Setup, make_setup, opened, with_preferences
from truing.progress import SilentProgress
from truing.rewards.learned.of_pairs import fit_pair_reward, pairs_of
from truing.rewards.learned.saved import FILE, LearnedReward
from truing.rewards.mixture import PROBE_FOLDER
from truing.rewards.reward import Answered
from truing.rewards.truth_probe import PROBE_FILE
from truing.runs.run import Run
from truing.spec.reading import make_spec
from truing.tasks.texts import read_texts
from truing.types import Case, InputError

FROM_PAIRS = {"parts": [{"name": "reward_model", "from": "pairs"}]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


def setup_of(model: Path, **over: Any) -> Setup:
    spec = {
        "model": str(model), "dtype": "float32", "methods": ["best_of_n", "rl"],
        "data": {"limit": 20, "control_limit": 1}, "best_of_n": {"n": 2}, "reward": FROM_PAIRS,
        "rl": {
            "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2, "max_new_tokens": 4,
            "adapter": {"rank": 2},
        },
    }  # fmt: skip
    return make_setup(make_spec(spec | over), SilentProgress(), read=with_preferences(read_texts))


def fitted(setup: Setup, folder: Path, *, followed: bool = False) -> Run:
    """A run with its reward, and with all that follows it."""
    run = Run(folder, SilentProgress(), kind="train rl")
    with opened(run, setup, profile="default", command="test"):
        fit_reward(run, setup, "rl")
        for each in chosen(setup.spec) if followed else ():
            each.make(run, setup, Graders(setup, folder), 0)
    return run


def test_it_orders_the_answers_of_questions_that_differ_in_a_word(
    model: Path, data: dict[str, str]
) -> None:
    cases = [
        Case(f"is {name} far from here?", (f"yes, {name} is.",), (f"no, {name} is not.",))
        for name in ("rome", "oslo", "bonn", "lima", "cork", "nice", "graz", "bern", "pisa", "kiel")
    ]
    renderer = setup_of(model, data=data).renderer
    reward = fit_pair_reward(renderer, "tiny", "ab12", pairs_of(cases), "cases", 0)
    assert (reward.answers, reward.pairs, reward.accuracy.n) == (20, 10, 10)
    assert reward.accuracy.value == 1  # out of fold
    new = Case("is riga far from here?")
    answers = [Answered(new, text) for text in ("yes, riga is.", "no, riga is not.")]
    better, worse = LearnedReward(reward.model, renderer)(answers)
    assert float(better) > float(worse)  # type: ignore[arg-type]


def test_a_run_fits_it_beside_the_probe_and_candidates_take_both_with_them(
    model: Path, data: dict[str, str], tmp_path: Path
) -> None:
    parts = [*FROM_PAIRS["parts"], {"name": "truth_probe"}]
    setup = setup_of(model, data=data, methods=["best_of_n"], reward={"truth": 0, "parts": parts})
    run = fitted(setup, tmp_path / "run", followed=True)
    fit, cases = run.record()["pair_reward"], setup.rl_train
    assert fit["pairs"] == 4 * len(cases) and fit["accuracy"]["n"] == len(cases)
    assert run.costs()["rl"]["labels"] == 4 * len(cases)  # the probe's are the same answers
    folder = run.folder / PROBE_FOLDER
    assert {file.name for file in folder.iterdir()} == {FILE, PROBE_FILE}
    answered = Answered(setup.held_out[0], "an answer.")
    [score] = Graders(setup, run.folder).reward([answered])
    shutil.move(run.folder / "candidates" / "best_of_n", tmp_path / "moved")
    shutil.rmtree(run.folder)
    best = load_candidate(tmp_path / "moved", "best_of_n", 0, "float32").best_of_n
    assert best is not None and best.reward([answered]) == [score]


def test_it_learns_from_the_pairs_of_people(
    model: Path, data: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"say {n}", "chosen": f"{n}!", "rejected": f"not {n}"} for n in range(30)]
    file.write_text("\n".join(map(json.dumps, rows)))
    setup = setup_of(model, methods=["rl"], data={**data, "preferences": str(file)})
    people = setup.texts.preferences
    assert people is not None
    run = fitted(setup, tmp_path / "run")
    assert run.record()["pair_reward"]["pairs"] == len(people.train) < 30
    assert run.costs()["rl"]["labels"] == len(people.train)


@pytest.mark.parametrize("method", ["rl", "best_of_n"])
def test_a_task_without_pairs_has_none(model: Path, method: str) -> None:
    with pytest.raises(
        InputError, match=r"from pairs: .* has no training question with a true and"
    ):
        setup_of(model, methods=[method], task="format", data={"limit": 20})
