"""Whether a server samples the policy that learns here: found out before any time is spent.

What no importance ratio makes good, or would hide, is refused in one line that says what is right:
another tokenizer, other weights, log-probabilities of another distribution than the one that is drawn
from, adapters that change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from truing.models.language_model import LanguageModel
from truing.models.remote.client import EndpointError, Refused
from truing.models.remote.vllm import Request, VllmServer
from truing.policies.adapter_versions import AdapterVersions
from truing.policies.language import LanguagePolicy, PromptCompletion, text_log_probs
from truing.policies.served_sampler import refused
from truing.policies.trajectories import length_mask
from truing.types import InputError

APART = 0.25
"""Nats per token by which a server's log-probabilities of known text may differ from ours: what bfloat16
makes of unlikely tokens is a tenth to a fifth of that."""
TEMPERATURE = 2.0
"""Of the trial's samples: raw and processed log-probabilities of what is drawn at it are nats apart."""
SHAKEN = 0.05
"""How far a trial's adapter is from no change."""
_TEXT = (
    'The 3 cats (of 12) said: "Don\'t!"\n\tNaïve café — x_y = f(2.50); Жизнь, 生活, ζωή. '
    "Water boils at 100 degrees, and the capital of France is Paris."
)


def check_server(server: VllmServer, model: LanguageModel, prompt: Sequence[int]) -> None:
    """Raises InputError where the server's base isn't the model, or its log-probabilities aren't those of
    what it draws from. `prompt` is one of the training's."""
    with _in_words(server):
        own = model.encode(_TEXT)
        if server.tokens(_TEXT) != own:
            raise _wrong(
                server, f"has another tokenizer than the model that learns; {_right(model)}"
            )
        for tokens in (own, list(prompt)):
            apart = _apart(server.scores(tokens), _own_scores(model, tokens))
            if apart > APART:
                raise _wrong(
                    server,
                    f"has other weights than the model that learns: log-probabilities of a known text are "
                    f"{apart:.2f} nats per token apart; {_right(model)}",
                )
        _check_samples(server, model, prompt)


def _right(model: LanguageModel) -> str:
    folder = model.model.config.name_or_path
    return f"serve {folder}" if folder else "serve the model that learns"


def _check_samples(server: VllmServer, model: LanguageModel, prompt: Sequence[int]) -> None:
    ends = tuple(sorted(model.end_tokens))
    drawn = server.draw_base(Request(tuple(prompt), 4, 16, TEMPERATURE, 0, ends))
    actions = [PromptCompletion(tuple(prompt), each.tokens) for each in drawn]
    mask_BT = length_mask([len(action.tokens) for action in actions])
    given_C = torch.tensor([value for each in drawn for value in each.log_probs])
    with torch.no_grad():
        processed_C, raw_C = (
            text_log_probs(model, actions, mask_BT, temperature)[mask_BT]
            for temperature in (TEMPERATURE, 1.0)
        )
    processed, raw = (float((given_C - own).abs().mean()) for own in (processed_C, raw_C))
    if raw < processed:
        raise _wrong(
            server,
            "gives raw log-probabilities, from before the temperature, and learning needs those of what "
            "is drawn from; start it with --logprobs-mode processed_logprobs",
        )
    if processed > APART:
        raise _wrong(
            server,
            f"gives log-probabilities that are {processed:.2f} nats per token from those of what it should "
            "draw from; start it with --logprobs-mode processed_logprobs, without logits processors",
        )


def check_adapters(
    server: VllmServer, policy: LanguagePolicy, folder: Path, prompt: Sequence[int]
) -> None:
    """Raises InputError where the server takes no adapters, or they don't change its answers as they do
    here. An adapter far from no change is written to the folder for it, and goes again."""
    base = _own_scores(policy.trained, prompt)
    trials = AdapterVersions(folder, policy, "base")
    with _shaken(policy):
        name = trials.write(0)
        own = _own_scores(policy.trained, prompt)
    try:
        with _in_words(server):
            server.load(name, folder / name)
            given = server.scores(prompt, name)
            server.unload(name)
    finally:
        trials.remove(name)
    apart, moved = _apart(given, own), _apart(base.tolist(), own)
    if apart > moved / 3:
        raise _wrong(
            server,
            f"doesn't apply adapters as they are applied here: a known text is {apart:.2f} nats per token "
            f"from where an adapter takes it, which is {moved:.2f} away; use an adapter of a kind that it "
            "takes whole",
        )


@contextmanager
def _shaken(policy: LanguagePolicy) -> Iterator[None]:
    """With other parameters; then with the same as before, to the bit."""
    before = {name: value.detach().clone() for name, value in policy.parameters.items()}
    generator = torch.Generator().manual_seed(0)
    policy.set_parameters(
        {
            name: value + SHAKEN * torch.randn(value.shape, generator=generator).to(value.device)
            for name, value in before.items()
        }
    )
    try:
        yield
    finally:
        policy.set_parameters(before)


@torch.no_grad()
def _own_scores(model: LanguageModel, tokens: Sequence[int]) -> Tensor:
    """(T - 1,) log-probabilities (nats) of a text's tokens but the first."""
    action = PromptCompletion(tuple(tokens[:1]), tuple(tokens[1:]))
    return text_log_probs(model, [action], length_mask([len(action.tokens)]))[0]


def _apart(given: Sequence[float], own: Tensor) -> float:
    """The mean absolute difference; where one is infinite, so is it."""
    return float((torch.tensor(given) - own).abs().mean())


@contextmanager
def _in_words(server: VllmServer) -> Iterator[None]:
    """Raises InputError for what the server refuses, and where it can't be reached."""
    try:
        yield
    except Refused as error:
        raise refused(server, error) from None
    except EndpointError as error:
        raise _wrong(server, f"{error}; see that it runs and that the URL is right") from None


def _wrong(server: VllmServer, what: str) -> InputError:
    return InputError(f"compute.sampler: {server} {what}")
