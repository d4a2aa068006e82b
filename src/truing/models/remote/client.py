"""Posting JSON to a server that may be slow, busy or broken: patience, then one clear sentence.

Timeouts, lost connections, 408, 429, any 5xx and answers that aren't JSON are tried again, after a wait
that doubles each time or lasts as long as the server asks for (Retry-After). What can't get better by
waiting, any other 4xx, isn't.
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from truing.types import InputError

KEY_VARIABLE = "TRUING_ENDPOINT_KEY"
LONGEST_WAIT = 120.0  # seconds; who asks for more has closed for today
_BUSY = frozenset({408, 429})


class EndpointError(Exception):
    """The server gave no usable answer; the message says why, without the key. `status` is HTTP's, 0
    where that isn't the trouble."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Refused(EndpointError):
    """The server understood and said no (a 4xx), or answered something else than was asked."""


class Unreachable(EndpointError):
    """The server didn't answer, or answered that it can't now, however often it was asked."""


@dataclass(frozen=True)
class Connection:
    """How servers are asked. `key_variable` names the environment variable that holds the key; without
    it, TRUING_ENDPOINT_KEY where that is set. Times are in seconds."""

    key_variable: str | None = None
    timeout: float = 60.0
    at_once: int = 4
    attempts: int = 5
    first_wait: float = 1.0

    def key(self) -> str:
        """The key, or nothing. Raises InputError where the variable named isn't set, or no key can be
        what it holds."""
        key = os.environ.get(self.key_variable or KEY_VARIABLE, "").strip()
        if self.key_variable and not key:
            raise InputError(
                f"--key-variable {self.key_variable}: no such environment variable, or it's empty; "
                "set it to the endpoint's key"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError(
                f"{self.key_variable or KEY_VARIABLE}: holds characters that no key has; "
                "set it to the endpoint's key alone"
            )
        return key


class PatientClient:
    """One server. Safe to use from several threads; `close` also ends every wait."""

    def __init__(
        self, url: str, connection: Connection, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._connection, self._say = connection, say
        self._key = connection.key()
        self._said: set[str] = set()
        self._closed = threading.Event()
        local = is_loopback(url)
        if self._key and url.startswith("http://") and not local:
            say(f"Warning: {url} isn't encrypted; everybody on the way can read the key.")
        self._client = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=connection.timeout,
            trust_env=not local,  # a proxy has no business between this machine and itself
            follow_redirects=False,  # the key is for the server that was named
        )

    def post(
        self, path: str, body: dict[str, Any], *, attempts_at_500: int | None = None
    ) -> dict[str, Any]:
        """The JSON object that the server answers. Raises Refused or Unreachable.

        `attempts_at_500`: some servers answer 500 to what they don't know, which is no reason for patience.
        """
        wait = self._connection.first_wait
        for attempt in itertools.count(1):
            try:
                return self._once(path, body)
            except _Later as later:
                attempts = self._connection.attempts
                if later.status == 500 and attempts_at_500 is not None:
                    attempts = attempts_at_500
                delay = wait if later.wait is None else later.wait
                tries = f"after {attempt} attempt{'s' * (attempt > 1)}"
                if delay > LONGEST_WAIT:
                    raise Unreachable(
                        f"{later} and asks to wait {delay:.0f} s", later.status
                    ) from None
                if attempt >= attempts:
                    raise Unreachable(f"{later}, {tries}", later.status) from None
                self._say_once(str(later), f"The endpoint {later}; trying again in {delay:g} s.")
                if self._closed.wait(delay):
                    raise Unreachable("was left before it answered") from None
                wait *= 2
        raise AssertionError("unreachable")

    def _once(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.post(path, json=body)
        except httpx2.TimeoutException:
            raise _Later(f"gave no answer within {self._connection.timeout:g} s") from None
        except httpx2.TransportError as error:
            raise _Later(f"can't be reached ({self._clean(str(error))})") from None
        except UnicodeEncodeError:
            raise Refused("can't be sent this text: it isn't valid Unicode") from None
        except RuntimeError:  # the client was closed meanwhile
            raise Unreachable("was left before it answered") from None
        status = response.status_code
        if status in _BUSY or status >= 500:
            what = f"answered {status}{self._reason(response)}"
            raise _Later(what, status, retry_after(response.headers.get("retry-after")))
        if status != 200:
            raise Refused(f"answered {status}{self._reason(response)}", status)
        try:
            document = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            document = None
        if not isinstance(document, dict):
            raise _Later("answered something that isn't a JSON object")
        return document

    def _reason(self, response: httpx2.Response) -> str:
        """The server's own words, in parentheses, where it has any for people."""
        try:
            body = response.json()
            body = body.get("error", body) if isinstance(body, dict) else body
            body = body.get("message", body.get("detail", "")) if isinstance(body, dict) else body
        except (json.JSONDecodeError, UnicodeDecodeError):
            body = ""
        text = self._clean(body) if isinstance(body, str) else ""
        return f" ({text})" if text else ""

    def _clean(self, text: str) -> str:
        """A server may quote the key back; nothing of it is shown."""
        text = " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())
        text = text.replace(self._key, "KEY") if self._key else text
        return text if len(text) <= 200 else text[:199] + "…"

    def _say_once(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._say(text)

    def close(self) -> None:
        """End waits and connections."""
        self._closed.set()
        self._client.close()


class _Later(Exception):
    """Worth another attempt, after `wait` seconds where the server says how long."""

    def __init__(self, what: str, status: int = 0, wait: float | None = None) -> None:
        super().__init__(what)
        self.status, self.wait = status, wait


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3), or None."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    host = httpx2.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
