"""Rows of unlike age in one batch: each the same as alone, to the last bit."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from tiny import END, FAMILIES, plain, texts, tiny
from truing.models import decoding as module
from truing.models.decoding import GROUP, BatchedGenerator, Generation, Request, draw
from truing.models.engine.row_cache import PIECE, PrefixCache, Row
from truing.models.engine.text_stream import TextStream
from truing.models.language_model import LanguageModel
from truing.types import InputError


def greedy(family: str, prompt: Sequence[int], length: int) -> list[int]:
    """Likeliest tokens by plain `transformers`, without a cache."""
    model, tokens = plain(family), list(prompt)
    while len(tokens) < len(prompt) + length and tokens[-1] != END:
        with torch.inference_mode():
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("family", FAMILIES)
def test_likeliest_tokens_are_those_of_transformers(family: str) -> None:
    generator = BatchedGenerator(tiny(family))
    for prompt in texts(3, [1, 5, PIECE, PIECE + 1, 70]):
        found = generator.write(Request(tuple(prompt), 9, temperature=0))
        assert found.tokens == greedy(family, prompt, 9)


def requests() -> list[Request]:
    beginning = texts(0, [2 * PIECE])[0]
    ends = texts(1, [3, 9, PIECE, 1, 20, 2, 7, 30, 11, 4, 5])
    return [
        Request(tuple(beginning + end), 8 + number % 5, 1.5, 1 - 0.1 * (number % 3), seed=number)
        for number, end in enumerate(ends)
    ]


class Scores:
    """Remembers every row of scores that tokens are drawn from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: dict[int, list[Tensor]] = {}
        real = Generation.draw

        def remember(generation: Generation, scores_V: Tensor) -> None:
            self.rows.setdefault(generation.request.seed, []).append(scores_V.clone())
            real(generation, scores_V)

        monkeypatch.setattr(Generation, "draw", remember)


