"""Best-of-n: the answer that is given, by hand; what can't be measured of it; that it can be moved."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tiny import saved, tiny
from truing.candidates import Candidate, load_candidate, open_candidate
from truing.cli.main import app
from truing.evaluate.answers import answers_and_tokens, free_answers
from truing.files import read_jsonl
from truing.methods.setup import make_setup
from truing.models.decoding import BatchedGenerator, Request
from truing.models.sampling import Sampling, sample
from truing.progress import SilentProgress
from truing.prompts.rendering import Prompt, Renderer
from truing.recipes.align import align
from truing.rewards.best_of_n import NO_LIKELIHOODS, BestOfN
from truing.rewards.reward import Answered
from truing.rewards.truth_probe import Embedder, load_truth_probe
from truing.spec.reading import make_spec
from truing.spec.reward import RewardSpec
from truing.spec.run import Spec
from truing.statistics.best_of_n import kl_bound
from truing.types import Case, Completion, InputError, Score, Unscored

CASES = [Case(text) for text in ("is the moon far?", "what do bats eat?", "who was first?")]
N, TOKENS = 5, 8


def vowels(answers: Sequence[Answered]) -> list[Score]:
    return [float(sum(a.answer.count(v) for v in "aeiou")) for a in answers]


def spec(model: Path, **over: Any) -> Spec:
    data = {
        "model": str(model), "dtype": "float32", "methods": ["best_of_n"],
        "data": {"limit": 20, "control_limit": 3}, "best_of_n": {"n": N},
        "evaluation": {
            "max_new_tokens": TOKENS, "attacks": 2, "rules": 4, "kl_questions": 3, "resamples": 100,
            "dtype": "float32", "draws": N,
        },
    }  # fmt: skip
    return make_spec(data | over)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    align(spec(model), folder, progress=SilentProgress())
    return folder


def drawn(candidate: Candidate) -> list[list[Completion]]:
    renderer = candidate.renderer
    prompts = [renderer.tokens(candidate.prompt, case.prompt) for case in CASES]
    sampling = Sampling(TOKENS, 1.0, candidate.seed, renderer.stop)
    return sample(candidate.model, prompts, N, sampling).completions


# --- Choosing ---------------------------------------------------------------------------------


def test_the_answer_is_the_one_with_the_highest_reward() -> None:
    language_model = tiny(chat=True)
    candidate = Candidate("x", 3, language_model, Prompt("be kind."), BestOfN(N, 1.0, vowels))
    every = drawn(candidate)
    by_hand = []
    for completions in every:
        counts = [sum(c.text.strip().count(v) for v in "aeiou") for c in completions]
        by_hand.append(completions[counts.index(max(counts))])
    answers, tokens = answers_and_tokens(candidate, CASES, TOKENS)
    assert answers == by_hand and answers != [completions[0] for completions in every]
    assert tokens == sum(len(c.tokens) for completions in every for c in completions)
    # What it chooses from is what is drawn at a temperature.
    first = free_answers(candidate, CASES, TOKENS, temperature=1.0)
    assert first == [completions[0] for completions in every]


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ([1.0, 2.0, 2.0], 1),
        ([Unscored("?"), -9.0, Unscored("?")], 1),
        ([Unscored("?"), Unscored("?"), Unscored("?")], 0),
    ],
)
def test_ties_go_to_the_first_and_the_unscored_stand_behind(
    scores: list[Score], chosen: int
) -> None:
    completions = [Completion(text, (1,), (0.0,), True) for text in "abc"]
    chooser = BestOfN(3, 1.0, lambda answers: list(scores))
    assert chooser.best([Case("q")], [completions]) == [completions[chosen]]


def test_the_bound_is_that_of_independent_draws_of_distinct_reward() -> None:
    """Over m equally likely answers with distinct rewards, the exact KL approaches the bound from below."""
    assert kl_bound(1) == 0
    for n in (2, 4, 16):
        exact = []
        for m in (10, 1000):
            chosen = [(k / m) ** n - ((k - 1) / m) ** n for k in range(1, m + 1)]
            exact.append(sum(p * math.log(p * m) for p in chosen if p > 0))
        assert exact[0] < exact[1] < kl_bound(n)
        assert exact[1] == pytest.approx(kl_bound(n), abs=0.02)


# --- In a run ---------------------------------------------------------------------------------


def test_a_run_gives_the_answers_that_its_reward_model_likes_best(run: Path) -> None:
    folder = run / "candidates" / "best_of_n"
    candidate = load_candidate(folder, "best_of_n", 0, "float32")
    embed = Embedder(Renderer(candidate.model), candidate.prompt)
    reward = load_truth_probe(run / "reward_model", embed, RewardSpec())
    wanted = []
    for case, completions in zip(CASES, drawn(candidate), strict=True):
        scores = reward([Answered.of(case, each) for each in completions])
        known = [-math.inf if isinstance(s, Unscored) else s for s in scores]
        wanted.append(completions[known.index(max(known))].text)
    assert [a.text for a in free_answers(candidate, CASES, TOKENS)] == wanted


def test_what_it_has_no_likelihoods_for_is_unscored(run: Path) -> None:
    for evaluation in ("truthfulness", "trivia"):
        for row in read_jsonl(run / "rows" / evaluation / "best_of_n-seed0.jsonl"):
            for metric in ("mc1", "mc2"):
                assert row["metrics"][metric] == {"unscored": NO_LIKELIHOODS}
    drift = read_jsonl(run / "rows" / "drift" / "best_of_n-seed0.jsonl")
    reasons = [row["metrics"]["kl"]["unscored"] for row in drift if "kl" in row["metrics"]]
    assert len(reasons) == 3 and all(f"{kl_bound(N):.2f} nats" in reason for reason in reasons)


def test_it_is_rewarded_more_than_the_base_and_costs_more(run: Path) -> None:
    def rewards(name: str) -> dict[str, float]:
        rows = read_jsonl(run / "rows" / "hacking" / f"{name}-seed0.jsonl")
        return {
            r["case"]: r["metrics"]["reward"]
            for r in rows
            if isinstance(r["metrics"]["reward"], float)
        }

    ours, base = rewards("best_of_n"), rewards("base")
    both = ours.keys() & base.keys()
    assert sum(ours[case] for case in both) > sum(base[case] for case in both)
    costs = {
        name: json.loads((run / "stages" / f"evaluate-{name}-seed0.json").read_text())["cost"]
        for name in ("base", "best_of_n")
    }
    assert costs["best_of_n"]["tokens_sampled"] > 2 * costs["base"]["tokens_sampled"]
    assert json.loads((run / "run.json").read_text())["costs"]["best_of_n"]["labels"] > 0
    card = (run / "candidates" / "best_of_n" / "README.md").read_text()
    assert f"of {N} answers drawn" in card and f"Kl bound: {kl_bound(N):.3f} nats" in card
    assert f"Cost of an answer: {N} times the tokens" in card
    assert "best_of_n" in (run / "report.html").read_text()


def test_its_folder_can_be_moved(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(run / "candidates" / "best_of_n", moved)
    there, here = (
        load_candidate(folder, "best_of_n", 0, "float32")
        for folder in (moved, run / "candidates" / "best_of_n")
    )
    assert free_answers(there, CASES, TOKENS) == free_answers(here, CASES, TOKENS)


def test_chat_gives_the_best_answer_and_the_rest_refuses(run: Path) -> None:
    folder = run / "candidates" / "best_of_n"
    candidate, _ = open_candidate(str(folder), 0, "bfloat16", choosing=True)
    assert candidate.best_of_n
    renderer, case = candidate.renderer, CASES[0]
    generator = BatchedGenerator(candidate.model, renderer.shared_prefix(candidate.prompt))
    prompt, stop = tuple(renderer.tokens(candidate.prompt, case.prompt)), (renderer.stop,)
    for temperature, at in (("0", 1.0), ("0.5", 0.5)):
        texts = []
        for sample_ in range(N):
            asked = Request(prompt, TOKENS, at, sample=sample_, stop=stop)
            texts.append(generator.write(asked).text.strip())
        scores = candidate.best_of_n.reward([Answered(case, text) for text in texts])
        known = [-math.inf if isinstance(s, Unscored) else s for s in scores]
        line = ["chat", str(folder), "--max-new-tokens", str(TOKENS), "--temperature", temperature]
        done = CliRunner().invoke(app, line, input=case.prompt + "\n", prog_name="truing")
        assert done.exit_code == 0
        assert done.stdout.rstrip("\n") == texts[known.index(max(known))]
    with pytest.raises(InputError, match="answers by best-of-n"):
        open_candidate(str(folder), 0, "float32")


def test_eval_measures_the_answers_that_the_reward_picks(run: Path, tmp_path: Path) -> None:
    folder = str(run / "candidates" / "best_of_n")
    line = ["eval", "attacks", "trivia", "--candidate", folder, "--limit", "4"]
    line += ["--out", str(tmp_path / "measured"), "--json"]
    done = CliRunner().invoke(app, line, prog_name="truing")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)["candidates"][folder]
    assert figures["attacks"]["own"]["success"]["n"] > 0
    assert figures["trivia"]["own"]["mc1"] == {
        "value": None, "low": None, "high": None, "n": 0, "unscored": 4
    }  # fmt: skip


def test_its_curve_ends_where_the_candidate_is(run: Path, tmp_path: Path) -> None:
    """Measured afterwards: of base's draws the best of all is what the candidate gives."""
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    line = ["eval", "best_of_n", "--run", str(copied), "--json"]
    done = CliRunner().invoke(app, line, prog_name="truing")
    assert done.exit_code == 0, done.output
    curves = json.loads(done.stdout)["best_of_n"]
    assert curves.keys() == {"base"} and [*curves["base"]["reward"]] == list("12345")
    rows = {
        name: {row["case"]: row for row in read_jsonl(copied / f"rows/{path}-seed0.jsonl")}
        for name, path in (("drawn", "best_of_n/base"), ("chosen", "truthfulness/best_of_n"))
    }
    pairs = [
        (rows["drawn"][case]["detail"], rows["chosen"][case]["detail"]) for case in rows["drawn"]
    ]
    assert pairs and all(one["answer"] == other["answer"] for one, other in pairs)
    figure = (copied / "report.html").read_text()
    assert "Best of n: reward and judges" in figure and 'class="band' in figure


