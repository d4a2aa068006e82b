"""Who may ask: programs by the key as a Bearer token, people by a cookie from their first visit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from truing.people.web.security import (
    BURST,
    FAILURES_BURST,
    FAILURES_PER_SECOND,
    REQUESTS_PER_SECOND,
    RateLimit,
    matches,
)
from truing.serve.replies import Refusal


@dataclass
class Gate:
    """The key and how often one may knock."""

    token: str
    cookie: str
    requests: RateLimit = field(default_factory=lambda: RateLimit(REQUESTS_PER_SECOND, BURST))
    failures: RateLimit = field(
        default_factory=lambda: RateLimit(FAILURES_PER_SECOND, FAILURES_BURST)
    )

    def opens(self, given: str) -> bool:
        """Whether this is the key."""
        return matches(self.token, given)

    def check(self, given: str, client: str, missing: str) -> None:
        """Raises Refusal for a wrong key (after too many for a while unheard), and for haste."""
        if not self.opens(given):
            if not self.failures.take(client):
                raise Refusal(429, "Too many wrong keys. Wait a minute, then try again.")
            raise Refusal(401, missing, code="invalid_api_key")
        if not self.requests.take(client):
            raise Refusal(429, "Too many requests at once. Wait a few seconds, then try again.")


def client_of(request: Request) -> str:
    """The address that a request comes from."""
    return request.client.host if request.client else "?"


def key_holder(request: Request) -> None:
    """A program with the key. Raises Refusal."""
    gate: Gate = request.app.state.gate
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    gate.check(
        given.strip() if kind.lower() == "bearer" else "",
        client_of(request),
        "Give the server's key as 'Authorization: Bearer KEY'; 'truing serve' prints it.",
    )


KeyHolder = Annotated[None, Depends(key_holder)]
