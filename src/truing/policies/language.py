"""A language model as a policy: it samples completions and evaluates them again with gradients.

Two sets of weights share what they can: the reference (the weights before training) and the weights in
training (the reference's own with an adapter, or a copy of all). Samples come from the latter, by passes
of their own where these are faster.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from truing.models.adapter import adapted, not_adapted
from truing.models.engine.checkpointing import nothing_kept
from truing.models.engine.memory import available_bytes
from truing.models.engine.nesting import common_prefix
from truing.models.engine.room import Room, halves, in_room
from truing.models.engine.sharding import (
    forget_gathered,
    shard_layers,
    shards_of,
    trained,
)
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.features import mean_and_last
from truing.models.language_model import LanguageModel
from truing.models.precision import computed_in, torch_dtype
from truing.policies.checkpointing import within_memory
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.spec.compute import Checkpointing
from truing.spec.run import AdapterSpec
from truing.spec.sampler import Products
from truing.types import Dtype

LEARN_TOKENS = 768  # packed tokens in one learning pass: bounds the memory for activations
_PLENTY = 8  # times a reference's weights: with as much memory free its copies stay between passes


@dataclass(frozen=True)
class PromptCompletion:
    """What a trajectory of text is made of: the prompt's tokens and the tokens chosen."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]


def requests_of(actions: Sequence[PromptCompletion]) -> list[PromptWithContinuations]:
    """Trajectories as prompts with continuations; neighbours with the same prompt share one."""
    requests: list[PromptWithContinuations] = []
    for action in actions:
        if requests and requests[-1].prompt == action.prompt:
            requests[-1].continuations.append(action.tokens)  # type: ignore[attr-defined]
        else:
            requests.append(PromptWithContinuations(action.prompt, [action.tokens]))
    return requests


def pieces(
    actions: Sequence[PromptCompletion], size: int = LEARN_TOKENS, units: Sequence[range] = ()
) -> Iterator[range]:
    """Consecutive trajectories whose packed tokens fit one pass of about `size`.

    A piece that begins with a long prompt may take answers to it until it is twice as long as with the
    first: the prompt then goes through the model a few times, not once for each of its answers. A unit
    (see Trajectories.units) is torn apart only where it doesn't fit one pass.
    """
    distinct = list(dict.fromkeys(action.prompt for action in actions))
    shared = common_prefix(distinct) if len(distinct) > 1 else 0
    ends = [unit.stop for unit in units]
    start = 0
    while start < len(actions):
        stop = _pass_end(actions, start, size, shared)
        whole = [end for end in ends if start < end <= stop]
        stop = whole[-1] if whole else stop
        yield range(start, stop)
        start = stop


def _pass_end(actions: Sequence[PromptCompletion], start: int, size: int, shared: int) -> int:
    """Where a pass that begins at `start` is full; `shared` tokens are common to all prompts."""
    begun = actions[start]
    first = tokens = len(begun.prompt) + len(begun.tokens)
    for place in range(start + 1, len(actions)):
        action = actions[place]
        known = actions[place - 1].prompt == action.prompt
        tokens += len(action.tokens) + (0 if known else len(action.prompt) - shared)
        if tokens > (max(size, 2 * first) if action.prompt == begun.prompt else size):
            return place
    return len(actions)


