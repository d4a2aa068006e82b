"""How much memory a learning step takes, by arithmetic: the step itself, run on tensors without numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from truing.models.adapter import add_adapter
from truing.models.engine.checkpointing import layers_of
from truing.models.engine.sharding import matrices_of
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
    footprint: Footprint,
    texts: Texts,
    adapter: AdapterSpec,
    *,
    checkpointing: bool,
    int8: bool = False,
) -> Need:
    """A step that learns from these texts, in the pieces that a policy takes them in.

    Copies that sampling needs are gone while a policy learns, but for an unchanged output layer's, and
    those in eight bits (`int8`) of weights that an adapter leaves as they are.
    """
    full = adapter.kind == "full"
    trained = _FLOAT * _trained(footprint, adapter)
    within = _within(footprint, texts, adapter, checkpointing)
    kept = footprint.int8_copies() if int8 else 0
    parts = {
        "weights": footprint.weights(),
        "copies of the weights": 0 if full else footprint.head_copy() + kept,
        "weights in training": trained,
        "optimizer": _MOMENTS * trained,
        "activations and gradients": within if full else within - trained,
        **footprint.put_together(torch.float32 if full else None),
    }
    return Need("learning", parts)


def _trained(footprint: Footprint, adapter: AdapterSpec) -> int:
    """How many numbers are trained."""
    if adapter.kind == "full":
        return footprint.numbers()
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
        later = len(passes) > 1  # gradients of the passes before are there already
        shared = _SharedGradients(model, footprint, later) if full else None
        if later:
            for weight in filter(lambda each: each.requires_grad, model.parameters()):
                if shared is None or id(weight) not in shared.matrices:
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


class _SharedGradients:
    """Gradients of layers that are shared out: this process keeps its rows (engine/sharding.py)."""

    def __init__(self, model: PreTrainedModel, footprint: Footprint, later: bool) -> None:
        self._footprint, self._later = footprint, later
        self._rows: list[torch.Tensor] = []
        self.matrices: set[int] = set()
        """Whose gradients these are, by `id`."""
        if footprint.processes == 1:
            return
        for layer in {id(layer): layer for layer in layers_of(model) or ()}.values():
            matrices = list(matrices_of(layer))
            self.matrices |= set(map(id, matrices))
            if later:
                self._keep_rows(matrices)
            for matrix in matrices:
                matrix.register_post_accumulate_grad_hook(partial(self._arrived, matrices))

    def _keep_rows(self, matrices: Sequence[torch.nn.Parameter]) -> None:
        self._rows += [torch.zeros(self._footprint.share(matrix)) for matrix in matrices]

    def _arrived(self, matrices: Sequence[torch.nn.Parameter], matrix: torch.Tensor) -> None:
        """Once all are there they are summed over processes, laid out for that, and let go."""
        if any(each.grad is None for each in matrices):
            return
        count = self._footprint.processes
        laid_out = [torch.zeros(count * self._footprint.share(each)) for each in matrices]
        if not self._later:
            self._keep_rows(matrices)
        del laid_out
        for each in matrices:
            each.grad = None


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
