"""`truing eval`: scores against plain transformers, the store, interruption, the command, its files."""

from __future__ import annotations

import csv
import json
import math
import threading
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tiny import alone, plain, tiny, tokenizer
from truing.candidates import Candidate, open_candidate
from truing.cli import app, spread
from truing.evaluate import scoring
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.scoring import Examinee, score_wording
from truing.models.language_model import LanguageModel, packs
from truing.models.score_store import ScoreStore, score_key
from truing.models.tree import Branch
from truing.models.user_cache import ModelUnavailable
from truing.prompts.rendering import Prompt
from truing.prompts.wordings import wordings
from truing.types import Case, InputError, Unscored

CASES = [
    Case(f"who is {word}?", (f"{word} is a cat", "nobody"), ("it is a dog", "me", word))
    for word in ("ann", "bob", "cleo", "dan", "eve", "fred")
]


def examinee(model: LanguageModel | None = None, weights: str = "w") -> Examinee:
    return Examinee(Candidate("tiny", 0, model or tiny(), Prompt()), weights, "float32")


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path / "scores.sqlite")


def test_every_log_likelihood_is_that_of_the_text_alone(store: ScoreStore) -> None:
    found = score_wording(examinee(), wordings(["none"])[0], "auto", CASES, store)
    oracle, tokens = plain("llama"), tokenizer()
    assert found.computed == 5 * len(CASES)
    for case, choices in zip(CASES, found.choices, strict=True):
        assert isinstance(choices, Choices)
        prompt = tokens.encode(f"Q: {case.prompt}\nA:")
        answers = [*case.correct_answers, *case.incorrect_answers]
        for answer, score in zip(answers, (*choices.true, *choices.false), strict=True):
            with torch.no_grad():
                wanted = float(alone(oracle, prompt, tokens.encode(f" {answer}")).sum())
            assert score == pytest.approx(wanted, abs=1e-4)


def test_metrics_of_a_question_and_of_undefined_ones() -> None:
    nan = math.nan
    assert Choices((-2.0, -1.0), (-3.0, -1.5)).metrics["binary"] == 1.0
    assert Choices((-2.0, -1.0), (-3.0, -1.5)).mc1 == 0.0
    assert isinstance(Choices((-1.0,), (-1.0, -2.0)).binary, Unscored)
    assert Choices((-1.0, nan), (-2.0,)).binary == 1.0
    for undefined in (Choices((nan,), (-1.0,)), Choices((), (-1.0,)), Choices((-1.0,), ())):
        assert all(isinstance(score, Unscored) for score in undefined.metrics.values())


def test_an_interrupted_evaluation_goes_on_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "packs", lambda branches: packs(branches, 90))
    who, [wording] = examinee(), wordings(["none"])
    whole = score_wording(who, wording, "auto", CASES, ScoreStore(tmp_path / "a"))
    score, passes = who.candidate.model.score, 0

    def dying(branches: list[Branch]) -> object:
        nonlocal passes
        passes += 1
        if passes == 3:
            raise KeyboardInterrupt
        return score(branches)

    monkeypatch.setattr(who.candidate.model, "score", dying)
    with pytest.raises(KeyboardInterrupt):
        score_wording(who, wording, "auto", CASES, ScoreStore(tmp_path / "b"))
    again = score_wording(who, wording, "auto", CASES, ScoreStore(tmp_path / "b"))
    assert again.choices == whole.choices
    assert 0 < again.computed < whole.computed
    assert score_wording(who, wording, "auto", CASES, ScoreStore(tmp_path / "b")).computed == 0


def test_scores_are_filed_under_what_they_depend_on(store: ScoreStore) -> None:
    [none] = wordings(["none"])
    first = score_wording(examinee(), none, "auto", CASES, store)
    assert score_wording(examinee(), none, "auto", CASES[::-1], store).computed == 0
    assert score_wording(examinee(weights="other"), none, "auto", CASES, store).computed == 30
    chat = examinee(tiny(chat=True))
    assert score_wording(chat, none, "chat", CASES, store).computed == 30
    assert len({score_key("m", "float32", c, t) for c, t in (([1], [2, 3]), ([1, 2], [3]))}) == 2
    assert score_key("m", "float32", [1], [2]) != score_key("m", "bfloat16", [1], [2])
    assert score_wording(examinee(), none, "auto", CASES, store).choices == first.choices


def test_two_processes_may_use_the_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"

    def add(start: int) -> None:
        own = ScoreStore(path)
        for number in range(start, start + 40):
            own.add({bytes([number]): float(number)})
        own.close()

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ScoreStore(path).known([bytes([n]) for n in range(256)])) == 80


def test_a_broken_store_is_put_aside_and_nan_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    path.write_bytes(b"not a database at all, but longer than a header" * 99)
    store = ScoreStore(path)
    store.add({b"a": math.nan, b"b": -math.inf})
    found = store.known([b"a", b"b", b"c"])
    assert math.isnan(found[b"a"]) and found[b"b"] == -math.inf and len(found) == 2
    assert (tmp_path / "scores.sqlite.broken").exists()