class LanguagePolicy:
    """A trainable language model beside its frozen reference."""

    def __init__(
        self,
        reference: LanguageModel,
        start: LanguageModel,
        adapter: AdapterSpec,
        dtype: Dtype,
        seed: int,
        temperature: float = 1.0,
        checkpointing: Checkpointing = "auto",
        sampler: Products = "same",
    ) -> None:
        """`start` holds the weights to train; for full weights it should be in float32, and where it isn't
        the reference itself, the policy takes it over. Where the reference's layers are shared out over
        processes, so are those of the policy; `start` is then whole, for full weights.

        `temperature`: the policy is softmax(logits / temperature), in sampling as in learning.
        `checkpointing`: whether learning passes keep their layers' inputs alone; `sampler`: how products
        are computed in sampling, as models.precision.sampling_products says; see ComputeSpec for both.
        """
        self.reference = reference
        self.temperature = temperature
        self.checkpointing = checkpointing
        self.dtype = computed_in(dtype)
        self.adapter = adapter
        self.sampled_apart = False
        """Whether others draw its samples, by passes and perhaps versions of their own."""
        if adapter.kind == "lora":
            module = adapted(start.model, adapter, seed)
        else:
            own = start.model if start is not reference else copy.deepcopy(start.model)
            module = own.float().requires_grad_(True)
        self.trained = LanguageModel(module, reference.tokenizer, torch_dtype(dtype))
        if shards_of(reference.model) and not shards_of(module):
            shard_layers(module, reference.device)
        self.trained.room.tell = start.room.tell
        self.sampler = self.trained
        if sampler == "int8":
            self.sampler = LanguageModel(module, reference.tokenizer, self.trained.dtype, int8=True)
            self.sampler.room = self.trained.room
        self.room = Room(LEARN_TOKENS)
        self._reference_states: dict[PromptCompletion, Tensor] = {}
        self._reference_packs: dict[PromptCompletion, Sequence[PromptCompletion]] = {}

    @property
    def not_adapted(self) -> list[str]:
        """The model's matrices that don't learn because the adapter has no part for them."""
        return not_adapted(self.trained.model) if self.adapter.kind == "lora" else []

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters in training, by name; this process's rows where layers are shared out."""
        forget_gathered()
        named = self.trained.model.named_parameters()
        return {name: trained(parameter) for name, parameter in named if parameter.requires_grad}

    @torch.no_grad()
    def set_parameters(self, values: Mapping[str, Tensor]) -> None:
        """Sets the parameters in training; the names must be the same."""
        parameters = self.parameters
        if parameters.keys() != values.keys():
            raise ValueError("the parameters to start from belong to another kind of training")
        for name, value in values.items():
            parameters[name].copy_(Ranks().own_part(parameters[name], value))

    @property
    def sampler_differs(self) -> bool:
        """See learn.correction.SeparatelySampled: passes that round to float32 agree."""
        if self.sampler is not self.trained:
            return True
        weights = self.trained.model.parameters()
        if self.sampled_apart:
            return True
        return self.dtype != "float32" or any(w.dtype != torch.float32 for w in weights)

    @property
    def corrects_in_passing(self) -> bool:
        """See learn.in_passing.CorrectedInPassing: where a pass would take what faster sampling gains."""
        return self.sampler is not self.trained

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision where the spec asks for bfloat16."""
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.trained.device.type, torch_dtype(self.dtype))

    @contextmanager
    def _learning(self) -> Iterator[None]:
        """A learning pass needs the most memory, and drops the copies of what it changes; where little is
        free, those of the reference go too, as large as the weights. Making them again takes a tenth of a
        pass."""
        weights = sum(parameter.nbytes for parameter in self.reference.model.parameters())
        if _PLENTY * weights > available_bytes(self.reference.device):
            self.reference.forget_copies()
        self.sampler.forget_copies(learning_only=True)
        trained = self.parameters.values()
        with self.autocast(), within_memory(self.trained, self.checkpointing, trained):
            yield

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        """See learn.loop.Policy."""
        if trajectories.pair_N2 is None:
            return pieces(trajectories.data, self.room.tokens)
        return pieces(trajectories.data, self.room.tokens, units=trajectories.units)

    def shrink(self) -> bool:
        """See learn.update.ShrinkingPolicy."""
        self.room.tell = self.trained.room.tell
        return self.room.shrink(self.room.tokens)

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        """(B, T) current log-probabilities of the actions, 0 outside the mask. Differentiable."""
        with self._learning():
            return text_log_probs(
                self.trained, trajectories.data, trajectories.mask_BT, self.temperature
            )

    def log_probs_and_entropies(self, trajectories: Trajectories) -> tuple[Tensor, Tensor]:
        """`log_probs`, and entropies (nats) of the distributions; see learn.update.EntropyPolicy."""
        tree = TokenTree(requests_of(trajectories.data), device=self.trained.device)
        with self._learning():
            found = self.trained.log_probs_and_entropies(tree, self.temperature)
        log_prob_BT, entropy_BT = (_laid_out(part_C, trajectories.mask_BT) for part_C in found)
        return log_prob_BT, entropy_BT

    def log_probs_and_divergences(
        self, trajectories: Trajectories, held_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`log_probs`, and KL(reference || policy) (nats), each where `held_B` asks for it; see
        learn.update.DivergencePolicy."""
        requests, device = requests_of(trajectories.data), self.trained.device
        tree = TokenTree(requests, nested=True, device=device)
        held_BT = held_B[:, None].expand_as(trajectories.mask_BT)
        held = [
            action for action, share in zip(trajectories.data, held_B, strict=True) if share > 0
        ]
        states_NE = torch.cat([self._states_of_reference(action) for action in held])
        with self._learning():
            values = self.trained.log_probs_and_divergences(
                tree,
                held_BT[trajectories.mask_BT].to(device),
                self.reference,
                states_NE.to(device),
                self.temperature,
            )
        log_prob_BT, divergence_BT = (_laid_out(each_C, trajectories.mask_BT) for each_C in values)
        return log_prob_BT, divergence_BT

    def answer_vectors(self, actions: Sequence[PromptCompletion], layer: int) -> Tensor:
        """(B, 2 E) mean and last state of each action's tokens behind a layer, counted from 1.
        Differentiable."""
        with self._learning():
            return mean_and_last(self.trained, requests_of(actions), layer)

    def hold_to_reference(self, actions: Sequence[PromptCompletion]) -> None:
        """Says which actions `log_probs_and_divergences` will ask the reference about, so that it runs
        them in packs: the same ones whatever is asked first, and again where a training is taken up."""
        actions = list(dict.fromkeys(actions))
        for rows in pieces(actions):
            pack = actions[rows.start : rows.stop]
            self._reference_packs |= dict.fromkeys(pack, pack)

    def _states_of_reference(self, action: PromptCompletion) -> Tensor:
        """The reference's states before the tokens of an action, which are computed once. With its pack or
        by itself, so that they don't depend on what else is in a batch, and by the pass that learns."""
        if action not in self._reference_states:
            pack = self._reference_packs.get(action, [action])
            tree = TokenTree(requests_of(pack), nested=True, device=self.reference.device)
            with nothing_kept(), self.autocast():
                states_CE = self.reference.states(tree).detach().cpu()
            each = states_CE.split([len(one.tokens) for one in pack])
            self._reference_states |= zip(pack, each, strict=True)
        return self._reference_states[action]


def text_log_probs(
    model: LanguageModel,
    actions: Sequence[PromptCompletion],
    mask_BT: Tensor,
    temperature: float = 1.0,
) -> Tensor:
    """(B, T) log-probabilities (nats) of the tokens of each action, 0 outside the mask.

    Differentiable, in one pass; without gradients in as many as memory makes of it.
    """

    def of(rows: range) -> Tensor:
        requests = requests_of(actions[rows.start : rows.stop])
        tree = TokenTree(requests, nested=True, device=model.device)
        log_probs_C = model.continuation_log_probs(tree, temperature)
        return _laid_out(log_probs_C, mask_BT[rows.start : rows.stop])

    if torch.is_grad_enabled() or not actions:
        return of(range(len(actions)))
    packs = pieces(actions, model.pack_tokens)
    return torch.cat([part for rows in packs for part in in_room(of, rows, model.room, halves)])


def _laid_out(values_C: Tensor, mask_BT: Tensor) -> Tensor:
    """(B, T) values of packed continuation tokens in their places, 0 outside the mask.

    Here, whatever device computed them: trajectories are small, and objectives work on them.
    """
    return torch.zeros(mask_BT.shape).masked_scatter(mask_BT, values_C.cpu())
