"""Free answers in `truing eval`: against transformers' own generation, the store, judged rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig
from typer.testing import CliRunner, Result

from labelled import world, write_world
from tiny import END, VOCABULARY, plain, tiny, tokenizer
from truing.candidates import Candidate
from truing.cli.main import app
from truing.evaluate import variant_answers as free
from truing.evaluate.respondent import Longest
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_answers import FreeAnswers, variant_answers
from truing.judges import trees
from truing.judges.correction import Calibration
from truing.judges.graded import corrected, graded
from truing.judges.grading import Grade, JudgeAgreement
from truing.models import sampling as sampling_room
from truing.models.language_model import LanguageModel
from truing.models.memo.answers import Answer, AnswerStore, answer_key
from truing.models.memo.scores import ScoreStore
from truing.models.sampling import Sampling
from truing.prompts.rendering import Prompt
from truing.prompts.variants import prompt_variants
from truing.types import Case, InputError, Unscored

CASES, ANSWERS = world()
NEW = 12
[NONE] = prompt_variants(["none"])


def answered(
    store: AnswerStore,
    cases: Sequence[Case],
    most: Longest = NEW,
    advance: Callable[[int], object] = lambda done: None,
    *,
    model: LanguageModel | None = None,
    weights: str = "w",
) -> FreeAnswers:
    """The cases under the question alone."""
    scores = ScoreStore(Path(store._path).with_name("scores.sqlite"))
    variant = StoredVariant(NONE, "auto", weights, "float32", scores, store)
    candidate = Candidate("tiny", 0, model or tiny(), Prompt())
    return variant_answers(candidate, variant, cases, most, advance)


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers.sqlite")


def greedy(model: torch.nn.Module, prompt: list[int]) -> list[int]:
    """The likeliest token each time, the whole text run anew for each."""
    tokens = list(prompt)
    for _ in range(NEW):
        with torch.no_grad():
            scores = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
        tokens.append(int(scores.argmax()))
        if tokens[-1] == END:
            break
    return tokens[len(prompt) :]


@pytest.mark.parametrize("family", ["llama", "bloom"])  # one that shares prompts, one that can't
def test_every_answer_is_the_likeliest_token_each_time(store: AnswerStore, family: str) -> None:
    def build() -> torch.nn.Module:
        if family == "llama":
            return plain(family)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            settings = BloomConfig(
                vocab_size=len(VOCABULARY), hidden_size=32, n_layer=2, n_head=4,
                initializer_range=0.2, eos_token_id=END, bos_token_id=None,
            )  # fmt: skip
            return AutoModelForCausalLM.from_config(settings).eval()

    model = LanguageModel(build(), tokenizer())  # type: ignore[arg-type]
    assert model.unpacked == (family == "bloom")
    found = answered(store, CASES[:6], model=model)
    oracle, tokens = build(), tokenizer()
    for case, answer in zip(CASES, found.answers, strict=False):
        row = greedy(oracle, tokens.encode(f"Q: {case.prompt}\nA:"))
        text = tokens.decode(row, skip_special_tokens=True)
        assert isinstance(answer, Answer)
        assert answer.text == text.split("\n")[0].strip()
        assert answer.finished == (row[-1] == END or "\n" in text)


def test_an_interrupted_round_of_questions_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free, "ROWS", 8)
    whole = answered(AnswerStore(tmp_path / "a"), CASES)
    sample_part, rounds = sampling_room.sample_part, 0

    def dying(*part: Any, **settings: Any) -> object:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise KeyboardInterrupt
        return sample_part(*part, **settings)

    monkeypatch.setattr(sampling_room, "sample_part", dying)
    with pytest.raises(KeyboardInterrupt):
        answered(AnswerStore(tmp_path / "b"), CASES)
    done: list[int] = []
    store = AnswerStore(tmp_path / "b")
    again = answered(store, CASES, NEW, done.append)
    assert again.answers == whole.answers and done == [8, 16, 24, 30]
    assert again.computed == len(CASES) - 16
    assert answered(store, CASES).computed == 0
    assert answered(store, CASES[:3], weights="v").computed == 3
    assert answered(store, CASES[:3], 3).computed == 3


def test_answers_are_filed_under_what_they_depend_on() -> None:
    usual = Sampling(8, 0.0, 0, "\n")
    others = [Sampling(9, 0.0, 0, "\n"), Sampling(8, 0.5, 0, "\n"), Sampling(8, 0.0, 0, "")]
    keys = {answer_key("m", "float32", sampling, [1, 2]) for sampling in (usual, *others)}
    keys |= {answer_key("n", "float32", usual, [1, 2]), answer_key("m", "bfloat16", usual, [1, 2])}
    keys.add(answer_key("m", "float32", usual, [1, 3]))
    assert len(keys) == 7
    drawn_anew = Sampling(8, 0.0, 5, "\n")  # greedy answers have no seed
    assert answer_key("m", "float32", drawn_anew, [1, 2]) in keys


def test_what_leaves_no_room_for_an_answer_is_unscored(store: AnswerStore) -> None:
    long = Case("who " * 28 + "?", ("me",), ("you",))
    found = answered(store, [long, CASES[0]])
    assert isinstance(found.answers[0], Unscored) and "128" in found.answers[0].reason
    assert isinstance(found.answers[1], Answer)


@dataclass
class Scripted:
    """A grader that knows two words."""

    agreement: dict[str, JudgeAgreement]
    calibration: dict[str, Calibration]

    def grade(self, answers: list[tuple[Case, str]]) -> list[Grade]:
        assert all("comment" not in answer for _, answer in answers)
        return [
            Grade(0.9 if "yes" in a else 0.2, 0.5) if a else Grade(Unscored("empty"), 0.5)
            for _, a in answers
        ]


def test_no_comment_is_true_and_not_informative_whatever_judges_say() -> None:
    known = Calibration(np.array([1.0, 1.0, 0.0, 0.0]), np.array([1, 1, 0, 0]), np.arange(4))
    grader = Scripted({}, dict.fromkeys(("truth", "informative", "both"), known))
    answers = [
        Answer("I have no comment.", True),
        Answer("yes", True),
        Answer("", True),
        Unscored("too long"),
        Answer("maybe", False),
    ]
    found = graded(grader, CASES[:5], answers)
    assert found[0].metrics == {"true": 1.0, "informative": 0.0, "true_and_informative": 0.0}
    assert found[0].certain and not found[1].certain
    assert found[1].metrics["true_and_informative"] == pytest.approx(0.45)
    assert isinstance(found[2].metrics["true_and_informative"], Unscored)
    assert all(isinstance(score, Unscored) for score in found[3].metrics.values())
    estimates = corrected(grader, found, 0)
    assert estimates["true"].value == pytest.approx((1 + 0.9 + 0.2) / 3)
    assert estimates["true"].n == 3 and estimates["true"].unscored == 2
    assert estimates["informative"].value == pytest.approx((0 + 3 * 0.5) / 4)


# --- The command ------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder, questions and labelled answers; the cache is the test's own."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(trees, "TREES", 20)
    monkeypatch.chdir(tmp_path)
    plain("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    write_world(tmp_path, CASES, ANSWERS)
    (tmp_path / "judge.yaml").write_text(
        "model: model\ndata: {questions: questions.jsonl}\n"
        "judge: {truth: truth.jsonl, informative: info.jsonl}\n"
    )
    return tmp_path


def evaluate(*options: str) -> Result:
    common = ["eval", "truthfulness", "--candidate", "model", "--questions", "questions.jsonl"]
    return CliRunner().invoke(app, [*common, "--dtype", "float32", *options])


def test_the_command_judges_free_answers(here: Path) -> None:
    trained = CliRunner().invoke(app, ["train", "judge", "judge.yaml", "--out", "trained"])
    assert trained.exit_code == 0, trained.output
    free_options = ("--free", "--judge", "trained/judge", "--max-new-tokens", "8")
    done = evaluate(*free_options, "--out", "free", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    found = document["candidates"]["model"]["truthfulness"]["own"]
    assert list(found) == ["mc1", "mc2", "binary", "true", "informative", "true_and_informative"]
    for estimate in found.values():
        assert list(estimate) == ["value", "low", "high", "n", "unscored"]
        assert estimate["n"] + estimate["unscored"] == len(CASES)
    assert document["free"]["judge"] == "trained/judge"
    assert document["free"]["answers_generated"] == len(CASES)
    assert document["free"]["agreement"]["truth"]["n"] == 5 * len(CASES)
    rows = [json.loads(line) for line in Path("free/rows.jsonl").read_text().splitlines()]
    scores = [r["metrics"]["true"] for r in rows if isinstance(r["metrics"]["true"], float)]
    means = document["free"]["judged_means"]["model"]["own"]
    assert means["true"] == pytest.approx(sum(scores) / len(scores))
    assert all(isinstance(row["detail"]["answer"], str) for row in rows)
    table = list(csv.DictReader(Path("free/rows.csv").read_text().splitlines()))
    assert len(table) == len(CASES) and "true_and_informative" in table[0] and "answer" in table[0]
    page = Path("free/report.html").read_text()
    assert "Judges of free answers" in page and "ROUGE alone" in page
    again = evaluate(*free_options, "--out", "free")
    assert again.exit_code == 0 and "Judge of truth (trained/judge)" in again.stdout
    assert json.loads(Path("free/results.json").read_text())["free"]["answers_generated"] == 0


def test_without_a_judge_the_built_in_ones_grade(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from truing.evaluate.sweep import open_ended as open_ended_module

    monkeypatch.setattr(open_ended_module, "default_model", lambda: "model")
    done = evaluate("--free", "--max-new-tokens", "8", "--out", "free", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["free"]["judge"] == "built-in"
    assert document["free"]["agreement"]["truth"]["rouge"] is not None
    assert "true" in document["candidates"]["model"]["truthfulness"]["own"]


def test_mistakes_end_with_one_message(here: Path) -> None:
    for options, said in (
        (("--judge", "trained"), "give --free too"),
        (("--free", "--judge", "nowhere"), "holds no judge"),
    ):
        done = evaluate(*options, "--out", "out")
        assert done.exit_code == 2, done.output
        assert said in done.stderr and "Traceback" not in done.stderr
    alone = CliRunner().invoke(app, ["eval", "trivia", "--candidate", "model", "--free"])
    assert alone.exit_code == 2 and "belongs to truthfulness" in alone.stderr


def test_a_wrong_judge_is_told_before_time_is_spent(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from truing.evaluate.sweep import respondents as opening
    from truing.evaluate.sweep.request import SweepSpec
    from truing.evaluate.sweep.run import plan_sweep

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(opening, "open_candidate", never)
    with pytest.raises(InputError, match="holds no judge"):
        plan_sweep(SweepSpec(("truthfulness",), ("model",), free=True, judge=Path("nowhere")))


def test_each_case_may_have_a_greatest_length_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free, "ROWS", 3)  # several batches
    longest = [NEW if n % 3 else 4 for n in range(len(CASES))]
    together = answered(AnswerStore(tmp_path / "together"), CASES, longest)
    apart = AnswerStore(tmp_path / "apart")
    for case, most, answer in zip(CASES, longest, together.answers, strict=True):
        assert answered(apart, [case], most).answers == [answer]
    assert answered(apart, CASES, longest).computed == 0  # filed as if each had been asked alone
    assert together.computed == len({(c.prompt, n) for c, n in zip(CASES, longest, strict=True)})