def test_a_store_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite").mkdir()
    with pytest.raises(ModelUnavailable, match=r"scores\.sqlite can't be used"):
        ScoreStore(tmp_path / "scores.sqlite")


def test_what_is_longer_than_the_context_is_unscored(store: ScoreStore) -> None:
    long = Case("who " * 30 + "?", ("me",), ("you",))
    found = score_wording(examinee(), wordings(["none"])[0], "auto", [long, *CASES], store)
    assert isinstance(found.choices[0], Unscored)
    assert "128" in found.choices[0].reason
    assert all(isinstance(choices, Choices) for choices in found.choices[1:])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder; the cache and the working folder are the test's own."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUING_PRESETS", raising=False)
    monkeypatch.chdir(tmp_path)
    plain("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    lines = [
        json.dumps(
            {
                "question": case.prompt,
                "correct_answers": list(case.correct_answers),
                "incorrect_answers": list(case.incorrect_answers),
                "category": "ab"[number % 2] + "<b>",
            }
        )
        for number, case in enumerate(CASES)
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    return tmp_path / "model"


def test_the_hash_of_weights_knows_no_place(folder: Path) -> None:
    _, first = open_candidate(str(folder), 0, "float32")
    folder.rename(folder.with_name("moved"))
    _, second = open_candidate(str(folder.with_name("moved")), 0, "float32")
    assert first == second
    config = folder.with_name("moved") / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert open_candidate(str(config.parent), 0, "float32")[1] != first
    with pytest.raises(InputError, match="endpoint"):
        open_candidate("endpoint:http://localhost#m", 0, "float32")


def test_the_command_prints_figures_and_writes_everything(folder: Path) -> None:
    (folder.parent / "short.txt").write_text("Q {question} A")
    (folder.parent / "long.txt").write_text("so " * 60 + "{question}")
    common = ["eval", "truthfulness", "--candidate", str(folder), "--questions", "questions.jsonl",
              "--dtype", "float32", "--prompt"]  # fmt: skip
    long = CliRunner().invoke(app, [*common, "long.txt", "--out", "long"])
    assert long.exit_code == 2 and "so are all others" in long.stderr
    command = [*common, "own", "--prompt", "short.txt", "--out", "other"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    found = document["candidates"][str(folder)]["truthfulness"]
    assert list(found) == ["own", "short.txt"]
    for metrics in found.values():
        assert list(metrics) == ["mc1", "mc2", "binary"]
        for estimate in metrics.values():
            assert list(estimate) == ["value", "low", "high", "n", "unscored"]
            assert estimate["n"] + estimate["unscored"] == len(CASES)
    assert document["answers_computed"] == 60
    rows = [json.loads(line) for line in Path("other/rows.jsonl").read_text().splitlines()]
    assert (
        len(rows)
        == len(list(csv.DictReader(Path("other/rows.csv").read_text().splitlines())))
        == 12
    )
    mean = sum(row["metrics"]["mc2"] for row in rows[:6]) / 6
    assert found["own"]["mc2"]["value"] == pytest.approx(mean)
    page = Path("other/report.html").read_text()
    assert "a&lt;b&gt;" in page and "<b>" not in page and "short.txt" in page
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and "MC1" in again.stdout
    assert json.loads(Path("other/results.json").read_text())["answers_computed"] == 0


def test_mistakes_end_with_one_message(folder: Path) -> None:
    both = '{"question": "q", "correct_answers": ["a"], "incorrect_answers": ["A."]}'
    Path("both.jsonl").write_text(both)
    for arguments, said in (
        (["nonsense", "--candidate", str(folder)], "known: truthfulness, trivia"),
        (["truthfulness", "--candidate", str(folder), "--form", "x"], "known: auto, text, chat"),
        (["truthfulness", "--candidate", str(folder), "--dtype", "int8"], "float32, bfloat16"),
        (["truthfulness", "--candidate", str(folder), "--form", "chat"], "no chat template"),
        (["truthfulness", "--candidate", str(folder), "--questions", "both.jsonl"], "as true and"),
        (["truthfulness", "--candidate", "nowhere"], "unknown model"),
        (["truthfulness", "--candidate", str(folder), "--out", "model"], "something else"),
    ):
        done = CliRunner().invoke(app, ["eval", *arguments])
        assert done.exit_code == 2, done.output
        assert said in done.stderr and "Traceback" not in done.stderr
    before = ["eval", "truthfulness", "--candidate", str(folder), "--out", "untouched"]
    for wrong in (["--prompt", "helpfull"], ["--questions", "both.jsonl"]):
        assert CliRunner().invoke(app, [*before, *wrong]).exit_code == 2
    assert not Path("untouched").exists()


def test_words_behind_an_option_belong_to_it() -> None:
    given = "eval --candidate a b truthfulness --prompt qa help --limit 3 trivia"
    expected = (
        "eval --candidate a --candidate b truthfulness --prompt qa --prompt help --limit 3 trivia"
    )
    assert spread(given.split()) == expected.split()
