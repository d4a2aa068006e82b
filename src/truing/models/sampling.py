"""Sampling many completions of many prompts.

Each prompt is computed once for all its samples, a prefix common to the batch once for all prompts,
and finished rows leave. Randomness belongs to the row: sample s of a prompt draws the same uniform
numbers whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

import torch
from torch import Tensor

from truing.models.drawing import Drawn, draw_all, draw_tokens
from truing.models.engine.batch_cache import SharedCache
from truing.models.engine.prefill import run_prompts
from truing.models.engine.room import in_room
from truing.models.engine.slot_cache import SlotCache
from truing.models.engine.threads import in_parallel
from truing.models.engine.unpacked import generate_alone
from truing.models.language_model import LanguageModel
from truing.models.sample_plan import Part, Rows, SamplePlan
from truing.types import Completion, InputError, stable_hash


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


def uniforms(prompt: Sequence[int], seed: int, sample: int, count: int) -> Tensor:
    """(count,) numbers in [0, 1) that depend on the seed, the prompt and the sample's number alone.

    Fewer of them are the first of more.
    """
    name = stable_hash("sample", str(seed), ",".join(map(str, prompt)), str(sample))
    generator = torch.Generator().manual_seed(int(name[:15], 16))
    return torch.rand(count, generator=generator)


def _all_uniforms(part: Part, sampling: Sampling) -> Tensor:
    """(R, T) those of every row, in order."""
    count = max(part.longest)
    return torch.stack(
        [uniforms(prompt, sampling.seed, s, count) for prompt in part.prompts for s in part.samples]
    )


@torch.inference_mode()
def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    samples: int,
    sampling: Sampling,
    progress: Callable[[int], None] = lambda rows: None,
    *,
    longest: Sequence[int] | None = None,
) -> Sampled:
    """`samples` completions of each prompt, in order. `progress` is told of each finished row.

    `longest`: how many new tokens each prompt gets at most, where that isn't `max_new_tokens` for all.
    Raises InputError where a prompt and its completion don't fit the model's context.
    """
    batch = Batch(prompts, longest or [sampling.max_new_tokens] * len(prompts), sampling, samples)
    [(_, sampled)] = sample_each(model, [batch], progress)
    return sampled


@dataclass(frozen=True)
class Batch:
    """Prompts that are sampled in one plan of passes; `longest`: new tokens of each at most."""

    prompts: Sequence[Sequence[int]]
    longest: Sequence[int]
    sampling: Sampling
    samples: int = 1


@torch.inference_mode()
def sample_each(
    model: LanguageModel,
    batches: Iterable[Batch],
    progress: Callable[[int], None] = lambda rows: None,
) -> Iterator[tuple[int, Sampled]]:
    """Batch by batch as `sample` does, with the batch's number: here in order, each begun when the one
    before was taken; elsewhere several at once, as they are finished."""
    told = Lock()
    plans: dict[int, SamplePlan] = {}  # until their rows are there

    def tell(rows: int) -> None:
        with told:
            progress(rows)

    def planned() -> Iterator[tuple[SamplePlan, Sampling]]:
        for number, batch in enumerate(batches):
            for place, (prompt, most) in enumerate(
                zip(batch.prompts, batch.longest, strict=True), 1
            ):
                model.check_length(len(prompt) + most, f"prompt {place}")
            plans[number] = SamplePlan.of(model, batch.prompts, batch.samples, batch.longest)
            yield plans[number], batch.sampling

    if model.elsewhere is not None:
        for number, every in model.elsewhere.sampled(planned(), tell):
            yield number, _in_order(model, plans.pop(number), every)
        return
    for number, (plan, sampling) in enumerate(planned()):
        work = partial(sample_part, model, sampling=sampling, progress=tell)
        every = in_parallel(work, plan.parts, plan.together)
        yield number, _in_order(model, plans.pop(number), every)


def _in_order(model: LanguageModel, plan: SamplePlan, every: Sequence[Rows]) -> Sampled:
    """What each part's rows come to, in the order of the prompts."""
    by_number: dict[int, list[Completion]] = {}
    samples = plan.samples
    for share, part, rows in zip(plan.shares, plan.parts, every, strict=True):
        each = [
            _completion(model, part.prompts[row // samples], rows, row) for row in range(len(part))
        ]
        for place, number in enumerate(share):
            by_number[number] = each[place * samples : (place + 1) * samples]
    drawn = sum(rows.drawn for rows in every)
    completions = [by_number[number] for number in range(len(by_number))]
    return Sampled(completions, sum(rows.entropy for rows in every) / max(drawn, 1), drawn)


def _completion(model: LanguageModel, prompt: Sequence[int], rows: Rows, row: int) -> Completion:
    """Its text is what is said, without thoughts; its tokens are all that were drawn."""
    tokens = rows.tokens[row]
    ended = bool(tokens) and tokens[-1] in model.end_tokens
    text = model.speech.reply(prompt, model.decode(tokens[:-1] if ended else tokens))
    return Completion(text, tuple(tokens), tuple(rows.log_probs[row]), rows.finished[row])


def sample_part(
    model: LanguageModel,
    part: Part,
    sampling: Sampling,
    progress: Callable[[int], None] = lambda rows: None,
) -> Rows:
    """The rows of a part, sampled side by side, or where memory runs out in smaller parts."""
    heard, done = 0, 0  # rows that progress was told of, and rows of the parts that are through

    def sampled(part: Part) -> Rows:
        nonlocal done
        ended = 0

        def tell(rows: int) -> None:
            nonlocal heard, ended
            ended += rows
            if done + ended > heard:
                progress(done + ended - heard)
                heard = done + ended

        rows = _sample_batch(model, part, sampling, tell)
        done += len(part)
        return rows

    return Rows.joined(in_room(sampled, part, model.room, Part.halves))


def _sample_batch(
    model: LanguageModel, part: Part, sampling: Sampling, progress: Callable[[int], None]
) -> Rows:
    if model.unpacked:
        return _sample_alone(model, part, sampling, progress)
    prompts, samples = part.prompts, len(part.samples)
    ran = run_prompts(model.hidden, prompts, model.device, model.pack_tokens)
    kind = SharedCache if model.device.type == "cpu" else SlotCache
    rows = Rows([most for most in part.longest for _ in part.samples])
    cache = kind(ran, samples, max(rows.longest))
    hidden_NE = ran.hidden_PE.repeat_interleave(samples, dim=0)
    del ran  # the cache has what it needs of it
    live = list(range(len(part)))
    uniform_RT = _all_uniforms(part, sampling).to(model.device)
    uniform_NT = uniform_RT
    for step in range(max(rows.longest)):
        drawn = draw_all(model, hidden_NE, uniform_NT[:, step], sampling.temperature)
        ended = _record(model, rows, live, drawn, sampling.stop)
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
        hidden_NE = model.hidden(cache.to_queries(token_N), cache.positions(), cache)
        hidden_NE = cache.of_live(hidden_NE)
        cache.advance()
    return rows


def _sample_alone(
    model: LanguageModel, part: Part, sampling: Sampling, progress: Callable[[int], None]
) -> Rows:
    """The same through the model's own cache, for a model that can't share prompts."""
    cached = model.cached
    rows = Rows([most for most in part.longest for _ in part.samples])
    uniform_RT = _all_uniforms(part, sampling).to(model.device)

    def draw(places: Sequence[int], scores_NV: Tensor) -> tuple[Tensor, list[bool]]:
        step = len(rows.tokens[places[0]])
        row_N = torch.tensor(list(places)).to(model.device)
        uniform_N = uniform_RT[row_N, step]
        drawn = Drawn.of([draw_tokens(scores_NV, uniform_N, sampling.temperature)])
        ended = _record(model, rows, places, drawn, sampling.stop)
        progress(sum(ended))
        return drawn.token_N, ended

    each = [prompt for prompt in part.prompts for _ in part.samples]
    with model.precision():
        generate_alone(model.model, each, max(rows.longest), draw, cached=cached)
    return rows


def _record(
    model: LanguageModel, rows: Rows, live: Sequence[int], drawn: Drawn, stop: str
) -> list[bool]:
    """Notes a step of the live rows. Which of them end: by an end token, the stop text or their length."""
    rows.entropy += drawn.entropy
    rows.drawn += len(live)
    for row, token, log_prob in zip(live, drawn.tokens, drawn.log_probs, strict=True):
        tokens = rows.tokens[row]
        tokens.append(token)
        rows.log_probs[row].append(log_prob)
        rows.finished[row] = _has_ended(model, tokens, stop)
    return [rows.finished[row] or len(rows.tokens[row]) == rows.longest[row] for row in live]


def _has_ended(model: LanguageModel, tokens: Sequence[int], stop: str) -> bool:
    """Whether the last token ends an answer, or completes the stop text, if there is one.

    A character has at most four tokens, and the few more in front keep the text's beginning, where
    tokenizers drop a space, away from it.
    """
    if tokens[-1] in model.end_tokens:
        return True
    return bool(stop) and stop in model.decode(tokens[-4 * len(stop) - 8 :])


def drawn_elsewhere(
    model: LanguageModel,
    prompt: Sequence[int],
    tokens: Sequence[int],
    log_probs: Sequence[float],
    sampling: Sampling,
) -> Completion | None:
    """What `sample` would have made of tokens that others drew: it ends where an answer ends here, and
    what stands behind is left out. None where they break off before that and below `max_new_tokens`."""
    rows = Rows([sampling.max_new_tokens])
    for token, log_prob in zip(tokens, log_probs, strict=True):
        rows.tokens[0].append(token)
        rows.log_probs[0].append(log_prob)
        if _has_ended(model, rows.tokens[0], sampling.stop):
            rows.finished[0] = True
            break
    whole = rows.finished[0] or len(rows.tokens[0]) == sampling.max_new_tokens
    return _completion(model, prompt, rows, 0) if whole else None
