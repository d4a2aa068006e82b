"""Layers whose matrices are shared out over processes: each holds some rows of every matrix.

Rajbhandari et al. (2020), "ZeRO", stage 3, as PyTorch's `fully_shard` (FSDP2) does it: a layer is put
together for its pass and falls apart behind it, in the backward pass once more, and gradients are summed to
where the rows are. Our passes read linear layers past the forward methods that FSDP2 hangs its hooks on. So
what it shards is a module that holds a layer's matrices and nothing else, and the model's layers, and those
of copies with an adapter, borrow them from there while a pass is in them. When each pass runs is for each
process to say (runs/lending.py). Embedding, output layer, norms and biases are whole in every process.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from truing.models.engine.checkpointing import layers_of
from truing.runs.lending import LENDING
from truing.runs.row_shard import RowShard
from truing.types import InputError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.fsdp import FSDPModule

Forward = Callable[..., Any]


class Absent(nn.Parameter):
    """Stands in a model for a matrix that isn't put together: its shape, and NaN for every number.

    `rows` are this process's, which learn.
    """

    rows: RowShard

    @classmethod
    def of(cls, matrix: nn.Parameter, device: torch.device) -> Self:
        """In the matrix's place."""
        one = torch.full((1,), float("nan"), dtype=matrix.dtype, device=device)
        return cls(one.expand(matrix.shape), requires_grad=matrix.requires_grad)


class _Matrices(nn.Module):
    """The matrices of a layer by number."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        super().__init__()
        for number, matrix in enumerate(matrices):
            self.register_parameter(str(number), matrix)


@cache
def all_processes(device_type: str) -> DeviceMesh:
    """Where they are in a row. To be called by all of them at first."""
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device_type, (torch.distributed.get_world_size(),))


class ShardedLayer:
    """One layer's matrices, of which this process holds its rows."""

    def __init__(self, layer: nn.Module, device: torch.device) -> None:
        from torch.distributed.fsdp import fully_shard  # takes a while to load

        matrices = list(matrices_of(layer))
        self._borrowers: list[list[tuple[weakref.ref[nn.Module], str]]] = [[] for _ in matrices]
        self._stand_ins = [Absent.of(matrix, device) for matrix in matrices]
        for stand_in, matrix in zip(self._stand_ins, matrices, strict=True):
            _replace(layer, matrix, stand_in)
        held = _Matrices(matrices)
        self._matrices = held
        self._held: FSDPModule = fully_shard(held, mesh=all_processes(device.type))
        for stand_in, part in zip(self._stand_ins, held.parameters(), strict=True):
            own: Tensor = part.to_local()  # type: ignore[attr-defined]  # a DTensor
            stand_in.rows = RowShard.of(own.detach(), stand_in)
        self._whole: list[nn.Parameter] = []
        self.lend_to(layer)
        self._number = LENDING.add(self)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # copies of a model borrow from the same

    @property
    def matrices(self) -> list[nn.Parameter]:
        """What passes compute with, once it has been put together; its storage comes and goes."""
        return self._whole

    def lend_to(self, layer: nn.Module) -> None:
        """Lets this layer too have the matrices that it has the stand-ins of."""
        numbers = {id(stand_in): number for number, stand_in in enumerate(self._stand_ins)}
        for module in layer.modules():
            for name, parameter in module._parameters.items():
                if id(parameter) in numbers:
                    borrowers = self._borrowers[numbers[id(parameter)]]
                    borrowers.append((weakref.ref(module), name))

    def _show(self, parameters: list[Any]) -> None:
        """Gives every layer that borrows these parameters."""
        for parameter, borrowers in zip(parameters, self._borrowers, strict=True):
            for reference, name in borrowers:
                if (module := reference()) is not None:
                    module._parameters[name] = parameter

    # --- For the others: see runs.lending.Lent --------------------------------------------------

    def gather(self, mine: bool) -> None:
        """See Lent."""
        # Sampling runs in inference mode, whose tensors learning couldn't use.
        with torch.inference_mode(mode=False), torch.no_grad():
            self._held.unshard()
        if mine:
            self._whole = list(self._matrices.parameters())
            for matrix, stand_in in zip(self._whole, self._stand_ins, strict=True):
                # Which a copy's adapter may have changed.
                matrix.requires_grad_(stand_in.requires_grad)
            self._show(self._whole)
        else:
            self._held.reshard()

    def reduce(self, mine: bool) -> None:
        """See Lent."""
        trained = [
            (number, stand_in)
            for number, stand_in in enumerate(self._stand_ins)
            if stand_in.requires_grad
        ]
        with torch.no_grad():
            gradients = [self._gradient(number, stand_in, mine) for number, stand_in in trained]
            self.release()
            for (_, stand_in), part in zip(trained, _summed_rows(gradients), strict=True):
                own = part[: len(stand_in.rows)].view_as(stand_in.rows)
                grad = stand_in.rows.grad
                stand_in.rows.grad = own.clone() if grad is None else grad.add_(own)

    def _gradient(self, number: int, stand_in: Absent, mine: bool) -> Tensor:
        """(processes, rows of each, ...) of this process's passes; 0 where it ran none."""
        count = torch.distributed.get_world_size()
        each = -(-stand_in.shape[0] // count)
        padded = torch.zeros(
            (count * each, *stand_in.shape[1:]), dtype=stand_in.dtype, device=stand_in.device
        )
        found = self._whole[number].grad if mine else None
        if found is not None:
            padded[: len(found)].copy_(found)
        return padded.view(count, each, -1)

    def release(self) -> None:
        """See Lent."""
        for matrix in self._whole:
            matrix.grad = None
        self._show(self._stand_ins)
        self._held.reshard()

    # --- For passes -----------------------------------------------------------------------------

    def around(self, layer: Forward) -> Forward:
        """A pass through the layer, which gives the same, with its matrices there."""

        def call(x: Tensor, *others: Any, **named: Any) -> Any:
            x = self.entered(x)
            return self.left(layer(x, *others, **named))

        return call

    def entered(self, x: Tensor) -> Tensor:
        """What a pass brings into the layer. Behind its backward pass gradients are handed over."""
        if torch.is_grad_enabled():
            x = _Entered.apply(x, self)  # type: ignore[no-untyped-call]
        LENDING.gather(self._number)
        return x

    def left(self, y: Tensor) -> Tensor:
        """What it brings out. Before its backward pass the matrices are put together again."""
        LENDING.release()
        return _Left.apply(y, self) if torch.is_grad_enabled() else y  # type: ignore[no-untyped-call]

    def begin_backward(self) -> None:
        """Has the matrices for the layer's backward pass."""
        LENDING.gather(self._number)

    def end_backward(self) -> None:
        """Hands gradients over, where there are any to be had."""
        if any(stand_in.requires_grad for stand_in in self._stand_ins):
            LENDING.reduce(self._number)
        else:
            LENDING.release()


class _Entered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: ShardedLayer) -> Tensor:
        ctx.layer = layer
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        ctx.layer.end_backward()
        return gradients[0], None


