"""What every request passes through: its host, its origin, its size and its rate; who it is from.

A visitor's token comes in the sign-in link, once. From then on a cookie names the sign-in; scripts can't
read it, and no other site can make a browser send it. Every form carries a second secret, derived from
what the cookie says.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from truing.people.sign_ins import LASTS

MAX_BODY = 1_500_000
"""Bytes in one request: `data.messages.MAX_TEXT` characters may take 12 each in a form."""
REQUESTS_PER_SECOND = 20.0
BURST = 60.0
FAILURES_PER_SECOND = 0.2
FAILURES_BURST = 20.0
COOKIE_SECONDS = int(LASTS.total_seconds())

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers send our own forms with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Person:
    """Who is asking: an annotator who is signed in."""

    id: int
    name: str
    role: str
    csrf: str
    links: tuple[tuple[str, str], ...] = ()
    """What the frame of their pages links to: addresses, and what they are called."""

    @property
    def is_lead(self) -> bool:
        """Whether the lead's pages are open to them."""
        return self.role == "lead"


def csrf_token(token: str) -> str:
    """What forms of whoever holds `token` must carry; other sites can neither read nor compute it."""
    return hmac.new(
        token.encode("utf-8", "surrogatepass"), b"truing csrf", hashlib.sha256
    ).hexdigest()


def matches(secret: str, given: str) -> bool:
    """Whether somebody gave the secret, compared in constant time."""
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "surrogatepass"))


class RateLimit:
    """A bucket for each key that holds `burst` requests and is refilled at `rate` a second."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """Whether there was one left."""
        moment = self._clock()
        with self._lock:
            if len(self._buckets) > 10_000:  # full buckets needn't be remembered
                self._buckets = {
                    k: b
                    for k, b in self._buckets.items()
                    if moment - b[1] < self._burst / self._rate
                }
            left, then = self._buckets.get(key, (self._burst, moment))
            left = min(self._burst, left + (moment - then) * self._rate)
            allowed = left >= 1.0
            self._buckets[key] = (left - 1.0 if allowed else left, moment)
            return allowed


def hostname(address: str) -> str | None:
    """The host's name in an address, None where there is none that could be read ("//[")."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def comes_from(origin: str, host: str) -> bool:
    """Whether a browser that sends this origin shows a page of this host (name and port)."""
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


class _TooLarge(Exception):
    pass


class Guard:
    """ASGI middleware: refuses foreign hosts and origins and large bodies, and adds the headers.

    `refuse` makes the answer from a sentence and a status; `public` is the address by which a proxy is
    known that may pass requests on under another host.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str],
        refuse: Callable[[str, int], Response] = PlainTextResponse,
        public: str | None = None,
    ) -> None:
        self._app = app
        self._public = urlsplit(public or "").netloc  # checked where it was given
        self._hosts = frozenset(hosts)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a refusal."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal:
            await refusal(scope, receive, send_with_headers)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise _TooLarge
            return message

        try:
            await self._app(scope, receive_limited, send_with_headers)
        except _TooLarge:
            if not started:
                await self._too_large()(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # in the middle of a request: nobody is there to be answered

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # Another name for this address is a site that had its name point here (DNS rebinding).
        if hostname(f"//{host}") not in self._hosts:
            return self._refuse("This server doesn't go by that name.", 400)
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and not self._ours(origin, host):
                return self._refuse("This came from another site.", 403)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > MAX_BODY:
            return self._too_large()
        return None

    def _ours(self, origin: str, host: str) -> bool:
        return any(comes_from(origin, place) for place in (host, self._public) if place)

    def _too_large(self) -> Response:
        return self._refuse(f"Too large: at most {MAX_BODY:,} bytes at once.", 413)
