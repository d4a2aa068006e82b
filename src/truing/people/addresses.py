"""Where a page is reached: the address it listens on, the names it goes by, what its links say."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import psutil

from truing.types import InputError

LOOPBACK = "127.0.0.1"
HOSTS = (LOOPBACK, "localhost", "::1")
"""The names of this machine to itself."""
LEAST_TOKEN = 16
"""Characters of a token of one's own where others can try tokens."""


@dataclass(frozen=True)
class Address:
    """Where a server listens, and how others reach it."""

    port: int
    host: str = LOOPBACK
    public: str | None = None
    """The address of a proxy before it, without a path."""

    @property
    def is_open(self) -> bool:
        """Whether anybody but this machine can reach it."""
        return self.public is not None or not is_loopback(self.host)

    @property
    def base(self) -> str:
        """What links begin with."""
        if self.public:
            return self.public
        host = _outward(self.host) if _is_any(self.host) else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which requests may call it."""
        own = _own_addresses() if _is_any(self.host) else [self.host.lower()]
        public = urlsplit(self.public).hostname if self.public else None
        return (*HOSTS, *own, *([public] if public else []))

    def link(self, token: str) -> str:
        """The address that signs in with a token."""
        return f"{self.base}/?token={quote(token, safe='')}"


def checked_public_url(text: str) -> str:
    """A public address, tidied. Raises InputError for one with a path, or that isn't one."""
    try:
        parts = urlsplit(text.strip())
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        known = False
    if not known or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in text:
        raise InputError(
            f"--public-url: {text!r} isn't an address that pages can have; give one like "
            "https://label.example.org, without a path"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def checked_token(token: str | None, *, is_open: bool = False) -> str | None:
    """The token. Raises InputError for one that can't stand in a header or link, or is soon guessed."""
    if token is None:
        return None
    if not (token.isascii() and token.isprintable() and token.strip()):
        raise InputError("--token: give printable ASCII characters, or none to have one drawn")
    if is_open and len(token) < LEAST_TOKEN:
        raise InputError(
            f"--token: others can try tokens here; give {LEAST_TOKEN} characters or more, or none to "
            "have one drawn"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach this address of its own."""
    return host in HOSTS or host.startswith("127.")


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")


def is_own(host: str) -> bool:
    """Whether it is an address of this machine, or stands for all of them."""
    return _is_any(host) or host.lower() in _own_addresses()


def _own_addresses() -> list[str]:
    """The addresses of this machine's network cards."""
    families = (socket.AF_INET, socket.AF_INET6)
    return [
        each.address.partition("%")[0].lower()
        for cards in psutil.net_if_addrs().values()
        for each in cards
        if each.family in families
    ]


def _outward(host: str) -> str:
    """The address by which a neighbour reaches this machine: the card of the way out, else the first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of no machine; nothing is sent, a way is chosen
            return str(probe.getsockname()[0])
        except OSError:
            pass
    others = [each for each in _own_addresses() if not ipaddress.ip_address(each).is_loopback]
    return next((each for each in others if ":" not in each), LOOPBACK)
