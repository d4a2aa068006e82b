"""A server that sends any bytes at all, at any pace, and the misbehaviours to try it with."""

from __future__ import annotations

import gzip
import json
import math
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Raw = Iterable[bytes]
Misbehaviour = Callable[[], Raw]
PACE = 0.02  # seconds between bytes that come one at a time


def whole(body: bytes, status: str = "200 OK", **headers: str) -> list[bytes]:
    """A response in one piece."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return [("\r\n".join(lines) + "\r\n\r\n").encode() + body]


def said(document: Any, status: str = "200 OK") -> list[bytes]:
    """A response of JSON. It says that the connection ends: a client that believed it open could ask its
    next question before this process, when it is busy, has closed it."""
    return whole(json.dumps(document).encode(), status, connection="close")


class RawServer(socketserver.ThreadingTCPServer):
    """Answers each POST by `behaviour`: (path, body) -> pieces of the response, sent as they come."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, behaviour: Callable[[str, dict[str, Any]], Raw]) -> None:
        self.behaviour = behaviour
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Where the API begins."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(socketserver.StreamRequestHandler):
    server: RawServer

    def handle(self) -> None:
        path = self.rfile.readline().split()[1:2]
        length = 0
        while (line := self.rfile.readline().strip().lower()) and path:
            length = int(line[15:]) if line.startswith(b"content-length:") else length
        if not path:
            return
        body = json.loads(self.rfile.read(length))
        try:
            for piece in self.server.behaviour(path[0].decode(), body):
                self.wfile.write(piece)
                if len(piece) == 1 and self.server.over.wait(PACE):
                    return
        except OSError:
            pass  # the client has left


@contextmanager
def raw_serving(behaviour: Callable[[str, dict[str, Any]], Raw]) -> Iterator[RawServer]:
    """The server while the context lasts; every connection is for one request."""
    server = RawServer(behaviour)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _forever(piece: bytes, before: bytes = b"") -> Iterator[bytes]:
    yield before
    while True:
        yield piece