# --- Programs as rewards ----------------------------------------------------------------------


def of_program(model: Path, text: str) -> Spec:
    Path("mine.py").write_text(text)
    return spec(model, reward={"parts": [{"name": "mine.py:score"}]})


def test_a_program_chooses_and_is_refused_once_it_has_changed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = of_program(model, "def score(prompt, answer):\n    return answer.count('a')\n")
    align(mine, tmp_path / "run", progress=SilentProgress())
    folder = tmp_path / "run" / "candidates" / "best_of_n"
    assert not (folder / "reward_model").exists()
    capsys.readouterr()
    candidate = load_candidate(folder, "best_of_n", 0, "float32")
    assert "chosen by the program mine.py:score" in capsys.readouterr().err
    answers = free_answers(candidate, CASES, TOKENS)
    for answer, completions in zip(answers, drawn(candidate), strict=True):
        assert answer.text.count("a") == max(c.text.count("a") for c in completions)
    Path("mine.py").write_text("def score(prompt, answer):\n    return 0\n")
    with pytest.raises(InputError, match=r"has changed since \(mine.py:score\)"):
        load_candidate(folder, "best_of_n", 0, "float32")


def test_a_program_called_as_a_judge_behind_an_endpoint_is_no_such_judge(model: Path) -> None:
    served = {"endpoint": "endpoint:http://127.0.0.1:9/v1#m", "rubric": "helpful"}
    for name, problem in (("length", ""), ("judge:length", "judge:length is behind an endpoint")):
        part = {"name": name, **({"target": 2} if name == "length" else {})}
        wanted = spec(model, task={"judges": {"length": served}}, reward={"parts": [part]})
        with pytest.raises(InputError, match=problem) if problem else nullcontext():
            make_setup(wanted, SilentProgress())


@pytest.mark.parametrize("name", ["exact", "number"])
def test_a_reward_that_holds_answers_against_references_is_refused(
    name: str, model: Path, tmp_path: Path
) -> None:
    wanted = spec(model, reward={"parts": [{"name": "length", "target": 2}, {"name": name}]})
    reason = f"best_of_n: answers are chosen by it, but {name} asks for references, and only answer"
    with pytest.raises(InputError, match=reason):
        align(wanted, tmp_path / "run", progress=SilentProgress())
    assert not (tmp_path / "run").exists()


def test_a_reward_that_cannot_score_without_references_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blind = of_program(model, "def score(prompt, answer):\n    return None\n")
    with pytest.raises(InputError, match="best_of_n: answers are chosen by it, but the reward"):
        align(blind, tmp_path / "run", progress=SilentProgress())
    assert not (tmp_path / "run").exists()
