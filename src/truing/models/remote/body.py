"""What a server sent back: unpacked and parsed within limits, and its words where it complains."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

LARGEST = 16 * 2**20
"""Bytes of an answer, unpacked."""
MOST_VALUES = 400_000
"""Values in an answer, which may take 80 times the memory of their text: the log-probabilities of some
70,000 tokens, as servers list them."""
_GZIP = zlib.MAX_WBITS | 16
_PACKED = {"": False, "identity": False, "gzip": True, "x-gzip": True}
_PLAIN = 4096  # bytes of a body that isn't JSON in which a complaint is looked for
_COMPLAINT = 20_000  # characters of a complaint
_DEEP = 8
_SAYS = ("message", "msg", "detail", "error", "errors", "error_description", "reason", "title")
"""The keys under which servers say what is wrong, each of them text, an object or a list of these."""
_MARKUP = re.compile(r"<(?:style|script)\b[^<]*|<[^>]*>")
_HALF = re.compile("[\ud800-\udfff]")


class Unusable(Exception):
    """No answer can be had from a body. `passes`: another attempt may have more luck."""

    def __init__(self, message: str, *, passes: bool) -> None:
        super().__init__(message)
        self.passes = passes


def unpacked(pieces: Iterable[bytes], encoding: str) -> bytes:
    """A body that comes in pieces, unpacked as far as the limit. Raises Unusable."""
    packed = _PACKED.get(encoding.strip().lower())
    if packed is None:
        raise Unusable("answered in an encoding that wasn't asked for", passes=False)
    unpacker = zlib.decompressobj(_GZIP)
    body, size = bytearray(), 0
    for piece in pieces:
        size += len(piece)
        try:
            body += unpacker.decompress(piece, LARGEST + 1 - len(body)) if packed else piece
        except zlib.error:
            raise Unusable("answered with broken gzip", passes=True) from None
        if max(size, len(body)) > LARGEST:
            raise Unusable(f"answered more than {LARGEST >> 20} MB", passes=False)
    if packed and not unpacker.eof:
        raise Unusable("answered with gzip that breaks off", passes=True)
    return bytes(body)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises Unusable."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise Unusable(f"answered more than {MOST_VALUES:,} values", passes=False)
    reason = ""
    try:
        document = json.loads(body)
    except RecursionError:
        document, reason = None, " (nested too deeply)"
    except json.JSONDecodeError:
        document = None
    except ValueError as error:  # a number of thousands of digits, no UTF-8
        digits = "digits" in str(error)
        document, reason = None, " (a number with too many digits)" if digits else ""
    if not isinstance(document, dict):
        raise Unusable(f"answered something that isn't a JSON object{reason}", passes=True)
    return document


def complaint(body: bytes) -> str:
    """What a server says is wrong, in whatever form: every message in JSON, else the plain text."""
    try:
        document = json.loads(body) if len(body) <= 2**20 else None
    except (ValueError, RecursionError):
        document = None
    if document is None:
        text = body[:_PLAIN].decode("utf-8", "replace")
        return _MARKUP.sub(" ", text) if text.lstrip().startswith("<") else text
    return complaint_in(document)


def complaint_in(document: Any) -> str:
    """What JSON says is wrong."""
    return "; ".join(dict.fromkeys(_messages(document, _DEEP)))[:_COMPLAINT]


def _messages(value: Any, deep: int) -> Iterator[str]:
    """FastAPI names the place in `loc`, OpenAI the parameter in `param`."""
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list) and deep:
        for each in value[:100]:
            yield from _messages(each, deep - 1)
    elif isinstance(value, dict) and deep:
        place = value.get("loc") or value.get("param")
        names = place[:10] if isinstance(place, list) else [place]
        where = ".".join(str(name) for name in names if isinstance(name, str | int))
        texts = [text for key in _SAYS for text in _messages(value.get(key), deep - 1)]
        yield from (text if where in text else f"{where}: {text}" for text in texts)


def error_in(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of an answer which says that it is an error, though it was sent with 200."""
    choices = document.get("choices")
    if document.get("error") or document.get("object") == "error":
        return document
    if not isinstance(choices, list):
        return document if complaint_in(document) else None
    first = choices[0] if choices else None
    if not isinstance(first, Mapping):
        return None
    return first if first.get("error") or first.get("finish_reason") == "error" else None


def error_status(error: Mapping[str, Any]) -> int:
    """The status that such an error names; 0 where it names none."""
    inner = error.get("error")
    for part in (inner if isinstance(inner, Mapping) else {}, error):
        for code in (part.get("code"), part.get("status")):
            if str(code).isdecimal() and 400 <= int(str(code)) < 600:
                return int(str(code))
    return 0


def whole_text(text: str) -> str:
    """The text without halves of surrogate pairs, which no file or terminal can hold."""
    return _HALF.sub("\ufffd", text)
