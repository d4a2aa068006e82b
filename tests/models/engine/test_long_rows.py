"""Texts run a piece at a time: the numbers of one pass, and memory that grows with the length alone."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from tiny import FAMILIES, alone, plain, texts, tiny
from truing.models import features, language_model
from truing.models.engine import long_rows, packing
from truing.models.engine.attention import ScoreRule
from truing.models.engine.long_rows import LongRow, in_pieces
from truing.models.engine.memory import available_bytes, key_value_bytes
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import answer_features


def shorten(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Texts of more than 40 tokens are long, and have several pieces; masks are cut as well."""
    for module in (long_rows, language_model, packing):
        monkeypatch.setattr(module, "PACK_TOKENS", 40)
    monkeypatch.setattr(long_rows, "PIECE", piece)
    monkeypatch.setattr(long_rows, "MASKED", 4 * 50 * 3)
    monkeypatch.setattr(features, "HIDDEN_TOKENS", 60)


@pytest.fixture(params=[7, 16])
def short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, request.param)


@pytest.mark.parametrize("family", FAMILIES)
def test_pieces_give_the_hidden_states_of_one_pass(short: None, family: str) -> None:
    model = tiny(family)
    (text,) = texts(3, [100])
    row = LongRow(len(text))
    with torch.inference_mode():
        found = torch.cat(list(in_pieces(model.hidden, row, text)))
        expected = model.model.base_model(
            torch.tensor([text]), plan=_whole(text), use_cache=False
        ).last_hidden_state[0]
    assert row.length == 100 and found.shape == expected.shape
    assert torch.allclose(found, expected, atol=2e-5)


def _whole(text: list[int]) -> object:
    from truing.models.engine.tree import TokenTree

    return TokenTree([PromptWithContinuations(text, ())])


@pytest.mark.parametrize("family", FAMILIES)
def test_long_prompts_and_long_continuations_score_as_transformers_scores_them(
    short: None, family: str
) -> None:
    model, oracle = tiny(family), plain(family)
    prompt, other, long, one, two = texts(5, [60, 3, 55, 4, 9])
    requests = [
        PromptWithContinuations(prompt, [one, two, []]),  # a long prompt
        PromptWithContinuations(other, [long, one]),  # a long continuation
        PromptWithContinuations(prompt, [long, two]),  # both
        PromptWithContinuations(other, [one, two]),  # neither
        PromptWithContinuations([*prompt[:50], *other], [two]),  # behind a long beginning in common
        PromptWithContinuations([*prompt[:50], *one], [one, long]),
    ]
    for chosen in (requests, requests[:1], requests[2:3], [requests[0], *requests[4:]]):
        for request, scored in zip(chosen, model.score(chosen), strict=True):
            for continuation, found in zip(request.continuations, scored, strict=True):
                if not continuation:
                    assert len(found.token_log_probs) == 0
                    continue
                with torch.inference_mode():
                    expected = alone(oracle, request.prompt, continuation)
                assert torch.allclose(found.token_log_probs, expected, atol=2e-5)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_features_of_long_texts_are_those_of_one_pass(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family)
    prompt, long, one = texts(6, [60, 50, 4])
    asked = [
        PromptWithContinuations(prompt, [one, long]),
        PromptWithContinuations(one, [one, long]),
        PromptWithContinuations(one, [one]),
    ]
    expected = answer_features(model, asked, 1)
    shorten(monkeypatch, 16)
    assert answer_features(model, asked, 1) == pytest.approx(expected, abs=2e-5)


def test_no_matrix_has_the_square_of_the_length(
    short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = long_rows.grouped_attention

    def watched(query, key, value, allowed, rule: ScoreRule):  # type: ignore[no-untyped-def]
        sizes.append(query.shape[1] * allowed.numel())
        return real(query, key, value, allowed, rule)

    monkeypatch.setattr(long_rows, "grouped_attention", watched)
    (text,) = texts(3, [100])
    for family in ("gemma2", "gemma3", "llama"):
        model = tiny(family)
        with torch.inference_mode():
            list(in_pieces(model.hidden, LongRow(len(text)), text))
    assert max(sizes) <= max(long_rows.MASKED, 4 * 100)


def test_keys_and_values_of_a_token_are_counted() -> None:
    for family in FAMILIES:
        model = tiny(family)
        row = LongRow(10)
        with torch.inference_mode():
            list(in_pieces(model.hidden, row, list(range(1, 11))))
        kept = sum(part.nbytes for pair in row.states.values() for part in pair)
        assert kept == 10 * key_value_bytes(model.model, torch.float32), family


def test_memory_that_is_left(tmp_path: Path) -> None:
    machine = psutil.virtual_memory().total
    assert 0 < available_bytes() <= machine
    assert 0 < available_bytes(group=tmp_path) <= machine  # no control group at all
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("7000\n")
    (tmp_path / "memory.stat").write_text("anon 4000\ninactive_file 3000\nactive_file 10\n")
    assert available_bytes(group=tmp_path) > 1_000_000
    (tmp_path / "memory.max").write_text("10000\n")
    assert available_bytes(group=tmp_path) == 6000
    (tmp_path / "memory.max").write_text("1000\n")
    assert available_bytes(group=tmp_path) == 0
