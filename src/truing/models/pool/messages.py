"""What goes between a pool and its workers: JSON with tensors behind it, each with its length.

A message is the lengths of its two parts (big-endian, 4 and 8 bytes), JSON in UTF-8, and tensors as
safetensors or nothing. Neither part is ever run, and none is read that is longer than its limit.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

_LENGTHS = struct.Struct(">IQ")
MOST_JSON = 1 << 30
MOST_TENSORS = 1 << 36
GREETING = 1 << 16
"""Bytes of a message from somebody who hasn't shown the token yet, at most."""

SILENCE = 60
"""Seconds without a byte after which the system asks whether the other side's machine is there."""
_ASKED, _APART = 6, 10  # how often, and how many seconds apart, before it counts as gone

KEPT = "What was finished is kept: the same command goes on from there"
"""What to say where there is no going on now."""


class LinkLost(Exception):
    """The other side is gone, or says what is no message."""


class LinkSilent(LinkLost):
    """The other side is there, perhaps, but has given no sign of life for too long."""


@dataclass(frozen=True)
class Message:
    """A JSON object, and tensors by name."""

    content: Mapping[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As it goes over a connection. Numbers keep every bit."""
        text = json.dumps(self.content, separators=(",", ":")).encode()
        tensors = (
            save({n: t.contiguous() for n, t in self.tensors.items()}) if self.tensors else b""
        )
        return _LENGTHS.pack(len(text), len(tensors)) + text + tensors

    @staticmethod
    def from_bytes(data: bytes) -> Message:
        """The inverse of `to_bytes`. Raises LinkLost where it isn't one."""
        if len(data) < _LENGTHS.size:
            raise LinkLost("a message was cut off")
        text, tensors = _LENGTHS.unpack_from(data)
        body = data[_LENGTHS.size :]
        if len(body) != text + tensors:
            raise LinkLost("a message was cut off")
        return _message(body[:text], body[text:])


def notice_loss(connection: socket.socket) -> None:
    """Has a connection end two minutes after the other side's machine or the network between went, neither
    of which says so. A machine that is there answers for a process that computes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    most = 1000 * (SILENCE + _ASKED * _APART)
    for names, value in (
        (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), SILENCE),  # the second as macOS calls it
        (("TCP_KEEPINTVL",), _APART),
        (("TCP_KEEPCNT",), _ASKED),
        (("TCP_USER_TIMEOUT",), most),  # of what was sent and never arrived
    ):
        if found := [getattr(socket, name) for name in names if hasattr(socket, name)]:
            connection.setsockopt(socket.IPPROTO_TCP, found[0], value)


def write(stream: BinaryIO, message: Message) -> None:
    """Sends a message. Raises LinkLost."""
    try:
        stream.write(message.to_bytes())
        stream.flush()
    except TimeoutError:
        raise LinkSilent("it takes nothing") from None
    except (OSError, ValueError) as error:
        raise LinkLost(str(error)) from None


def read(stream: BinaryIO, most: int = MOST_JSON) -> Message:
    """The next message, whose JSON has at most so many bytes. Raises LinkLost."""
    text, tensors = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if text > most or tensors > (MOST_TENSORS if most == MOST_JSON else 0):
        raise LinkLost(f"a message of {text + tensors} bytes is longer than any that is expected")
    return _message(_exactly(stream, text), _exactly(stream, tensors))


def _exactly(stream: BinaryIO, count: int) -> bytes:
    try:
        data = stream.read(count)
    except TimeoutError:
        raise LinkSilent("it says nothing") from None
    except (OSError, ValueError) as error:
        raise LinkLost(str(error)) from None
    if len(data) < count:
        raise LinkLost("the connection ended")
    return data


def _message(text: bytes, tensors: bytes) -> Message:
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("no object")
        return Message(content, load(tensors) if tensors else {})
    except (ValueError, SafetensorError) as error:  # JSON and Unicode errors are ValueErrors
        raise LinkLost(f"what came is no message ({error})") from None
