"""The pool's side of a worker: asking it, and starting it anew where it died."""

from __future__ import annotations

import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, BinaryIO, Protocol, cast

from truing.models.pool.build import build, check_build
from truing.models.pool.heartbeat import SILENCE_SECONDS, is_beat, seconds_between
from truing.models.pool.messages import (
    LinkLost,
    LinkSilent,
    Message,
    notice_loss,
    read,
    write,
)
from truing.types import InputError

CONNECT_SECONDS = 60.0
START_SECONDS = 600.0
"""How long a process may take until it listens: it loads its libraries, perhaps from a slow disk."""
_OTHER_NAME = (62, 64)  # of OpenSSL: the certificate is another host's, another address's
POOL = secrets.token_hex(8)
"""This process among those that ask the same workers."""


class Link(Protocol):
    """One at a time may ask over it."""

    def ask(self, request: Message) -> Message:
        """The worker's answer. Raises LinkLost where it is gone, LinkSilent where it seems to hang."""
        ...

    def close(self) -> None:
        """Lets go of the worker."""
        ...


class Worker(Protocol):
    """Where links to a worker come from. `name` is what messages call it."""

    @property
    def name(self) -> str:
        """'worker 2 here', 'worker HOST:PORT'."""
        ...

    def link(self) -> tuple[Link, Mapping[str, Any]]:
        """A new link, and what the worker says of itself; it is started where it isn't running.

        Raises LinkLost where there is none now, InputError where there never will be one.
        """
        ...

    def ended(self) -> str:
        """How its process ended, 'signal 9'; empty where it runs, or nobody here knows."""
        ...

    def close(self) -> None:
        """Ends it, if it is ours."""
        ...


class SocketLink:
    """A connection to a worker, which has `silence` seconds for each sign of life; `on_silence` is what is
    done with one that gives none."""

    def __init__(
        self,
        connection: socket.socket,
        silence: float = SILENCE_SECONDS,
        on_silence: Callable[[], object] = lambda: None,
    ) -> None:
        self._connection = connection
        self._silence, self._on_silence = silence, on_silence
        # For each piece that comes or goes, however long the whole takes.
        connection.settimeout(silence)
        self._stream = cast(BinaryIO, connection.makefile("rwb"))

    def ask(self, request: Message) -> Message:
        """See Link."""
        try:
            write(self._stream, request)
            while is_beat(answer := read(self._stream)):
                pass
        except LinkSilent:
            self._on_silence()
            raise LinkSilent(f"no sign of life for {self._silence:g} s") from None
        return answer

    def close(self) -> None:
        """See Link. Whoever waits for an answer hears that there is none."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._connection.close()


def connect(
    host: str,
    port: int,
    token: str,
    name: str,
    tls: ssl.SSLContext | None = None,
    *,
    silence: float = SILENCE_SECONDS,
    on_silence: Callable[[], object] = lambda: None,
) -> tuple[Link, Mapping[str, Any]]:
    """A link to a worker that listens, and what it says of itself; see SocketLink. Raises as `Worker.link`
    does."""
    try:
        connection = socket.create_connection((host, port), CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_loss(connection)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"{name}: its certificate isn't trusted ({error.verify_message}); {_mend(error)}"
        ) from None
    except ssl.SSLError as error:
        raise LinkLost(f"{error}; perhaps it speaks without TLS: leave --worker-ca out") from None
    except (OSError, OverflowError, UnicodeError) as error:
        raise LinkLost(f"can't be reached ({error})") from None
    link = SocketLink(connection, silence, on_silence)
    greeting = {"token": token, "build": build(), "pool": POOL, "beat": seconds_between(silence)}
    try:
        about = link.ask(Message(greeting)).content
    except LinkSilent:
        link.close()
        raise
    except LinkLost as error:
        link.close()
        hint = "; perhaps it speaks with TLS: give --worker-ca" if tls is None else ""
        raise LinkLost(f"{error}{hint}") from None
    if about.get("failed") == "input":
        raise InputError(f"{name}: {about['message']}; give the worker's own with --worker-token")
    check_build(name, about.get("build"))
    return link, about


def _mend(error: ssl.SSLCertVerificationError) -> str:
    """What would be right in place of a certificate that isn't trusted."""
    if error.verify_code in _OTHER_NAME:
        return (
            "name the worker as its certificate does, or give it one with that name among its "
            "subjectAltName"
        )
    return "give the certificate that signed it with --worker-ca"


