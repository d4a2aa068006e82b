"""Choices under a prompt variant: scores against plain transformers, the store of scores, interruption."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from questions import CASES
from tiny import alone, plain, tiny, tokenizer
from truing.candidates import Candidate
from truing.evaluate import variant_choices as scoring
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_choices import Scoring, variant_choices
from truing.models import scoring as model_scoring
from truing.models.engine.packing import packs
from truing.models.language_model import LanguageModel
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore, score_key
from truing.models.user_cache import ModelUnavailable
from truing.prompts.rendering import Prompt
from truing.prompts.variants import Form, prompt_variants
from truing.types import Case, Unscored


def candidate(model: LanguageModel | None = None) -> Candidate:
    return Candidate("tiny", 0, model or tiny(), Prompt())


def scored(
    who: Candidate,
    store: ScoreStore,
    cases: Sequence[Case] = CASES,
    form: Form = "auto",
    weights: str = "w",
) -> Scoring:
    """The cases under the question alone."""
    [none] = prompt_variants(["none"])
    answers = AnswerStore(Path(store._path).with_name("answers.sqlite"))
    variant = StoredVariant(none, form, weights, "float32", store, answers)
    return variant_choices(who, variant, cases)


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path / "scores.sqlite")


def test_every_log_likelihood_is_that_of_the_text_alone(store: ScoreStore) -> None:
    found = scored(candidate(), store)
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
    monkeypatch.setattr(
        scoring, "packs", lambda requests, nested: packs(requests, 90, nested=nested)
    )
    monkeypatch.setattr(model_scoring, "LONG_PREFIX", 1)  # all prompts begin with 'Q: '
    who = candidate()
    whole = scored(who, ScoreStore(tmp_path / "a"))
    score, passes = model_scoring.score_pack, 0

    def dying(*pack: Any) -> object:
        nonlocal passes
        passes += 1
        if passes == 3:
            raise KeyboardInterrupt
        return score(*pack)

    monkeypatch.setattr(model_scoring, "score_pack", dying)
    with pytest.raises(KeyboardInterrupt):
        scored(who, ScoreStore(tmp_path / "b"))
    again = scored(who, ScoreStore(tmp_path / "b"))
    assert again.choices == whole.choices
    assert 0 < again.computed < whole.computed
    assert scored(who, ScoreStore(tmp_path / "b")).computed == 0


def test_scores_are_filed_under_what_they_depend_on(store: ScoreStore) -> None:
    first = scored(candidate(), store)
    assert scored(candidate(), store, CASES[::-1]).computed == 0
    assert scored(candidate(), store, weights="other").computed == 30
    assert scored(candidate(tiny(chat=True)), store, form="chat").computed == 30
    assert len({score_key("m", "float32", c, t) for c, t in (([1], [2, 3]), ([1, 2], [3]))}) == 2
    assert score_key("m", "float32", [1], [2]) != score_key("m", "bfloat16", [1], [2])
    assert scored(candidate(), store).choices == first.choices


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
    found = scored(candidate(), store, [long, *CASES])
    assert isinstance(found.choices[0], Unscored)
    assert "128" in found.choices[0].reason
    assert all(isinstance(choices, Choices) for choices in found.choices[1:])
