"""Posting JSON to a server that may be slow, busy or broken: patience, then one clear sentence.

Timeouts, lost connections, 408, 429, any 5xx and answers that aren't JSON are tried again, after a wait
that doubles each time or lasts as long as the server asks for (Retry-After). What can't get better by
waiting, any other 4xx, isn't. Nothing that a server sends takes more than a bounded time and memory.
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2

from truing.models.remote.body import (
    Unusable,
    complaint,
    complaint_in,
    error_in,
    error_status,
    json_object,
    unpacked,
)
from truing.models.remote.deadline import Deadline
from truing.types import InputError

KEY_VARIABLE = "TRUING_ENDPOINT_KEY"
LONGEST_WAIT = 120.0  # seconds; who asks for more has closed for today
_BUSY = frozenset({408, 429})

Made = TypeVar("Made")


class EndpointError(Exception):
    """The server gave no usable answer; the message says why, without the key. `status` is HTTP's, 0
    where that isn't the trouble; `complaint` is all that the server says about it."""

    def __init__(self, message: str, status: int = 0, complaint: str = "") -> None:
        super().__init__(message)
        self.status, self.complaint = status, complaint


class Refused(EndpointError):
    """The server understood and said no (a 4xx), or answered something else than was asked."""


class Unreachable(EndpointError):
    """The server didn't answer, or answered that it can't now, however often it was asked."""


@dataclass(frozen=True)
class Connection:
    """How servers are asked. `key_variable` names the environment variable that holds the key; without
    it, TRUING_ENDPOINT_KEY where that is set. Times are in seconds: `timeout` is the longest silence,
    `longest` the most that one answer may take. `key_option` is what messages call the place where
    `key_variable` is given."""

    key_variable: str | None = None
    timeout: float = 60.0
    longest: float = 900.0
    at_once: int = 4
    attempts: int = 5
    first_wait: float = 1.0
    key_option: str = "--key-variable"

    def key(self) -> str:
        """The key, or nothing. Raises InputError where the variable named isn't set, or no key can be
        what it holds."""
        key = os.environ.get(self.key_variable or KEY_VARIABLE, "").strip()
        if self.key_variable and not key:
            raise InputError(
                f"{self.key_option} {self.key_variable}: no such environment variable, or it's empty; "
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
        self._deadline = Deadline()
        try:
            self._client = httpx2.Client(
                base_url=url.rstrip("/") + "/",
                headers={"Accept-Encoding": "gzip"}
                | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
                timeout=connection.timeout,
                trust_env=not local,  # a proxy has no business between this machine and itself
                follow_redirects=False,  # the key is for the server that was named
            )
        except (httpx2.InvalidURL, ValueError, OSError, ImportError) as error:
            raise InputError(
                f"{url}: can't be asked with the proxy or certificates that the environment names "
                f"({error}); set or unset HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and their like"
            ) from None
        self._deadline.hold(self._client)

    def post(
        self, path: str, body: dict[str, Any], *, attempts_at_500: int | None = None
    ) -> dict[str, Any]:
        """The JSON object that the server answers. Raises Refused or Unreachable.

        `attempts_at_500`: some servers answer 500 to what they don't know, which is no reason for patience.
        """
        return self._patiently(lambda: self._once(path, body), attempts_at_500)

    def tell(self, path: str, body: dict[str, Any]) -> None:
        """Posts what is answered by its status, whatever else is said. Raises Refused or Unreachable."""
        self._patiently(lambda: self._told(path, body))

    def _patiently(self, once: Callable[[], Made], attempts_at_500: int | None = None) -> Made:
        """What one attempt gives, after as many as it takes and are allowed."""
        wait = self._connection.first_wait
        for attempt in itertools.count(1):
            try:
                return once()
            except _Later as later:
                if self._closed.is_set():  # whoever asked has gone
                    raise Unreachable("was left before it answered") from None
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
            status, waits, content = self._exchanged(path, body)
            if status == 200:
                document = json_object(content)
                if (error := error_in(document)) is None:
                    return document
                raise self._trouble(error_status(error), complaint_in(error), waits)
        except Unusable as unusable:
            raise (_Later if unusable.passes else Refused)(str(unusable)) from None
        raise self._trouble(status, complaint(content), waits)

    def _told(self, path: str, body: dict[str, Any]) -> None:
        try:
            status, waits, content = self._exchanged(path, body)
        except Unusable as unusable:
            raise (_Later if unusable.passes else Refused)(str(unusable)) from None
        if status != 200:
            raise self._trouble(status, complaint(content), waits)

    def _exchanged(self, path: str, body: dict[str, Any]) -> tuple[int, float | None, bytes]:
        """The answer's status, the wait that it asks for, and its body."""
        begun, longest = time.monotonic(), max(self._connection.longest, self._connection.timeout)
        try:
            with (
                self._deadline.within(longest),
                self._client.stream("POST", path, json=body) as response,
            ):
                headers = response.headers
                content = unpacked(response.iter_raw(), headers.get("content-encoding", ""))
                return response.status_code, retry_after(headers.get("retry-after")), content
        except httpx2.TimeoutException:
            if time.monotonic() - begun >= longest:
                raise Unreachable(f"gave no whole answer within {longest:g} s") from None
            raise _Later(f"gave no answer within {self._connection.timeout:g} s") from None
        except httpx2.HTTPError as error:
            raise _Later(f"can't be reached ({self._shown(str(error))})") from None
        except UnicodeEncodeError:
            raise Refused("can't be sent this text: it isn't valid Unicode") from None
        except (RuntimeError, httpx2.StreamError):  # the client was closed meanwhile
            raise Unreachable("was left before it answered") from None

    def _trouble(self, status: int, text: str, waits: float | None) -> Exception:
        """What to raise for an error that the server names."""
        words = self._shown(text)
        what = f"answered {status or 'an error'}{f' ({words})' if words else ''}"
        if status in _BUSY or status >= 500:
            return _Later(what, status, waits)
        return Refused(what, status, text)

    def _shown(self, text: str) -> str:
        """A server's words in one short line. It may quote the key back; nothing of that is shown."""
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
    except (ValueError, TypeError, IndexError, OverflowError):
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
