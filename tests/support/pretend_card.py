"""A pretend card: a device whose tensors hold real numbers, computed on the processor.

An operator that mixes tensors of the card with others, or asks the card for a kernel that only the
processor has, is a fault, as it would be on a real card. Waits (a value of the card that Python asks for)
and launches are counted by the line of Truing that makes them.

Plain Python over PyTorch's PrivateUse1 device.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

aten = torch.ops.aten
_COPIES = {aten.copy_.default, aten._to_copy.default}
_CPU = torch.device("cpu")
_MOVES = {"aten::_to_copy", "aten::to"}  # in inference mode the latter isn't taken apart
_VIEWS = {
    f"aten::{name}"
    for name in [
        "view",
        "_unsafe_view",
        "view_as",
        "reshape",
        "flatten",
        "unflatten",
        "transpose",
        "t",
        "permute",
        "select",
        "slice",
        "narrow",
        "split",
        "split_with_sizes",
        "chunk",
        "unbind",
        "expand",
        "expand_as",
        "as_strided",
        "squeeze",
        "unsqueeze",
        "detach",
        "alias",
        "to",
        "contiguous",
        "type_as",
        "dropout",
        "empty",
        "empty_like",
        "empty_strided",
        "new_empty",
    ]
}
"""Operators that launch no kernel where what they give lies in what they were given, or is empty."""
_EMPTY = {name for name in _VIEWS if "empty" in name}
_INDEX = {"aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}
_WAITING = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::unique_dim",
    "aten::equal",
    "aten::is_nonzero",
}


class _Module(_DummyBackendModule):  # type: ignore[misc]
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def synchronize(self, device: object = None) -> None:
        pass


_setup_privateuseone_for_python_backend("card", backend_module=_Module())
CARD = torch.device("card:0")


class WrongDevice(RuntimeError):
    """Tensors of two devices met, or a kernel of the processor was asked of the card."""


class Seen:
    """What happened on the card: faults by line and kind, waits and launches by line."""

    def __init__(self) -> None:
        self.faults: Counter[tuple[str, str]] = Counter()
        self.waits: Counter[str] = Counter()
        self.launches: Counter[str] = Counter()


_watch: list[Seen] = []


@contextmanager
def watched() -> Iterator[Seen]:
    """Counts what happens meanwhile, and goes on behind a fault; elsewhere a fault raises WrongDevice."""
    seen = Seen()
    _watch.append(seen)
    try:
        yield seen
    finally:
        _watch.remove(seen)


def _line() -> str:
    """The innermost line of Truing, else of whoever called. Asked thousands of times: no source is read."""
    frame: FrameType | None = sys._getframe()
    other = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if "/truing/" in name:
            return f"{name.split('/truing/')[-1]}:{frame.f_lineno}"
        other = other or (f"{name}:{frame.f_lineno}" if "torch" not in name else "")
        frame = frame.f_back
    return other


def _fault(what: str) -> None:
    if not _watch:
        raise WrongDevice(f"{what} at {_line()}")
    for seen in _watch:
        seen.faults[_line(), what] += 1


def _wait(why: str) -> None:
    for seen in _watch:
        seen.waits[f"{_line()} ({why})"] += 1


def _launch(operator: str) -> None:
    for seen in _watch:
        seen.launches[operator] += 1


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """The same nest of values, each changed."""
    if isinstance(value, (list, tuple)):
        return type(value)([_mapped(change, each) for each in value])
    if isinstance(value, dict):
        return {key: _mapped(change, each) for key, each in value.items()}
    return change(value)


def _leaves(value: Any) -> list[Any]:
    """The values of a nest."""
    found: list[Any] = []
    rest = [value]
    for each in rest:  # which grows meanwhile
        if isinstance(each, (list, tuple)):
            rest.extend(each)
        elif isinstance(each, dict):
            rest.extend(each.values())
        else:
            found.append(each)
    return found


class Card(Tensor):
    """A tensor on the card. `held` has its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Card:
        # An inference tensor can't share a version counter.
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            made: Card = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                held.shape,
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=CARD,
                requires_grad=False,
            )
            return made

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Card({self.held!r})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def tolist(self) -> Any:
        _wait("tolist")
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            _fault("numpy() of a tensor on the card")
        return self.held.detach().numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        made: Tensor = Card(self.held.detach().clone())
        if isinstance(self, torch.nn.Parameter) or getattr(self, "_is_param", False):
            made = torch.nn.Parameter(made, self.requires_grad)
        memo[id(self)] = made
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name
        _check(func, name, args, kwargs)
        out = func(*_mapped(_held, args), **_mapped(_held, kwargs))
        if name not in _EMPTY and not (name in _VIEWS and _lies_in(out, args)):
            _launch(name)
        if name in _MOVES and _CPU in _leaves((args, kwargs)):
            _wait("to cpu")
            return out
        if func is aten.copy_.default and not isinstance(args[0], Card):
            _wait("to cpu")
            return args[0]
        writes = [
            given
            for given, declared in zip(args, func._schema.arguments, strict=False)
            if declared.alias_info and declared.alias_info.is_write
        ]
        if writes and isinstance(writes[0], Tensor) and not isinstance(writes[0], Card):
            return writes[0]  # what stray arguments were written into stays where it was
        return return_and_correct_aliasing(func, args, kwargs, _mapped(_on_card, out))