@pytest.mark.parametrize("shared", [0, 20])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3"])
def test_a_row_is_the_same_alone_and_among_others_that_come_and_go(
    family: str, padded: bool, shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = requests()[0].prompt[:shared]
    if padded:
        monkeypatch.setattr(module, "rows_are_independent", lambda model: False)
    model = tiny(family)
    alone = Scores(monkeypatch)
    expected = [
        BatchedGenerator(model, start, most_bytes=0).write(each).tokens for each in requests()
    ]
    monkeypatch.undo()
    if padded:
        monkeypatch.setattr(module, "rows_are_independent", lambda model: False)
    together = Scores(monkeypatch)
    generator = BatchedGenerator(model, start)
    chance = random.Random(5)
    waiting = [generator.begin(each) for each in requests()]
    generations, live = list(waiting), []
    known = 0
    while waiting or live:
        if waiting and chance.random() < 0.6:
            newcomer = waiting.pop(chance.randrange(len(waiting)))
            while not newcomer.has_read:
                generator.read(newcomer)
            known += newcomer.known
            live.append(newcomer)
        live = [each for each in live if each.finish is None]
        chance.shuffle(live)
        generator.step(live)
    assert [each.tokens for each in generations] == expected
    # The common beginning was computed once: all of its whole pieces.
    assert known == (shared + (2 * PIECE - shared) // PIECE * PIECE) * (len(generations) - 1)
    for seed, rows in alone.rows.items():
        assert all(
            torch.equal(one, two) for one, two in zip(rows, together.rows[seed], strict=True)
        )


def test_the_trial_sees_rows_that_lean_on_each_other() -> None:
    model = tiny()
    assert module.rows_are_independent(model)

    class Leaning(LanguageModel):
        def next_token_scores(self, hidden_NE: Tensor) -> Tensor:
            return super().next_token_scores(hidden_NE) + 1e-7 * len(hidden_NE)

    assert not module.rows_are_independent(Leaning(plain("llama"), model.tokenizer))


def test_draws_follow_the_distribution() -> None:
    scores = torch.tensor([0.3, 2.0, -1.0, 1.0, 0.0], dtype=torch.float64)
    uniform = torch.rand(3_000, generator=torch.Generator().manual_seed(1)).tolist()
    expected = (scores / 0.7).softmax(-1)
    counts = Counter(draw(scores, u, 0.7) for u in uniform)
    assert chisquare([counts[i] for i in range(5)], (expected * 3_000).tolist()).pvalue > 1e-3
    # The nucleus of 0.8: probabilities 0.716, 0.172, so two tokens hold it.
    nucleus = expected[[1, 3]] / expected[[1, 3]].sum()
    counts = Counter(draw(scores, u, 0.7, 0.8) for u in uniform)
    assert set(counts) == {1, 3}
    assert chisquare([counts[1], counts[3]], (nucleus * 3_000).tolist()).pvalue > 1e-3
    # The same nucleus where more than LIKELY tokens are in it.
    many = torch.zeros(600, dtype=torch.float64)
    many[:2] = 1.0
    drawn = Counter(draw(many, u, 1.0, 0.9) for u in uniform)
    held = 2 + math.ceil((0.9 * (2 * math.e + 598) - 2 * math.e) - 1e-9)
    assert max(drawn) == held - 1 and len(drawn) > 400
    assert {draw(scores, u, 0.7, 1e-6) for u in uniform[:50]} == {1}
    assert draw(scores, 0.99, 0) == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_end_their_row_alone(
    bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArithmeticError):
        draw(torch.tensor([0.0, bad]), 0.5, 1.0)
    generator = BatchedGenerator(tiny())
    well, ill = (generator.begin(Request((5, number), 4, 0)) for number in (6, 7))
    for generation in (well, ill):
        generator.read(generation)
    real = LanguageModel.next_token_scores

    def broken(model: LanguageModel, hidden_NE: Tensor) -> Tensor:
        scores_NV = real(model, hidden_NE).clone()
        scores_NV[1] = bad
        return scores_NV

    monkeypatch.setattr(LanguageModel, "next_token_scores", broken)
    generator.step([well, ill])
    assert ill.finish == "error" and len(well.tokens) == 2 and well.finish != "error"


def test_prefixes_leave_in_the_order_of_their_last_use() -> None:
    cache = PrefixCache(most_bytes=2 * 2 * PIECE * 2 * 4)  # two pieces: pairs, 2 numbers of 4 bytes
    first, second, third = (tuple(text) for text in texts(4, [PIECE + 1] * 3))

    def filled() -> Row:
        row = Row()
        row.append({0: (torch.randn(1, 1, PIECE, 2), torch.randn(1, 1, PIECE, 2))})
        return row

    def cached(prompt: tuple[int, ...]) -> bool:
        row = Row()
        cache.restore(row, prompt)
        return row.length == PIECE

    cache.remember(filled(), 0, first)
    cache.remember(filled(), 0, second)
    assert cached(first)  # which makes the second the older one
    cache.remember(filled(), 0, third)
    assert cached(first) and not cached(second) and cached(third)
    row = Row()
    cache.restore(row, first[:PIECE])  # its last token is left to be computed
    assert row.length == 0


def test_requests_that_cannot_be_are_refused() -> None:
    for wrong in ({"prompt": ()}, {"max_new_tokens": 0}, {"temperature": -1.0},
                  {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1}):  # fmt: skip
        fields = {"prompt": (5,), "max_new_tokens": 3} | wrong
        with pytest.raises(InputError, match=next(iter(wrong)).replace("max_new", "max")):
            Request(**fields)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="context holds 128"):
        BatchedGenerator(tiny()).begin(Request((5,) * 120, 9))


def test_more_rows_than_a_group_are_written_too() -> None:
    generator = BatchedGenerator(tiny())
    asked = [Request((5, 6), 6, 2.0, seed=number) for number in range(GROUP + 3)]
    generations = [generator.begin(each) for each in asked]
    for generation in generations:
        generator.read(generation)
    while live := [each for each in generations if each.finish is None]:
        generator.step(live)
    assert [w.tokens for w in generations] == [generator.write(each).tokens for each in asked]


def _decode(tokens: Sequence[int]) -> str:
    """Tokens are bytes."""
    return bytes(tokens).decode("utf-8", "replace")


@given(st.text(max_size=30))
def test_text_comes_in_whole_characters(text: str) -> None:
    stream, seen = TextStream(_decode), ""
    for token in text.encode():
        assert not stream.add(token)
        assert text.startswith(stream.text) and stream.text.startswith(seen)
        seen = stream.text
    stream.close()
    assert stream.text == text


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_text_ends_at_the_first_stop(text: str, stops: list[str]) -> None:
    stream, seen, ended = TextStream(_decode, stops), "", False
    for token in text.encode():
        ended = stream.add(token)
        assert stream.text.startswith(seen)
        seen = stream.text
        if ended:
            break
    stream.close()
    # By hand: the shortest beginning of the text that holds a stop text is where writing ends.
    whole = next((text[:n] for n in range(len(text) + 1) if any(s in text[:n] for s in stops)), "")
    assert ended == bool(whole)
    expected = whole[: min(whole.find(s) for s in stops if s in whole)] if whole else text
    assert stream.text == expected


def test_broken_characters_do_not_hold_the_text_back_for_ever() -> None:
    stream = TextStream(_decode)
    for _ in range(20):
        stream.add(0xFF)
    assert len(stream.text) >= 10
    stream.add(ord("a"))
    stream.close()
    assert stream.text == "\ufffd" * 20 + "a"
