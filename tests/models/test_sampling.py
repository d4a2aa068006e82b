"""Sampling and its cache against `transformers`, exact distributions and rows sampled alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import torch
from scipy.stats import chisquare

from tiny import END, FAMILIES, WINDOW, plain, texts, tiny, tokenizer
from truing.models import language_model, sample_plan
from truing.models import sampling as module
from truing.models.engine import prefill
from truing.models.engine.batch_cache import SharedCache
from truing.models.engine.tree import PromptWithContinuations
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampled, Sampling, sample
from truing.types import InputError

FEW = 10  # so small a vocabulary that answers end early


def _prompts(seed: int, vocabulary: int = 40) -> list[list[int]]:
    """Four prompts that share three tokens and differ in length, one of them twice."""
    start, *rest = texts(seed, [3, 4, 1, 9, 2], vocabulary)
    prompts = [start + tail for tail in rest]
    return [*prompts, prompts[1]]


@pytest.mark.parametrize("long_prefix", [0, prefill.LONG_PREFIX], ids=["apart", "with prompts"])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_transformers(
    family: str, long_prefix: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill, "LONG_PREFIX", long_prefix)
    prompts, length = _prompts(1), 14
    assert length > WINDOW
    oracle = plain(family)
    found = sample(tiny(family), prompts, 2, Sampling(length, temperature=0))
    for prompt, completions in zip(prompts, found.completions, strict=True):
        text = oracle.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=length,
            do_sample=False,
            eos_token_id=END,
            pad_token_id=END,
        )
        wanted = tuple(text[0, len(prompt) :].tolist())
        assert [completion.tokens for completion in completions] == [wanted, wanted]


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probs_equal_those_of_scoring(family: str) -> None:
    model, prompts = tiny(family, vocabulary=FEW), _prompts(2, FEW)
    found = sample(model, prompts, 8, Sampling(14, seed=3)).completions
    scored = model.score(
        [
            PromptWithContinuations(p, [c.tokens for c in row])
            for p, row in zip(prompts, found, strict=True)
        ]
    )
    lengths = set()
    for completions, scores in zip(found, scored, strict=True):
        for completion, score in zip(completions, scores, strict=True):
            lengths.add(len(completion.tokens))
            torch.testing.assert_close(
                torch.tensor(completion.token_log_probs), score.token_log_probs, atol=1e-4, rtol=0
            )
    assert len(lengths) > 2  # rows left at different times


def test_log_probs_are_those_of_the_tempered_distribution() -> None:
    model, oracle, (prompt,) = tiny(), plain("llama"), texts(3, [5])
    for completion in sample(model, [prompt], 4, Sampling(6, temperature=0.6)).completions[0]:
        with torch.no_grad():
            scores = oracle(torch.tensor([[*prompt, *completion.tokens]])).logits[0] / 0.6
        wanted = scores.log_softmax(-1)[torch.arange(4, 4 + len(completion.tokens))]
        torch.testing.assert_close(
            torch.tensor(completion.token_log_probs),
            wanted.gather(1, torch.tensor(completion.tokens)[:, None])[:, 0],
            atol=1e-4,
            rtol=0,
        )


def _alone(
    model: LanguageModel,
    prompt: Sequence[int],
    number: int,
    settings: Sampling,
    monkeypatch: pytest.MonkeyPatch,
) -> Sampled:
    """Sample `number` of a prompt, in a batch of its own."""
    real: Callable[..., torch.Tensor] = module.uniforms
    with monkeypatch.context() as patch:
        patch.setattr(module, "uniforms", lambda p, s, _, count: real(p, s, number, count))
        return sample(model, [prompt], 1, settings)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
def test_rows_that_leave_change_nothing_for_the_others(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    compact = SharedCache._compact

    def spy(cache: SharedCache) -> None:
        before = cache.slots
        compact(cache)
        sizes.append((before, cache.slots))

    monkeypatch.setattr(SharedCache, "_compact", spy)
    model, prompts, settings = (
        tiny(family, vocabulary=FEW),
        _prompts(4, FEW),
        Sampling(20, 2.0, seed=1),
    )
    together = sample(model, prompts, 8, settings)
    assert sum(after < before for before, after in sizes) >= 2, "nothing was ever compacted"
    lengths = Counter(len(c.tokens) for row in together.completions for c in row)
    assert len(lengths) > 5
    monkeypatch.setattr(sample_plan, "ROWS", 16)
    in_parts = sample(model, prompts, 8, settings)
    drawn, entropy = 0, 0.0
    for place, (prompt, row) in enumerate(zip(prompts, together.completions, strict=True)):
        for number, completion in enumerate(row):
            single = _alone(model, prompt, number, settings, monkeypatch)
            drawn += single.tokens
            entropy += single.entropy * single.tokens
            for other in (single.completions[0][0], in_parts.completions[place][number]):
                assert other.tokens == completion.tokens
                assert (other.text, other.finished) == (completion.text, completion.finished)
                assert other.token_log_probs == pytest.approx(completion.token_log_probs, abs=1e-5)
    assert together.tokens == drawn == sum(n * count for n, count in lengths.items())
    assert together.entropy == pytest.approx(entropy / drawn, abs=1e-5)


@pytest.mark.parametrize("unpacked", [False, True])
@pytest.mark.parametrize("rows", [4, 256])
def test_each_prompt_may_have_a_greatest_length_of_its_own(
    rows: int, unpacked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_plan, "ROWS", rows)
    prompts, longest = _prompts(4, FEW), [3, 20, 1, 7, 2]
    if unpacked:  # as of a model whose attention isn't let in
        monkeypatch.setattr(language_model, "shares_prompts", lambda *_: False)
    model = LanguageModel(plain("llama", vocabulary=FEW), tokenizer())
    assert model.unpacked == unpacked
    heard: list[int] = []
    found = sample(model, prompts, 3, Sampling(20, seed=1), heard.append, longest=longest)
    assert sum(heard) == 15 and {c.finished for row in found.completions for c in row} == {
        True,
        False,
    }
    for prompt, most, row in zip(prompts, longest, found.completions, strict=True):
        alone = sample(model, [prompt], 3, Sampling(most, seed=1)).completions[0]
        for completion, other in zip(row, alone, strict=True):
            assert completion.tokens == other.tokens and len(other.tokens) <= most
            assert (completion.text, completion.finished) == (other.text, other.finished)
            assert completion.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-5)


def test_a_greatest_length_beyond_the_context_is_refused() -> None:
    prompts = texts(1, [4, 4])
    with pytest.raises(InputError, match="prompt 2: 129 tokens"):
        sample(tiny(), prompts, 1, Sampling(125, temperature=0), longest=[1, 125])


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_first_token_has_the_exact_distribution(temperature: float) -> None:
    (prompt,), count = texts(6, [5]), 4000
    with torch.no_grad():
        scores = plain("llama")(torch.tensor([prompt])).logits[0, -1].double()
    exact = (scores / temperature).softmax(-1)
    found = sample(tiny(), [prompt], count, Sampling(1, temperature, seed=5)).completions[0]
    observed = torch.tensor([c.tokens[0] for c in found]).bincount(minlength=40)
    expected = exact * count
    rare = expected < 5  # pooled: chi-square needs a few in each cell
    pooled = [
        [*x[~rare].tolist(), *([float(x[rare].sum())] if rare.any() else [])]
        for x in (observed.double(), expected)
    ]
    assert len(pooled[0]) > 10
    assert chisquare(*pooled).pvalue > 1e-3
    other = (scores / (1.7 - temperature)).softmax(-1) * count  # the test can tell the two apart
    other_pooled = [*other[~rare].tolist(), float(other[rare].sum())][: len(pooled[0])]
    total = sum(other_pooled)
    assert chisquare(pooled[0], [x * count / total for x in other_pooled]).pvalue < 1e-9


def test_pairs_of_tokens_have_the_exact_joint_distribution() -> None:
    (prompt,), count = texts(7, [4], FEW), 5000
    oracle = plain("gemma3", vocabulary=FEW)
    exact: dict[tuple[int, ...], float] = {}
    with torch.no_grad():
        first = oracle(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
        for one in range(FEW):
            second = oracle(torch.tensor([[*prompt, one]])).logits[0, -1].double().softmax(-1)
            if one == END:
                exact[(one,)] = float(first[one])
            else:
                exact |= {(one, two): float(first[one] * second[two]) for two in range(FEW)}
    model = tiny("gemma3", vocabulary=FEW)
    found = Counter(c.tokens for c in sample(model, [prompt], count, Sampling(2)).completions[0])
    assert set(found) <= set(exact)
    assert sum(exact.values()) == pytest.approx(1)
    common = [pair for pair, p in exact.items() if p * count >= 5]
    observed = [float(found[pair]) for pair in common]
    expected = [exact[pair] * count for pair in common]
    observed.append(count - sum(observed))
    expected.append(count - sum(expected))
    if expected[-1] < 5:
        observed[-2:], expected[-2:] = [sum(observed[-2:])], [sum(expected[-2:])]
    assert len(observed) > 10
    assert chisquare(observed, expected).pvalue > 1e-3


def test_entropy_is_the_mean_of_the_distributions_drawn_from() -> None:
    (prompt,) = texts(8, [5])
    with torch.no_grad():
        scores = plain("llama")(torch.tensor([prompt])).logits[0, -1]
    for temperature in (1.0, 0.5):
        found = sample(tiny(), [prompt], 3, Sampling(1, temperature)).entropy
        wanted = torch.distributions.Categorical(logits=scores / temperature).entropy()
        assert found == pytest.approx(float(wanted), abs=1e-5)


def test_the_same_seed_gives_the_same_answers_and_another_gives_others() -> None:
    model, prompts = tiny(), _prompts(9)
    one, again, other = (sample(model, prompts, 3, Sampling(8, seed=s)) for s in (11, 11, 12))
    assert one == again
    assert one.completions != other.completions
    assert len({c.tokens for c in one.completions[0]}) == 3  # samples of a prompt differ
    assert one.completions[1] == one.completions[4]  # the same prompt, the same draws


def test_the_stop_text_ends_an_answer() -> None:
    model, (prompt,) = tiny(), texts(10, [5])
    free = sample(model, [prompt], 6, Sampling(20, seed=2)).completions[0]
    stop = free[0].text[3:5]  # two characters, so two tokens
    stopped = sample(model, [prompt], 6, Sampling(20, seed=2, stop=stop)).completions[0]
    assert len(stop) == 2 and stopped[0].finished and len(stopped[0].tokens) < 20
    for before, after in zip(free, stopped, strict=True):
        assert before.tokens[: len(after.tokens)] == after.tokens
        assert after.text.find(stop) in (-1, len(after.text) - len(stop))
        assert (stop in before.text) == (stop in after.text)
        assert after.finished == (stop in after.text or after.tokens[-1] == END)


def test_ended_answers_leave_the_end_token_out_of_the_text() -> None:
    model, prompts = tiny(vocabulary=FEW), _prompts(11, FEW)
    told: list[int] = []
    found = sample(model, prompts, 4, Sampling(5, 2.0, seed=4), told.append).completions
    rows = [c for row in found for c in row]
    assert {c.finished for c in rows} == {True, False}
    for completion in rows:
        assert completion.finished == (completion.tokens[-1] == END)
        assert END not in completion.tokens[:-1]
        assert len(completion.tokens) == len(completion.token_log_probs) <= 5
        assert completion.finished or len(completion.tokens) == 5
        kept = completion.tokens[:-1] if completion.finished else completion.tokens
        assert completion.text == model.decode(kept)
    assert sum(told) == len(rows)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="max_new_tokens: must be at least 1, got 0"):
        Sampling(0)
    with pytest.raises(InputError, match="temperature: must be 0 or more, got -1"):
        Sampling(1, temperature=-1)
    with pytest.raises(InputError, match=r"prompt 2: 130 tokens"):
        sample(tiny(), [[1], [1] * 120], 2, Sampling(10))
