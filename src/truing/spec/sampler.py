"""Where the answers of reinforcement learning are sampled: here, or by servers apart."""

from __future__ import annotations

from urllib.parse import urlsplit

HERE = "here"
SERVER = "vllm:"
"""Before a server's URL, and perhaps #NAME of its model behind it."""
_RIGHT = f"give {HERE}, or {SERVER}URL, as in {SERVER}http://127.0.0.1:8000/v1, or a list of such"


def sampler_place(place: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """The place itself. Raises ValueError where it is none."""
    servers = servers_of(place)
    if place != HERE and not servers:
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
        return () if place == HERE else (place,)
    return place


def is_here(place: str | tuple[str, ...]) -> bool:
    """Whether answers are sampled here."""
    return place == HERE
