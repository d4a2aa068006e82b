"""How much memory a learning step takes, by arithmetic: the step itself, run on tensors without numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from truing.models.adapter import add_adapter
from truing.models.engine.checkpointing import layers_of
from truing.models.engine.traced import PeakBytes, empty_model, peak_bytes
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.footprint import Footprint, Need, Texts
from truing.models.language_model import LanguageModel
from truing.policies.checkpointing import within_memory
from truing.policies.language import PromptCompletion, pieces, requests_of
from truing.spec.compute import Checkpointing
from truing.spec.run import AdapterSpec

_MOMENTS = 2  # numbers that AdamW holds for each number in training
_FLOAT = torch.float32.itemsize  # of what is in training


def learning(
    footprint: Footprint, texts: Texts, adapter: AdapterSpec, *, checkpointing: bool
) -> Need:
    """A step that learns from these texts, in the pieces that a policy takes them in.

    Copies that sampling needs are gone while a policy learns, but for an unchanged output layer's.
    """
    full = adapter.kind == "full"
    trained = _FLOAT * _trained(footprint, adapter)
    within = _within(footprint, texts, adapter, checkpointing)
    parts = {
        "weights": footprint.weights(),
        "copies of the weights": 0 if full else footprint.head_copy(),
        "weights in training": trained,
        "optimizer": _MOMENTS * trained,
        "activations and gradients": within if full else within - trained,
    }
    return Need("learning", parts)


def _trained(footprint: Footprint, adapter: AdapterSpec) -> int:
    """How many numbers are trained."""
    if adapter.kind == "full":
        return sum(parameter.numel() for parameter in footprint.model.parameters())
    model = empty_model(footprint.config, footprint.dtype).requires_grad_(False)
    add_adapter(model, adapter, seed=0)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _within(footprint: Footprint, texts: Texts, adapter: AdapterSpec, checkpointing: bool) -> int:
    """The most bytes beside weights and optimizer; a low-rank adapter's own weights are among them."""
    full = adapter.kind == "full"
    when: Checkpointing = "always" if checkpointing else "never"
    half = footprint.dtype == torch.bfloat16
    passes = _passes(texts)

    def step(model: PreTrainedModel, tree: TokenTree, counted: PeakBytes) -> None:
        model.requires_grad_(full)
        if not full:
            add_adapter(model, adapter, seed=0)
        if len(passes) > 1:  # gradients of the passes before are there already
            for weight in filter(lambda each: each.requires_grad, model.parameters()):
                weight.grad = torch.zeros_like(weight)
        trained = LanguageModel(model, _no_tokenizer())
        with (
            torch.autocast("cpu", torch.bfloat16) if half else nullcontext(),
            within_memory(trained, when, ()),
        ):
            log_probs_C = trained.continuation_log_probs(tree)
        # Where the gradient reaches the layers: from there on theirs grow, and what was kept shrinks.
        layers = layers_of(model) or [model]
        last = [weight for weight in layers[-1].parameters() if weight.requires_grad][-1]
        last.register_hook(lambda gradient: counted.lap())
        log_probs_C.sum().backward()

    dtype = torch.float32 if full else footprint.dtype
    return peak_bytes(footprint.config, dtype, max(passes, key=_tokens), step)


def _passes(texts: Texts) -> list[list[PromptWithContinuations]]:
    """The pieces that a step goes through the model in."""
    actions = [
        PromptCompletion(tuple(request.prompt), tuple(answer))
        for request in texts.requests()
        for answer in request.continuations
    ]
    return [requests_of([actions[place] for place in piece]) for piece in pieces(actions)]


def _tokens(requests: Sequence[PromptWithContinuations]) -> int:
    return sum(len(r.prompt) + sum(map(len, r.continuations)) for r in requests)


def _no_tokenizer() -> PreTrainedTokenizerFast:
    """A pass over tokens reads and writes no text."""
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"": 0}, "")))
