"""A worker behind a socket: whoever shows the token may ask it for packs, a connection for each at once.

A pool on this machine starts it as a process of its own (`main`): the token comes over standard input,
the port that it listens on goes out, and it ends when standard input does, however the pool died.
"""

from __future__ import annotations

import hmac
import json
import os
import signal
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, cast

from truing.models.pool.build import check_build
from truing.models.pool.heartbeat import Heartbeat, asked_for
from truing.models.pool.holder import ModelHolder
from truing.models.pool.messages import GREETING, LinkLost, Message, notice_loss, read, write
from truing.types import InputError

GREETING_SECONDS = 20.0
"""How long somebody may take who hasn't shown the token."""


class WorkerServer:
    """Listens at an address, and answers whoever shows the token."""

    def __init__(self, host: str, port: int, token: str, tls: ssl.SSLContext | None = None) -> None:
        """Raises InputError where nothing can listen there. Port 0: any that is free."""
        self._token, self._tls = token, tls
        self.holder = ModelHolder()
        self._connections: Counter[str] = Counter()
        self._counting = threading.Lock()
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family)
        except (OSError, OverflowError, UnicodeError) as error:
            raise InputError(
                f"--listen {host}:{port}: can't listen there ({error}); name an address of this machine "
                "and a free port"
            ) from None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """Answers for ever."""
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._connected, args=(connection,), daemon=True).start()

    def _connected(self, connection: socket.socket) -> None:
        with suppress(LinkLost, OSError):  # whoever asked is gone
            connection.settimeout(GREETING_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, cast(BinaryIO, connection.makefile("rwb")) as stream:
                if greeting := self._greeted(stream):
                    connection.settimeout(None)
                    notice_loss(connection)
                    pool = str(greeting.get("pool") or "a pool")
                    self._answer(stream, pool, asked_for(greeting.get("beat")))

    def _answer(self, stream: BinaryIO, pool: str, beat: float) -> None:
        """Answers a pool until it is gone, with a sign of life every `beat` seconds until there is an
        answer; what it alone used is freed when all its connections are. The answer to a pool that gave
        this worker up, and hung up, is dropped."""
        with self._counting:
            self._connections[pool] += 1
        try:
            while True:
                request = read(stream)
                with Heartbeat(stream, beat):
                    answer = self.holder.answer(request)
                write(stream, answer)
        finally:
            with self._counting:
                self._connections[pool] -= 1
                is_gone = not self._connections[pool]
            if is_gone:
                self.holder.leave(pool)

    def _greeted(self, stream: BinaryIO) -> Mapping[str, Any]:
        """What a pool says, where it shows the token and is of our build; else nothing."""
        greeting = read(stream, GREETING).content
        shown = str(greeting.get("token", "")).encode("utf-8", "replace")
        if not hmac.compare_digest(shown, self._token.encode()):
            write(stream, Message({"failed": "input", "message": "the token is another one"}))
            return {}
        try:
            check_build("the pool", greeting.get("build"))
        except InputError:
            # Told in full by the other side, which sees both builds.
            write(stream, Message({"failed": "build", **self.holder.about()}))
            return {}
        write(stream, Message(self.holder.about()))
        return greeting


def main() -> None:
    """A worker of a pool on this machine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pool hears it and ends us
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    settings = json.loads(sys.stdin.readline())
    server = WorkerServer("127.0.0.1", 0, settings["token"])
    print(json.dumps({"port": server.port}), file=answers, flush=True)
    threading.Thread(target=server.serve, daemon=True).start()
    with suppress(OSError, ValueError):
        while sys.stdin.readline():
            pass
    os._exit(0)  # passes that still run are nobody's


if __name__ == "__main__":
    main()