@dataclass
class LocalWorker:
    """A process of this Python on this machine, started when it is first asked for."""

    number: int
    threads: int
    silence: float = SILENCE_SECONDS
    _process: subprocess.Popen[bytes] | None = None
    _port: int = 0
    _token: str = ""
    _errors: Any = None
    _starting: Lock = field(default_factory=Lock)

    @property
    def name(self) -> str:
        """See Worker."""
        return f"worker {self.number} here"

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    def link(self) -> tuple[Link, Mapping[str, Any]]:
        """See Worker."""
        with self._starting:  # of two packs at once, each with a link
            if self._process is None or self._process.poll() is not None:
                self.close()
                self._start()
            process, port, token = self._process, self._port, self._token
        assert process is not None

        def end() -> None:  # this one, whichever runs by then: another link may have seen it before
            process.kill()
            process.wait()

        return connect("127.0.0.1", port, token, self.name, silence=self.silence, on_silence=end)

    def _start(self) -> None:
        self._token = secrets.token_hex(32)
        # A file of its own: nobody reads a pipe, which would fill.
        self._errors = errors = tempfile.TemporaryFile()  # noqa: SIM115
        alone = {"WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}
        environment = {name: value for name, value in os.environ.items() if name not in alone}
        self._process = process = subprocess.Popen(
            # -P keeps the working directory's files from being imported in place of libraries.
            [sys.executable, "-P", "-m", "truing.models.pool.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment | {"OMP_NUM_THREADS": str(self.threads)},
            start_new_session=True,  # Ctrl-C is the pool's to hear
        )
        assert process.stdin is not None and process.stdout is not None
        late = threading.Timer(START_SECONDS, process.kill)
        late.daemon = True
        late.start()
        try:
            process.stdin.write(json.dumps({"token": self._token}).encode() + b"\n")
            process.stdin.flush()
            # Ends with the process, if that dies.
            self._port = int(json.loads(process.stdout.readline())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            raise LinkLost(f"it ended at its start: {_last_words(process, errors)}") from None
        finally:
            late.cancel()

    def ended(self) -> str:
        """See Worker."""
        process = self._process
        if process is None:
            return ""
        with suppress(subprocess.TimeoutExpired):  # its connection ends a moment before it does
            process.wait(1.0)
        if (code := process.poll()) is None:
            return ""
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """See Worker."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                assert stream is not None
                stream.close()
        process.kill()
        process.wait()
        self._errors.close()


def _last_words(process: subprocess.Popen[bytes], errors: Any) -> str:
    """The last line that a process wrote on standard error, and how it ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(5.0)
    lines = []
    with suppress(ValueError):  # it was closed meanwhile
        errors.seek(0)
        lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} (exit code {process.returncode})"


@dataclass
class ListeningWorker:
    """`truing worker` on some machine, which is there whether or not we are."""

    host: str
    port: int
    token: str
    tls: ssl.SSLContext | None = None
    silence: float = SILENCE_SECONDS

    @property
    def name(self) -> str:
        """See Worker."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"worker {host}:{self.port}"

    def link(self) -> tuple[Link, Mapping[str, Any]]:
        """See Worker."""
        address = (self.host, self.port, self.token, self.name, self.tls)
        return connect(*address, silence=self.silence)

    def ended(self) -> str:
        """See Worker."""
        return ""

    def close(self) -> None:
        """See Worker: it stays."""
