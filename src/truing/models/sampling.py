"""Sampling many completions of many prompts.

Each prompt is computed once for all its samples, a prefix common to the batch once for all prompts,
and finished rows leave. Randomness belongs to the row: sample s of a prompt draws the same uniform
numbers whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

from truing.models.engine.batch_cache import Prefill, SharedCache
from truing.models.engine.threads import in_parallel
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.engine.unpacked import generate_alone
from truing.models.language_model import LanguageModel
from truing.types import Completion, InputError, stable_hash

ROWS = 128  # completions sampled side by side
ROWS_OF_A_WORKER = 64
"""With fewer rows, passes wait for the weights to be read: one is then faster than two at once."""
DRAWN = 32  # of which so many are drawn at once: their scores fit the processor's cache


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn. Temperature 0 takes the likeliest token (ties: the lowest id).

    The log-probabilities returned are those of the distribution that is sampled from:
    softmax(logits / temperature), and softmax(logits) for temperature 0.
    """

    max_new_tokens: int
    temperature: float = 1.0
    seed: int = 0
    stop: str = ""  # a text that ends an answer, beside the model's end token

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise InputError(f"max_new_tokens: must be at least 1, got {self.max_new_tokens}")
        if self.temperature < 0:
            raise InputError(f"temperature: must be 0 or more, got {self.temperature}")


@dataclass(frozen=True)
class Sampled:
    """The completions of each prompt and the mean entropy of the distributions drawn from (nats)."""

    completions: list[list[Completion]]
    entropy: float
    tokens: int


class _Rows:
    """What has been drawn so far, by the row's first slot number."""

    def __init__(self, count: int) -> None:
        self.tokens: list[list[int]] = [[] for _ in range(count)]
        self.log_probs: list[list[float]] = [[] for _ in range(count)]
        self.finished = [False] * count
        self.entropy = 0.0
        self.drawn = 0


def uniforms(prompt: Sequence[int], seed: int, sample: int, count: int) -> Tensor:
    """(count,) numbers in [0, 1) that depend on the seed, the prompt and the sample's number alone.

    Fewer of them are the first of more.
    """
    name = stable_hash("sample", str(seed), ",".join(map(str, prompt)), str(sample))
    generator = torch.Generator().manual_seed(int(name[:15], 16))
    return torch.rand(count, generator=generator)


def _all_uniforms(prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling) -> Tensor:
    """(R, T) those of every sample of every prompt, in order."""
    return torch.stack(
        [
            uniforms(prompt, sampling.seed, s, sampling.max_new_tokens)
            for prompt in prompts
            for s in range(samples)
        ]
    )


