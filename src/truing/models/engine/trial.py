"""What a model's code lets us do, found out by trial when it is loaded.

Three questions: whether packed passes give the numbers of each text alone, whether texts packed side by
side are hidden from one another, and whether the model's own cache gives the numbers of the whole text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from truing.models.engine.attention import ScoreRule, use_plans
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.engine.unpacked import generate_alone, log_probs_alone, rows_of
from truing.types import InputError

FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError)
"""What code of `transformers` raises where it is given, or not given, what it wasn't written for."""
LogProbs = Callable[[TokenTree], Tensor]
"""Log-probabilities (C,) of a tree's continuation tokens by a packed pass. Differentiable."""


def shares_prompts(model: PreTrainedModel, log_probs: LogProbs) -> bool:
    """Lets plans in where packed passes give the numbers of the model's own pass.

    Raises InputError where the model can't be run at all.
    """
    attention = model.config._attn_implementation
    if getattr(model.config, "attn_logit_softcapping", None):
        attention = "eager"  # the others leave the softcap out
        model.set_attn_implementation(attention)
    tree = ProbeTree(model)
    try:
        with torch.no_grad():
            expected, _ = log_probs_alone(model, tree.requests)
    except FAILURES as error:
        kind = model.config.model_type
        raise InputError(
            f"model: {kind!r} models can't be run on a text alone ({error}); use a causal "
            "language model like Llama, Qwen, Gemma, Mistral or GPT-2"
        ) from error
    if bool(expected.isnan().any()):
        raise InputError(
            f"model: {model.name_or_path or model.config.model_type}: it scores a text of arbitrary tokens "
            "with NaN, so its weights are damaged; copy or convert them again"
        )
    if not use_plans(model):
        return False
    try:
        # With gradients, so that no copy of the weights is made for so small a pass.
        with torch.enable_grad(), _frozen(model):
            shares = _agrees_and_hides(model, tree, log_probs, expected)
    except FAILURES:
        shares = False  # the model's own code wants something that a plan doesn't give
    if not shares:
        model.set_attn_implementation(attention)
    return shares


@contextmanager
def _frozen(model: PreTrainedModel) -> Iterator[None]:
    """No parameter gets a gradient meanwhile."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _agrees_and_hides(
    model: PreTrainedModel, tree: ProbeTree, log_probs: LogProbs, expected: Tensor
) -> bool:
    """Whether the tree's pass gives what is expected, and no text in it depends on its neighbours.

    Rounding could hide a weak dependence; the gradient of one text's log-probabilities by the embeddings
    of the others' tokens is exactly 0 where there is none, in any precision.
    """
    embeddings: list[Tensor] = []

    def remember(module: torch.nn.Module, given: object, output: Tensor) -> Tensor:
        embeddings.append(output.detach().requires_grad_())
        return embeddings[-1].clone()

    handle = model.get_input_embeddings().register_forward_hook(remember)
    try:
        log_probs_C = log_probs(tree)
    finally:
        handle.remove()
    if not agree(log_probs_C.detach(), expected, model.dtype):
        return False
    if hides_a_window(model, tree.windows):
        return False
    if not embeddings:  # our own decoder, in which attention is all that joins tokens
        return True
    own = log_probs_C[tree.owner_C == tree.continuations - 1].sum()
    (gradient,) = torch.autograd.grad(own, embeddings[:1])
    return not bool(gradient.flatten(0, -2)[tree.hidden_from_last()].any())


class ProbeTree(TokenTree):
    """A small tree of arbitrary tokens, which notes the windows that attention is told of."""

    def __init__(self, model: PreTrainedModel) -> None:
        tokens = probe_tokens(model)
        requests = (
            PromptWithContinuations(tokens[:9], [tokens[9:14], tokens[14:16]]),
            PromptWithContinuations([*tokens[:5], *tokens[16:20]], [tokens[20:]]),
        )
        super().__init__(requests, device=model.device)
        self.windows: set[int | None] = set()

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        self.windows.add(rule.window)
        return super().attend(layer, query_NHD, key_NKD, value_NKD, rule)

    def hidden_from_last(self) -> list[int]:
        """Packed places of the tokens that the last continuation must not see."""
        own, _ = self.prompt_places()
        first = int(self.last_B[-1]) - len(self.requests[-1].continuations[-1]) + 2
        leaves = range(int(self.prompt_last_P.max()) + 1, first)
        return [*own, *leaves]


def probe_tokens(model: PreTrainedModel) -> list[int]:
    """24 arbitrary tokens."""
    top = min(int(model.config.get_text_config().vocab_size), 1000) - 1
    return [1 + (7919 * place) % top for place in range(24)]


def agree(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether log-probabilities that were computed in `dtype` differ by rounding alone."""
    apart = (found - expected).abs()
    if dtype in (torch.float32, torch.float64):
        return bool(apart.max() <= 1e-3)
    return bool(apart.mean() <= 0.3)


def hides_a_window(model: PreTrainedModel, windows: set[int | None]) -> bool:
    """Whether the configuration speaks of a window, longer than the probe, that attention isn't told
    of: it would stand in a mask, which plans don't read."""
    config = model.config.get_text_config()
    set_ = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    kinds = getattr(config, "layer_types", None)
    used = kinds is None or any(kind != "full_attention" for kind in kinds)
    return used and any(set_) and windows <= {None}


@torch.inference_mode()
def cache_agrees(model: PreTrainedModel) -> bool:
    """Whether the cache of the model's own, a token at a time, gives the numbers of the whole text.

    A few steps from prompts of one token and of nine, two of them side by side.
    """
    tokens = probe_tokens(model)
    requests = (
        PromptWithContinuations(tokens[:9], [tokens[9:14], tokens[14:19]]),
        PromptWithContinuations(tokens[:1], [tokens[1:4]]),
    )
    rows = rows_of(requests)
    expected, _ = log_probs_alone(model, requests)
    stepwise: list[list[Tensor]] = [[] for _ in rows]

    def next_tokens(places: Sequence[int], logits_NV: Tensor) -> tuple[Tensor, list[bool]]:
        targets = [rows[place][1][len(stepwise[place])] for place in places]
        for place, target, logits_V in zip(places, targets, logits_NV, strict=True):
            stepwise[place].append(logits_V.log_softmax(-1)[target])
        ended = [len(stepwise[place]) == len(rows[place][1]) for place in places]
        return torch.tensor(targets).to(logits_NV.device), ended

    try:
        generate_alone(model, [prompt for prompt, _ in rows], 5, next_tokens, cached=True)
    except FAILURES:
        return False
    return agree(torch.stack([each for row in stepwise for each in row]), expected, model.dtype)
