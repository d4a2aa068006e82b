"""How and where answers are sampled in reinforcement learning: here, by workers, or by servers apart."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

Products = Literal["same", "int8"]
"""What a policy samples with here: the products that it learns with, or such in eight bits."""
SAME: Products = "same"
INT8: Products = "int8"
HERE = (SAME, INT8)
WORKERS = "workers"
"""Those that --workers names, with the products that are learned with."""
SERVER = "vllm:"
"""Before a server's URL, and perhaps #NAME of its model behind it."""
_RIGHT = (
    f"give {SAME}, {INT8} or {WORKERS}, or {SERVER}URL, as in {SERVER}http://127.0.0.1:8000/v1, or a list "
    "of such"
)


def sampler_place(place: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The place itself. Raises ValueError where it is none."""
    servers = servers_of(place)
    if place not in (*HERE, WORKERS) and not servers:
        raise ValueError(f"names no server; {_RIGHT}")
    for server in servers:
        try:
            url = urlsplit(server.removeprefix(SERVER))
            right = server.startswith(SERVER) and url.scheme in ("http", "https") and url.hostname
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"{server!r} is no sampler; {_RIGHT}")
        if url.username is not None:
            raise ValueError(
                "a key in the URL would be written down; set TRUING_ENDPOINT_KEY to it, or name another "
                "variable as sampler_key_variable"
            )
    if len({server.rstrip("/") for server in servers}) < len(servers):
        raise ValueError("each server may be named once")
    return place


def servers_of(place: str | tuple[str, ...]) -> tuple[str, ...]:
    """The servers that a place names; none where answers are sampled here."""
    if isinstance(place, str):
        return () if place in (*HERE, WORKERS) else (place,)
    return place


def products_of(place: str | tuple[str, ...]) -> Products:
    """What is sampled with here; where servers sample, nothing else than what is learned with."""
    return INT8 if place == INT8 else SAME


def is_usual(place: str | tuple[str, ...]) -> bool:
    """Whether answers are sampled here, as is learned."""
    return place == SAME