def _draw(
    scores_NV: Tensor, uniform_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (N,), their log-probabilities (N,) and the sum of the distributions' entropies (1,).

    A row of scores is as long as the vocabulary: it is gone over as few times as possible.
    """
    scaled_NV = scores_NV if temperature in (0, 1) else scores_NV / temperature
    centred_NV = scaled_NV - scaled_NV.amax(-1, keepdim=True)
    weight_NV = centred_NV.exp()
    # exp(x) x is 0 where x is -inf.
    inner_N = torch.linalg.vecdot(weight_NV, centred_NV.clamp_(min=-1e4))
    if temperature == 0:
        total_N = weight_NV.sum(-1)
        token_N = scores_NV.argmax(-1)
    else:
        cumulative_NV = weight_NV.cumsum(-1)
        total_N = cumulative_NV[:, -1]
        token_N = torch.searchsorted(cumulative_NV, (uniform_N * total_N)[:, None], right=True)[
            :, 0
        ]
        token_N = token_N.clamp_(max=scores_NV.shape[-1] - 1)
    log_total_N = total_N.log()
    entropy_1 = (log_total_N - inner_N / total_N).sum(0, keepdim=True)
    log_prob_N = centred_NV.gather(-1, token_N[:, None])[:, 0] - log_total_N
    return token_N, log_prob_N, entropy_1


@dataclass(frozen=True)
class _Drawn:
    """One step's tokens on the device, and all that is asked of them in Python."""

    token_N: Tensor
    tokens: list[int]
    log_probs: list[float]
    entropy: float

    @staticmethod
    def of(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> _Drawn:
        """What `_draw` gave for some rows after others. Waits for the device once."""
        tokens, log_probs, entropies = zip(*parts, strict=True)
        token_N = torch.cat(tokens)
        N = len(token_N)
        # Float32 holds every token's number: vocabularies have fewer than 2^24.
        values = torch.cat((token_N.float(), *log_probs, *entropies)).tolist()
        return _Drawn(
            token_N, [int(v) for v in values[:N]], values[N : 2 * N], sum(values[2 * N :])
        )


def _draw_all(
    model: LanguageModel, hidden_NE: Tensor, uniform_N: Tensor, temperature: float
) -> _Drawn:
    """`_draw` for hidden states (N, E), some rows at a time."""
    pairs = zip(hidden_NE.split(DRAWN), uniform_N.split(DRAWN), strict=True)
    return _Drawn.of(
        [_draw(model.next_token_scores(h), uniform, temperature) for h, uniform in pairs]
    )


@torch.inference_mode()
def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    samples: int,
    sampling: Sampling,
    progress: Callable[[int], None] = lambda rows: None,
) -> Sampled:
    """`samples` completions of each prompt, in order. `progress` is told of each finished row.

    Raises InputError where a prompt and its completion don't fit the model's context.
    """
    for number, prompt in enumerate(prompts, 1):
        model.check_length(len(prompt) + sampling.max_new_tokens, f"prompt {number}")
    told = Lock()

    def tell(rows: int) -> None:
        with told:
            progress(rows)

    def sampled(part: Sequence[Sequence[int]]) -> _Rows:
        return _sample_batch(model, part, samples, sampling, tell)

    together = min(model.workers, max(1, len(prompts) * samples // ROWS_OF_A_WORKER))
    parts = _shared_out(prompts, samples, together)
    every = in_parallel(sampled, parts, together)
    completions: list[list[Completion]] = []
    for part, rows in zip(parts, every, strict=True):
        finished = [
            _completion(model, part[row // samples], rows, row) for row in range(len(rows.tokens))
        ]
        completions += [finished[i : i + samples] for i in range(0, len(finished), samples)]
    drawn = sum(rows.drawn for rows in every)
    return Sampled(completions, sum(rows.entropy for rows in every) / max(drawn, 1), drawn)


def _shared_out(
    prompts: Sequence[Sequence[int]], samples: int, together: int
) -> list[Sequence[Sequence[int]]]:
    """The prompts in parts of about one size, of which `together` make `ROWS` rows at most."""
    most = max(1, ROWS // samples // together)
    parts = max(1, -(-len(prompts) // (most * together))) * together
    size = max(1, -(-len(prompts) // parts))
    return [prompts[start : start + size] for start in range(0, len(prompts), size)]


def _completion(model: LanguageModel, prompt: Sequence[int], rows: _Rows, row: int) -> Completion:
    """Its text is what is said, without thoughts; its tokens are all that were drawn."""
    tokens = rows.tokens[row]
    ended = bool(tokens) and tokens[-1] in model.end_tokens
    text = model.speech.reply(prompt, model.decode(tokens[:-1] if ended else tokens))
    return Completion(text, tuple(tokens), tuple(rows.log_probs[row]), rows.finished[row])


def _sample_batch(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    samples: int,
    sampling: Sampling,
    progress: Callable[[int], None],
) -> _Rows:
    if model.unpacked:
        return _sample_alone(model, prompts, samples, sampling, progress)
    requests = [PromptWithContinuations(prompt, ()) for prompt in prompts]
    prefill = Prefill(TokenTree(requests, device=model.device))
    tree = prefill.tree
    hidden_NE = model.hidden(tree.tokens_N, tree.positions_N, prefill)
    cache = SharedCache(prefill, samples, sampling.max_new_tokens)
    hidden_NE = hidden_NE[tree.prompt_last_P].repeat_interleave(samples, dim=0)
    rows = _Rows(len(prompts) * samples)
    live = list(range(len(rows.tokens)))
    uniform_RT = _all_uniforms(prompts, samples, sampling).to(model.device)
    uniform_NT = uniform_RT
    for step in range(sampling.max_new_tokens):
        drawn = _draw_all(model, hidden_NE, uniform_NT[:, step], sampling.temperature)
        ended = _record(model, rows, live, drawn, sampling.stop)
        if step == sampling.max_new_tokens - 1:
            progress(len(live))
            break
        progress(sum(ended))
        going = [place for place, end in enumerate(ended) if not end]
        if not going:
            break
        token_N = drawn.token_N
        if len(going) < len(live):
            place_N = torch.tensor(going).to(model.device)
            token_N, uniform_NT = token_N[place_N], uniform_NT[place_N]
            live = [live[place] for place in going]
        cache.keep(going)
        hidden_NE = model.hidden(token_N, cache.positions(), cache)
        cache.advance()
    return rows


def _sample_alone(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    samples: int,
    sampling: Sampling,
    progress: Callable[[int], None],
) -> _Rows:
    """The same through the model's own cache, for a model that can't share prompts."""
    cached = model.cached
    rows = _Rows(len(prompts) * samples)
    uniform_RT = _all_uniforms(prompts, samples, sampling).to(model.device)

    def draw(places: Sequence[int], scores_NV: Tensor) -> tuple[Tensor, list[bool]]:
        step = len(rows.tokens[places[0]])
        row_N = torch.tensor(list(places)).to(model.device)
        uniform_N = uniform_RT[row_N, step]
        drawn = _Drawn.of([_draw(scores_NV, uniform_N, sampling.temperature)])
        ended = _record(model, rows, places, drawn, sampling.stop)
        last = step == sampling.max_new_tokens - 1
        progress(len(places) if last else sum(ended))
        return drawn.token_N, ended

    each = [prompt for prompt in prompts for _ in range(samples)]
    with model.precision():
        generate_alone(model.model, each, sampling.max_new_tokens, draw, cached=cached)
    return rows


def _record(
    model: LanguageModel, rows: _Rows, live: Sequence[int], drawn: _Drawn, stop: str
) -> list[bool]:
    """Notes a step of the live rows. Which of them it ends: by an end token, or by the stop text."""
    ends = model.end_tokens
    rows.entropy += drawn.entropy
    rows.drawn += len(live)
    for row, token, log_prob in zip(live, drawn.tokens, drawn.log_probs, strict=True):
        tokens = rows.tokens[row]
        tokens.append(token)
        rows.log_probs[row].append(log_prob)
        rows.finished[row] = token in ends or (bool(stop) and _has_stopped(model, tokens, stop))
    return [rows.finished[row] for row in live]


def _has_stopped(model: LanguageModel, tokens: Sequence[int], stop: str) -> bool:
    """Whether the last token completes the stop text.

    A character has at most four tokens, and the few more in front keep the text's beginning, where
    tokenizers drop a space, away from it.
    """
    return stop in model.decode(tokens[-4 * len(stop) - 8 :])