def _endless(piece: bytes) -> Raw:
    chunk = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    return _forever(chunk, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")


PACKED = gzip.compress(bytes(200 * 2**20), 9)  # 200 kB that unpack to 200 MB
_JSON = gzip.compress(json.dumps({"choices": []}).encode() * 50)

BYTES: Mapping[str, Misbehaviour] = {
    "nothing": lambda: [],
    "no HTTP": lambda: [b"hello\r\n\r\n"],
    "a status of letters": lambda: [b"HTTP/1.1 abc OK\r\n\r\n"],
    "an unknown status": lambda: whole(b"", "799 Odd"),
    "a redirect": lambda: whole(b"", "302 Found", location="http://127.0.0.1:1/"),
    "headers without end": lambda: _forever(
        b"x-a: " + b"a" * 900 + b"\r\n", b"HTTP/1.1 200 OK\r\n"
    ),
    "headers a byte at a time": lambda: _forever(b"a", b"HTTP/1.1 200 OK\r\nx-a: "),
    "continuing for ever": lambda: _forever(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body a byte at a time": lambda: _forever(
        b" ", b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n"
    ),
    "a body that breaks off": lambda: [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"],
    "a negative length": lambda: [b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"],
    "two lengths": lambda: whole(b"{}", content_length="7"),
    "chunks of no length": lambda: [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\n"],
    "a body without end": lambda: _endless(b" " * 65_536),
    "a packed body without end": lambda: whole(PACKED, content_encoding="gzip"),
    "packed twice": lambda: whole(gzip.compress(PACKED), content_encoding="gzip, gzip"),
    "packed in another way": lambda: whole(b"{}", content_encoding="br"),
    "packed, but not": lambda: whole(b'{"choices": []}', content_encoding="gzip"),
    "packed, with an error inside": lambda: whole(
        _JSON[:30] + b"\xff\xff" + _JSON[32:], content_encoding="gzip"
    ),
    "packed, and cut off": lambda: whole(_JSON[:-9], content_encoding="gzip"),
    "a wait of ages": lambda: whole(b"", "429 Busy", retry_after="9" * 400),
    "a wait of nonsense": lambda: whole(b"", "503 Busy", retry_after="Mon, 99 Foo 99999999 1:2:3"),
    "an empty body": lambda: whole(b""),
    "a page": lambda: whole(b"<html><title>Not here</title><p>Gone"),
    "null": lambda: whole(b"null"),
    "no UTF-8": lambda: whole(b'{"choices": "\xff\xfe"}'),
    "another encoding": lambda: whole('{"choices": ['.encode("utf-16")),
    "brackets": lambda: whole(b"[" * 500_000),
    "objects in objects": lambda: whole(b'{"choices":' * 100_000),
    "nested as an error": lambda: whole(b'{"error":' * 100_000, "400 Bad Request"),
    "nested to the limit": lambda: whole(b'{"error":' * 900 + b"1" + b"}" * 900, "400 Bad Request"),
    "a number without end": lambda: whole(b'{"choices": [' + b"9" * 10_000 + b"]}"),
    "many values": lambda: whole(b'{"choices": [' + b"{}," * 1_000_000 + b"{}]}"),
}
"""What comes is no usable answer at all."""

PACED = ("headers a byte at a time", "continuing for ever", "a body a byte at a time")
"""Those of BYTES that only the limit on a whole answer's time ends."""

_MESSAGE = {"role": "assistant", "content": "A"}


def _chat(**over: Any) -> dict[str, Any]:
    return {"choices": [{"message": {**_MESSAGE, **over}, "finish_reason": "stop"}]}


def _completion(**over: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": "Q: 1\nA: one", **over}]}


def _figures(*values: Any) -> dict[str, Any]:
    return _completion(logprobs={"token_logprobs": list(values)})


DOCUMENTS: Mapping[str, Any] = {
    "nothing in it": {},
    **{
        f"choices: {value!r}": {"choices": value}
        for value in (None, 5, "a", {"a": 1}, [], [[]], [None])
    },
    **{
        f"message: {value!r}": {"choices": [{"message": value}]}
        for value in (None, 5, "a", [1], {})
    },
    **{
        f"content: {value!r}": _chat(content=value)
        for value in (5, True, {"a": 1}, [5], [{"type": 1}])
    },
    "content: too long": _chat(content="word " * 20_000),
    "content: a part without text": _chat(content=[{"type": "text", "text": ["a"]}]),
    "an error in a choice": {"choices": [{"error": {"message": "gone"}, "finish_reason": "error"}]},
    **{f"text: {value!r}": _completion(text=value) for value in (None, 5, ["a"])},
    **{f"index: {value!r}": _completion(index=value) for value in (None, "a", [1], 1.5)},
    **{f"log-probabilities: {value!r}": _completion(logprobs=value) for value in (5, "a", [1], {})},
    **{
        f"listed: {value!r}": _completion(logprobs={"token_logprobs": value})
        for value in (5, "abc", {"a": 1})
    },
    "listed: all sorts": _figures("a", [1], {"a": 1}, True, None),
    "listed: far too large": _figures(None, 10**400, -(10**400)),
    "listed: no probabilities": _figures(None, 5.0, math.inf, -math.inf),
    "listed: not a number": _figures(None, math.nan, math.nan),
    "an error with 200": {"error": {"message": "model overloaded", "code": 503}},
    "an error of text": {"error": "no such model"},
    "an old error": {"object": "error", "message": "bad", "code": 40303},
    "an error in detail": {"detail": [{"loc": ["body", "prompt"], "msg": "bad"}]},
    "a code of any type": {"error": {"message": [None, {"a": 1}], "code": {"a": [1]}}},
}
"""JSON objects that aren't the answer to anything that is asked."""

MISBEHAVIOURS: Mapping[str, Misbehaviour] = {
    **BYTES,
    **{name: (lambda document=document: said(document)) for name, document in DOCUMENTS.items()},
}
