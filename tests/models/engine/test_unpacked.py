"""Models that can't share a prompt (ALiBi, recurrence), and some that could not, against transformers."""

from __future__ import annotations

import copy
import math
from collections import Counter
from pathlib import Path
from queue import Queue

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    FalconConfig,
    GptOssConfig,
    GraniteConfig,
    Llama4TextConfig,
    MambaConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from tiny import END, FAMILIES, alone, plain, texts, tiny, tokenizer
from truing.learn import Reinforce
from truing.learn.objectives.baselines import Constant
from truing.learn.sources.rollout import rollout
from truing.learn.update import update
from truing.models.adapter import save_adapter
from truing.models.decoding import BatchedGenerator, Request
from truing.models.engine import unpacked as module
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.engine.unpacked import SENTENCE, UNCACHED
from truing.models.features import answer_features
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.policies.language import LanguagePolicy
from truing.serve.engine import Engine
from truing.serve.scoring import score_texts, scoring_bytes
from truing.spec.run import AdapterSpec
from truing.types import InputError

FEW = 10  # so small a vocabulary that answers end early
COMMON = {"vocab_size": FEW, "eos_token_id": END, "bos_token_id": None, "pad_token_id": None}
LLAMA_LIKE = COMMON | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}
STACKED = COMMON | {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.2,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "granite": GraniteConfig(**LLAMA_LIKE, logits_scaling=4.0),
    "cohere": CohereConfig(**LLAMA_LIKE, logit_scale=0.3),
    "gpt-oss": GptOssConfig(
        **LLAMA_LIKE,
        head_dim=8,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "llama4": Llama4TextConfig(  # its window stands in a mask, longer than any trial
        **LLAMA_LIKE | {"intermediate_size": 32},
        head_dim=8,
        intermediate_size_mlp=48,
        num_local_experts=2,
        attention_chunk_size=32,
        layer_types=["chunked_attention", "full_attention"],
    ),
    "bloom": BloomConfig(**COMMON, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.2),
    "falcon": FalconConfig(**STACKED, multi_query=True),
    "falcon-alibi": FalconConfig(**STACKED, alibi=True, multi_query=False, parallel_attn=False),
    "mamba": MambaConfig(
        **COMMON, hidden_size=32, num_hidden_layers=2, state_size=4, initializer_range=0.2
    ),
}
SHARING = ("granite", "cohere", "gpt-oss")
"""Scaled logits and attention sinks: plans know of them."""


def build(name: str) -> PreTrainedModel:
    """The oracle; the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[name]), dtype=torch.float32)
        with torch.no_grad():  # sinks, norms and biases of one value would hide mistakes
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(0.3 * torch.randn(parameter.shape))
    return model.eval()


def made(name: str) -> LanguageModel:
    return LanguageModel(build(name), tokenizer())


def requests() -> list[PromptWithContinuations]:
    start, one, two, *answers = texts(3, [6, 3, 5, 1, 4, 7, 2], FEW)
    return [
        PromptWithContinuations(start + one, answers[:3]),
        PromptWithContinuations(start + two, answers[2:]),
    ]


def expected(oracle: PreTrainedModel) -> torch.Tensor:
    return torch.cat([alone(oracle, r.prompt, c) for r in requests() for c in r.continuations])


@pytest.mark.parametrize("name", CONFIGS)
def test_scores_are_those_of_each_text_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, oracle = made(name), build(name)
    assert model.unpacked == (name not in SHARING)
    with torch.no_grad():
        wanted = expected(oracle)
    for budget in (module.LOGITS_AT_ONCE, 25 * FEW):  # all rows in one pass, and a few at a time
        monkeypatch.setattr(module, "LOGITS_AT_ONCE", budget)
        found = torch.cat([s.token_log_probs for row in model.score(requests()) for s in row])
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    [scored] = model.score([PromptWithContinuations([3, 1], [[4], []])])
    assert math.isnan(scored[1].total) and not math.isnan(scored[0].total)


@pytest.mark.parametrize("name", CONFIGS)
def test_samples_have_the_log_probs_of_the_model_itself(name: str) -> None:
    model, oracle = made(name), build(name)
    prompts = [request.prompt for request in requests()] + texts(4, [2], FEW)
    found = sample(model, prompts, 6, Sampling(9, 0.8, seed=1))
    lengths = set()
    for prompt, completions in zip(prompts, found.completions, strict=True):
        for completion in completions:
            lengths.add(len(completion.tokens))
            text = torch.tensor([[*prompt, *completion.tokens]])
            with torch.no_grad():
                scores = (oracle(text, use_cache=False).logits[0] / 0.8).log_softmax(-1)
            wanted = scores[len(prompt) - 1 : -1].gather(1, text[0, len(prompt) :, None])[:, 0]
            torch.testing.assert_close(
                torch.tensor(completion.token_log_probs), wanted, atol=1e-4, rtol=0
            )
            assert completion.finished == (completion.tokens[-1] == END)
    assert len(lengths) > 1 or name == "bloom"  # rows left at different times
    alone_again = sample(model, prompts[1:2], 6, Sampling(9, 0.8, seed=1)).completions[0]
    assert [c.tokens for c in alone_again] == [c.tokens for c in found.completions[1]]


def test_first_tokens_have_the_exact_distribution() -> None:
    (prompt,), count = texts(6, [5], FEW), 4000
    with torch.no_grad():
        exact = build("falcon")(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    found = sample(made("falcon"), [prompt], count, Sampling(1, seed=5)).completions[0]
    seen = Counter(c.tokens[0] for c in found)
    for token, chance in enumerate(exact.tolist()):
        deviation = (count * chance * (1 - chance)) ** 0.5
        assert abs(seen[token] - count * chance) < 4.5 * deviation


@pytest.mark.parametrize("name", ["falcon", "granite"])
def test_divergences_are_those_of_whole_distributions(name: str) -> None:
    model, reference = made(name), tiny(vocabulary=FEW, seed=3)
    tree = TokenTree(requests())
    held_C = torch.arange(len(tree.target_C)) % 3 / 2
    states = reference.states(tree)[held_C > 0].detach()
    log_probs, found = model.log_probs_and_divergences(tree, held_C, reference, states, 0.7)
    alone = model.continuation_log_probs(tree, 0.7) * (held_C < 1)
    torch.testing.assert_close(log_probs, alone)
    p, q = (
        torch.distributions.Categorical(logits=m.next_token_scores(m.states(tree)) / 0.7)
        for m in (model, reference)
    )
    exact = torch.distributions.kl_divergence(q, p) * (held_C > 0)
    torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_those_of_the_model_itself(name: str) -> None:
    model, oracle = made(name), build(name)
    tree = TokenTree(requests())
    log_probs, entropies = model.log_probs_and_entropies(tree)
    torch.testing.assert_close(log_probs, model.continuation_log_probs(tree))
    log_probs.sum().backward()
    expected(oracle).sum().backward()
    wanted = dict(oracle.named_parameters())
    for key, parameter in model.model.named_parameters():
        gradient = wanted[key].grad
        assert (parameter.grad is None) == (gradient is None), key
        if gradient is not None:
            close = 1e-5 * max(1.0, float(gradient.abs().max()))
            torch.testing.assert_close(parameter.grad, gradient, atol=close, rtol=1e-4, msg=key)
    table = model.next_token_scores(model.states(tree)).log_softmax(-1)
    torch.testing.assert_close(entropies, -(table.exp() * table).sum(-1), atol=1e-5, rtol=1e-5)
    chosen = table.gather(1, tree.target_C[:, None])[:, 0]
    torch.testing.assert_close(chosen, log_probs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("name", ["granite", "falcon", "gpt-oss", "mamba"])
def test_policies_learn_and_peft_loads_what_they_learned(
    name: str, kind: str, tmp_path: Path
) -> None:
    model, adapter = made(name), AdapterSpec(kind=kind, rank=2)  # type: ignore[arg-type]
    policy = LanguagePolicy(model, model, adapter, "float32", seed=1)
    assert policy.trained.unpacked == (name not in SHARING)
    rolled = rollout(policy, [r.prompt for r in requests()], 4, Sampling(6, seed=2))
    batch = rolled.trajectories
    torch.testing.assert_close(batch.log_prob_BT, policy.log_probs(batch), atol=1e-4, rtol=0)
    torch.testing.assert_close(batch.reference_log_prob_BT, batch.log_prob_BT, atol=1e-4, rtol=0)
    reward = torch.tensor([float(a.tokens.count(3)) for a in batch.data]) + 1
    objective = Reinforce(baseline=Constant())
    optimizer = torch.optim.SGD(policy.parameters.values(), 0.05)
    before = policy.log_probs(batch).sum(1).detach()
    update(policy, optimizer, objective, batch.rewarded(reward), 1.0)
    after = policy.log_probs(batch).sum(1).detach()
    assert float((reward * (after - before)).sum()) > 0  # what was rewarded became likelier
    if kind == "full":
        return
    base = tmp_path / "base"
    build(name).save_pretrained(base)
    save_adapter(tmp_path / "adapter", policy.trained.model, adapter, str(base))
    loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.float32)
    found = torch.cat([s.token_log_probs for row in policy.trained.score(requests()) for s in row])
    with torch.no_grad():
        torch.testing.assert_close(found, expected(loaded), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["bloom", "gpt-oss", "mamba"])
def test_features_are_hidden_states_of_each_text_alone(name: str) -> None:
    oracle = build(name)
    found = answer_features(made(name), requests(), 1)
    rows = [(r.prompt, c) for r in requests() for c in r.continuations]
    for feature, (prompt, continuation) in zip(found, rows, strict=True):
        text = torch.tensor([[*prompt, *continuation]])
        with torch.no_grad():
            states = oracle(text, output_hidden_states=True, use_cache=False).hidden_states
        hidden = states[0 if name == "mamba" else 1][0]  # the others name the embeddings first
        own = hidden[len(prompt) :]
        wanted = torch.cat((own.mean(0), own[-1]))
        torch.testing.assert_close(torch.from_numpy(feature), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_models_that_share_are_not_held_back(family: str, dtype: torch.dtype) -> None:
    model = LanguageModel(plain(family).to(dtype), tokenizer())
    assert not model.unpacked
    assert (model.decoder is not None) == (family != "gpt2")


def test_a_window_that_attention_is_told_of_is_no_obstacle() -> None:
    assert not tiny("gemma3").unpacked
    silent = plain("gpt2")
    silent.config.sliding_window = 64  # as of a model that writes it into its mask
    assert LanguageModel(silent, tokenizer()).unpacked


def test_a_decoder_that_would_be_wrong_is_not_used() -> None:
    model = plain("llama")
    layer = model.model.layers[0]  # behind the last one a norm would undo it
    layer.register_forward_hook(lambda module, given, output: output * 1.5)
    found = LanguageModel(model, tokenizer())
    assert found.unpacked and found.decoder is None
    prompt, answer = texts(3, [6, 4])
    [[scored]] = found.score([PromptWithContinuations(prompt, [answer])])
    with torch.no_grad():
        wanted = alone(model, prompt, answer)
    torch.testing.assert_close(scored.token_log_probs, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["bloom", "llama4", "mamba"])
def test_answers_in_the_making_depend_on_nobody_else(name: str) -> None:
    model, generator = made(name), BatchedGenerator(made(name))
    asked = [
        Request(tuple(prompt), 6 + number, 0.8, 0.9, seed=number, stop=("ab",))
        for number, prompt in enumerate(texts(7, [4, 9, 1, 4], FEW))
    ]
    alone_each = [BatchedGenerator(model).write(request) for request in asked]
    late, *first = [generator.begin(request) for request in asked]
    for each in first:
        generator.read(each)
    live = [each for each in first if each.finish is None]
    generator.step(live)
    generator.read(late)
    live.append(late)
    while live := [each for each in live if each.finish is None]:
        generator.step(live)
    for found, expected in zip([late, *first], alone_each, strict=True):
        assert (found.tokens, found.text, found.finish) == (
            expected.tokens,
            expected.text,
            expected.finish,
        )
        assert found.alone is None  # what it remembered takes no room any more


@pytest.mark.parametrize("wrong", ["numbers", "nothing", "failure"])
def test_a_cache_that_is_wrong_is_not_used(wrong: str) -> None:
    """As MiniMax's, whose cached steps give other numbers than the whole text."""
    oracle, broken = build("falcon"), build("falcon")
    real = broken.forward

    def forward(*given: object, past_key_values: object = None, **named: object) -> object:
        if past_key_values is not None and wrong == "failure":
            raise ValueError("a state of another shape")
        output = real(*given, past_key_values=past_key_values, **named)
        if past_key_values is not None and wrong == "numbers":
            output.logits = output.logits.flip(-1)
        if wrong == "nothing":
            output.past_key_values = None
        return output

    broken.forward = forward  # type: ignore[method-assign]
    model = LanguageModel(broken, tokenizer())
    assert model.unpacked and not model.cached and model.note.endswith(UNCACHED)
    right = made("falcon")
    assert right.cached and right.note == SENTENCE
    prompts, sampling = texts(4, [5, 2], FEW), Sampling(7, seed=3)
    expected = sample(right, prompts, 3, sampling).completions
    found = sample(model, prompts, 3, sampling).completions
    assert [[c.tokens for c in row] for row in found] == [[c.tokens for c in r] for r in expected]
    request = Request(tuple(prompts[0]), 7, seed=3)
    assert BatchedGenerator(model).write(request).tokens == list(expected[0][0].tokens)
    with torch.no_grad():
        scores = alone(oracle, prompts[0], found[0][0].tokens)
    log_probs = torch.tensor(found[0][0].token_log_probs)
    torch.testing.assert_close(log_probs, scores, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["bloom", "mamba"])
def test_the_engine_serves_them_side_by_side(name: str) -> None:
    model = made(name)
    asked = [Request(tuple(prompt), 7, seed=n) for n, prompt in enumerate(texts(7, [4, 9, 1], FEW))]
    ended: Queue[str] = Queue()
    engine = Engine(model)
    try:
        hear = [lambda finish: ended.put(finish) if finish else None] * len(asked)
        handles = engine.submit(asked, hear)
        finishes = [ended.get(timeout=60) for _ in handles]
    finally:
        engine.close()
    assert set(finishes) <= {"stop", "length"}
    for request, handle in zip(asked, handles, strict=True):
        expected = BatchedGenerator(model).write(request)
        assert handle.generation.tokens == expected.tokens


@pytest.mark.parametrize("name", ["llama4", "mamba"])
def test_the_server_scores_texts_as_the_model_does(name: str) -> None:
    rows = texts(9, [5, 3, 1, 8], FEW)
    scored = score_texts(made(name), rows, alternatives=2)
    for row, tokens in zip(rows, scored, strict=True):
        assert [each.token for each in tokens] == row and tokens[0].log_prob is None
        if len(row) > 1:
            with torch.no_grad():
                wanted = alone(build(name), row[:1], row[1:])
            found = torch.tensor([each.log_prob for each in tokens[1:]])
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
            assert all(len(each.likeliest) == 2 for each in tokens[1:])
    assert scoring_bytes(made(name), [5, 8], 2) > 0


def test_a_model_that_cannot_be_run_is_refused() -> None:
    model = plain("gpt2")

    def broken(*_: object, **__: object) -> None:
        raise ValueError("wants pixels")

    model.forward = broken  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"'gpt2' models can't be run on a text alone \(wants pix"):
        LanguageModel(model, tokenizer())
