"""Workers as actors of a Ray cluster, one for each share of a node's cores, or for each of its cards.

What goes between is bytes of ours (messages.py); how Ray carries them, and who may join the cluster, is
Ray's affair. Ray is imported here alone, when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch

from truing.models.engine.threads import workers as passes_at_once
from truing.models.pool.build import check_build
from truing.models.pool.holder import ModelHolder
from truing.models.pool.links import Link
from truing.models.pool.messages import KEPT, LinkLost, Message
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

START_SECONDS = 600.0
"""How long the cluster may take to find an actor a place: a node may have to be started first."""


class Actor:
    """What runs in the cluster."""

    def __init__(self) -> None:
        self._holder = ModelHolder()

    def about(self) -> bytes:
        """See ModelHolder."""
        return Message(self._holder.about()).to_bytes()

    def answer(self, request: bytes) -> bytes:
        """See ModelHolder."""
        return self._holder.answer(Message.from_bytes(request)).to_bytes()


@dataclass
class _ActorLink:
    """Requests to an actor; `lost` hears that it is gone."""

    ray: Any
    actor: Any
    lost: Callable[[Any], None]

    def ask(self, request: Message) -> Message:
        """See Link."""
        return self.got(self.actor.answer.remote(request.to_bytes()))

    def got(self, reference: Any, timeout: float | None = None) -> Message:
        """The answer behind a reference. Raises LinkLost."""
        try:
            return Message.from_bytes(self.ray.get(reference, timeout=timeout))
        except (self.ray.exceptions.RayError, ConnectionError, TimeoutError) as error:
            self.lost(self.actor)
            raise LinkLost(_brief(error)) from None

    def close(self) -> None:
        """See Link: the actor stays for the other links."""


@dataclass
class RayWorker:
    """An actor of the cluster, made when it is first asked for and anew where it died."""

    ray: Any
    number: int
    options: Mapping[str, Any]
    _actor: Any = None
    _making: Lock = field(default_factory=Lock)

    @property
    def name(self) -> str:
        """See Worker."""
        return f"worker {self.number} in the cluster"

    def link(self) -> tuple[Link, Mapping[str, Any]]:
        """See Worker."""
        with self._making:
            try:
                if self._actor is None:
                    self._actor = self.ray.remote(Actor).options(**self.options).remote()
                link = _ActorLink(self.ray, self._actor, self._lost)
                reference = link.actor.about.remote()
            except (self.ray.exceptions.RayError, ConnectionError) as error:
                raise LinkLost(_brief(error)) from None
        about = link.got(reference, START_SECONDS).content
        check_build(self.name, about.get("build"))
        return link, about

    def _lost(self, actor: Any) -> None:
        with self._making:
            if self._actor is actor:
                self._actor = None

    def ended(self) -> str:
        """See Worker."""
        return ""

    def close(self) -> None:
        """See Worker."""
        actor, self._actor = self._actor, None
        if actor is not None:
            with suppress(Exception):  # the cluster may be gone
                self.ray.kill(actor)


def ray_workers(
    address: str, threads: int | None, device: torch.device
) -> tuple[list[RayWorker], int]:
    """Workers that fill the cluster at `address` (ray://HOST:PORT, or auto on a node of it), and the
    threads of each: those asked for, else the cores of the smallest node. On cards, a worker for each.

    Raises InputError where Ray isn't installed or the cluster has no room, ModelUnavailable where there
    is none.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise InputError(
            f"--workers {address}: needs Ray; install it with: pip install 'truing[ray]'"
        ) from None
    try:
        if not ray.is_initialized():
            where = "auto" if address == "ray://auto" else address
            ray.init(address=where, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # of several kinds, by what is missing
        raise ModelUnavailable(
            f"--workers {address}: no Ray cluster there ({_brief(error)}); look at its head node. "
            f"{KEPT}"
        ) from None
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise InputError(f"--workers {address}: the cluster has no core; give its nodes some")
    each = threads or min(cores)
    cards = sum(int(node.get("GPU", 0)) for node in nodes)
    on_cards = device.type == "cuda"
    count = cards if on_cards else sum(node // each for node in cores)
    if not count:
        what = "no card" if on_cards else f"no node with {each} cores"
        raise InputError(f"--workers {address}: the cluster has {what}; ask for less, or add nodes")
    options = {
        "num_cpus": 1 if on_cards else each,
        "num_gpus": 1 if on_cards else 0,
        "max_concurrency": passes_at_once(device, each) + 1,
    }
    return [RayWorker(ray, number, options) for number in range(1, count + 1)], each


def _brief(error: Exception) -> str:
    """An error of Ray's in a line; it tells long stories."""
    return " ".join(str(error).split())[:200] or type(error).__name__