def _lies_in(out: Any, args: Any) -> bool:
    """Whether an operator's result is memory that it was given."""
    given = {
        _held(leaf).untyped_storage().data_ptr()
        for leaf in _leaves(args)
        if isinstance(leaf, Tensor)
    }
    return all(part.untyped_storage().data_ptr() in given for part in _leaves(out))


def _held(value: Any) -> Any:
    """What stands for it on the processor."""
    if isinstance(value, torch.device):
        return _CPU
    return value.held if isinstance(value, Card) else value


def _on_card(value: Any) -> Any:
    return Card(value) if isinstance(value, Tensor) else value


def _check(func: Any, name: str, args: Any, kwargs: Any) -> None:
    """Counts the operator's faults and waits."""
    if name.startswith("mkldnn::") or name.endswith("_for_cpu"):
        _fault(f"{name}: a kernel of the processor")
    leaves = _leaves((args, kwargs))
    strays = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, Card)]
    if strays and func not in _COPIES and not _may_mix(func, name, args, strays):
        _fault(f"{name}: card and cpu mixed")
    if name in _WAITING:
        _wait(name)
    if name in _INDEX and any(
        isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in _leaves(args[1])
    ):
        _wait("boolean mask")


def _may_mix(func: Any, name: str, args: Any, strays: list[Tensor]) -> bool:
    """PyTorch lets single numbers of the processor into pointwise operators and writes by index."""
    if name in _INDEX:
        return isinstance(args[0], Card) and all(
            isinstance(value, Card) or value.dim() == 0 for value in args[2:3]
        )
    return torch.Tag.pointwise in func.tags and all(stray.dim() == 0 for stray in strays)


def _factory(operator: Any) -> Callable[..., Card]:
    def made(*args: Any, **kwargs: Any) -> Card:
        kwargs["device"] = torch.device("cpu")
        kwargs.pop("pin_memory", None)
        return Card(operator(*args, **kwargs))

    return made


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _held(target).copy_(_held(source))
    return target


def _lowered(operator: Any) -> Callable[..., Any]:
    """The operator under autocast: floating-point arguments in the lower precision."""

    def run(*args: Any, **kwargs: Any) -> Any:
        low = torch.get_autocast_dtype("card")

        def cast(value: Any) -> Any:
            floats = isinstance(value, Tensor) and value.dtype in (torch.float32, torch.bfloat16)
            return value.to(low) if floats else value

        here = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
        with torch._C._ExcludeDispatchKeyGuard(here):
            return operator(*_mapped(cast, args), **kwargs)

    return run


_library = torch.library.Library("aten", "IMPL")
for _name, _operator in (
    ("empty.memory_format", aten.empty.memory_format),
    ("empty_strided", aten.empty_strided.default),
):
    _library.impl(_name, _factory(_operator), "PrivateUse1")
_library.impl("_copy_from", _copy_from, "PrivateUse1")
_rest = torch.library.Library("_", "IMPL")
_rest.fallback(
    lambda operator, *args, **kwargs: Card.__torch_dispatch__(operator, (), args, kwargs),
    "PrivateUse1",
)
_autocast = torch.library.Library("_", "IMPL")
_autocast.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
for _name in ("mm", "bmm", "matmul", "linear", "addmm", "baddbmm"):
    _library.impl(_name, _lowered(getattr(aten, _name).default), "AutocastPrivateUse1")
