"""Where models are computed: the processor, or a card. One device for a process.

Weights are loaded straight to it, and every pass follows them there. Whatever is kept on disk under the
name of what decides it is kept under the kind of device too: kernels of two kinds round differently.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass

import torch

from truing.models import processor
from truing.spec.compute import device_name
from truing.types import InputError

_CPU = torch.device("cpu")


@dataclass
class _Choice:
    """What this process computes on, once it was chosen, and whether the user was told."""

    device: torch.device | None = None
    is_said: bool = False


_choice = _Choice()


def device() -> torch.device:
    """The one that this process computes on; without a choice, the one that `auto` means."""
    return _choice.device or choose("auto")


def choose(name: str, where: str = "compute.device") -> torch.device:
    """Makes `name` the device of all that is loaded from now on: auto, cpu, cuda, cuda:N or mps.

    `auto` is the first card, else the processor. `cuda` is the first card, and with several processes
    each process's own. Raises InputError at `where` where there is no such device.
    """
    try:
        device_name(name)
    except ValueError as error:
        raise InputError(f"{where}: {name!r} is {error}") from None
    here = available()
    wanted = here[min(1, len(here) - 1)] if name == "auto" else name
    if wanted.startswith("cuda"):
        wanted = _card(name, here, where)
    elif wanted not in here:
        raise _missing(name, here, where)
    _choice.device, _choice.is_said = torch.device(wanted), False
    return _choice.device


def available() -> list[str]:
    """The devices that PyTorch can use here: the processor, then cards, the usual one first."""
    cards = [f"cuda:{n}" for n in range(_cards())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *cards, *mps]


def _cards() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _card(name: str, here: list[str], where: str) -> str:
    """The card that a name means in this process."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if ":" in name and processes > 1:
        raise InputError(
            f"{where}: {name!r} is one card, but {processes} processes were started; give cuda, and "
            "each takes its own"
        )
    own = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % max(1, _cards())}"
    wanted = name if ":" in name else own
    if wanted not in here:
        raise _missing(name, here, where)
    return wanted


def _missing(name: str, here: list[str], where: str) -> InputError:
    why = ""
    if name.startswith("cuda") and torch.version.cuda is None:
        why = "; this PyTorch is built for the processor alone, install one for cards"
    return InputError(f"{where}: {name!r} isn't here: {', '.join(here)} can be used{why}")


# --- What is said and recorded of it ----------------------------------------------------------


def announce(note: Callable[[str], object]) -> None:
    """Notes `sentence`, once for each choice."""
    if not _choice.is_said:
        note(sentence())
        _choice.is_said = True


def sentence() -> str:
    """For the user, at the start: where the work is done, and what that device is."""
    used, here = device(), available()
    if used == _CPU and len(here) > 1:
        beside = f"{here[1]} ({description(torch.device(here[1]))})"
        return f"Device: cpu ({description(used)}), as asked for; {beside} is left alone"
    return f"Device: {used} ({description(used)})"


def description(of: torch.device) -> str:
    """A device's name with its threads or its memory."""
    if of.type == "cuda":
        card = torch.cuda.get_device_properties(of)
        return f"{card.name}, {card.total_memory / 1e9:.0f} GB"
    if of.type == "cpu":
        threads = torch.get_num_threads()
        return f"{processor.name()}, {threads} thread{'s' * (threads != 1)}"
    return platform.processor() or of.type


def record() -> dict[str, str]:
    """For run.json: the device, and what it is."""
    return {"name": str(device()), "description": description(device())}