class _Left(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, layer: ShardedLayer) -> Tensor:
        ctx.layer = layer
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        ctx.layer.begin_backward()
        return gradients[0], None


def matrices_of(layer: nn.Module) -> Iterator[nn.Parameter]:
    """What is shared out of a layer."""
    return (parameter for parameter in layer.parameters() if parameter.ndim >= 2)


def _replace(layer: nn.Module, old: nn.Parameter, new: nn.Parameter) -> None:
    for module in layer.modules():
        for name, parameter in module._parameters.items():
            if parameter is old:
                module._parameters[name] = new


def _summed_rows(gradients: list[Tensor]) -> list[Tensor]:
    """(rows of each, ...) this process's part of the sums of gradients (processes, rows of each, ...)."""
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
    own = torch.empty_like(flat[0])
    distributed: Any = torch.distributed
    # As it is called from PyTorch 2.13 on, which warns of the other name.
    reduce_scatter = getattr(distributed, "reduce_scatter_single", None)
    (reduce_scatter or distributed.reduce_scatter_tensor)(own, flat.reshape(-1))
    parts = own.split([gradient[0].numel() for gradient in gradients])
    return [part.view_as(gradient[0]) for part, gradient in zip(parts, gradients, strict=True)]


# --- A model's layers ---------------------------------------------------------------------------


def shard_layers(model: PreTrainedModel, device: torch.device) -> None:
    """Shares out the matrices of a model's layers over all processes, one layer after the other; the rest
    of the model goes to `device` whole. To be called by all processes, with the same weights.

    Raises InputError where the model's layers aren't a list.
    """
    layers = layers_of(model)
    if layers is None:
        raise InputError(
            f"compute.shard: {type(model).__name__} has no list of layers that could be shared out; set "
            "it to none"
        )
    for layer in {id(layer): layer for layer in layers}.values():
        vars(layer)["shard"] = shard = ShardedLayer(layer, device)
        layer.register_forward_pre_hook(partial(_before, shard), with_kwargs=True)
        layer.register_forward_hook(partial(_behind, shard))
    if device.type != "cpu":
        model.to(device)  # type: ignore[arg-type]  # as transformers declares it


def _before(
    shard: ShardedLayer, layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the layers of `transformers` are given first is the hidden states."""
    if inputs:
        return (shard.entered(inputs[0]), *inputs[1:]), named
    return inputs, named | {"hidden_states": shard.entered(named["hidden_states"])}


def _behind(shard: ShardedLayer, layer: nn.Module, inputs: object, output: Any) -> Any:
    """They give them alone or first."""
    if isinstance(output, tuple):
        return (shard.left(output[0]), *output[1:])
    return shard.left(output)


def shard_of(layer: nn.Module) -> ShardedLayer | None:
    """That of a layer; None where it isn't shared out."""
    shard: ShardedLayer | None = vars(layer).get("shard")
    return shard


def shards_of(model: PreTrainedModel) -> list[ShardedLayer]:
    """Those of its layers, in order; none where they aren't shared out."""
    found = map(shard_of, layers_of(model) or ())
    return [shard for shard in found if shard is not None]


def lend_to_copy(model: PreTrainedModel) -> None:
    """To be called for a copy of a model whose layers are shared out, which shares its parameters."""
    for layer in layers_of(model) or ():
        if (shard := shard_of(layer)) is not None:
            shard.lend_to(layer)


def trained(parameter: nn.Parameter) -> nn.Parameter:
    """What the optimizer is given of a parameter: this process's rows, where it is shared out."""
    return parameter.rows if isinstance(parameter, Absent) else parameter


def forget_gathered() -> None:
    """Lets every matrix that is shared out have its stand-in in the model again."""
    LENDING.release()


def whole_state(model: PreTrainedModel) -> dict[str, Tensor]:
    """All weights of a model whose layers are shared out, by name, on the processor."""
    LENDING.release()
    state = {
        name: tensor.detach().cpu()
        for name, tensor in model.state_dict(keep_vars=True).items()
        if not isinstance(tensor, Absent)
    }
    names = {id(layer): name for name, layer in model.named_modules()}
    for layer in {id(layer): layer for layer in layers_of(model) or ()}.values():
        if (shard := shard_of(layer)) is not None:
            shard.begin_backward()
            for name, parameter in layer.named_parameters():
                state[f"{names[id(layer)]}.{name}"] = parameter.detach().cpu().clone()
            LENDING.release()
    return state
