"""What a worker and a pool must have alike: an address, a token in a file, and perhaps certificates."""

from __future__ import annotations

import os
import re
import secrets
import ssl
from pathlib import Path

from truing.types import InputError

LEAST = 16
"""Characters of a token at least."""


def address_of(text: str, where: str) -> tuple[str, int]:
    """HOST:PORT; an IPv6 address stands in brackets. Raises InputError."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:\[\]/]+)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise InputError(
            f"{where} {text}: is no address; give HOST:PORT, for instance 10.0.0.2:7707"
        )
    return found[1] or found[2], int(found[3])


def read_token(path: Path, where: str) -> str:
    """The token in a file. Raises InputError."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{where} {path}: can't be read ({error})") from None
    if len(token) < LEAST or len(token.split()) != 1:
        raise InputError(
            f"{where} {path}: holds no token: one line of at least {LEAST} characters without spaces, "
            "which 'truing worker' writes where there is no such file"
        )
    return token


def made_token(path: Path, where: str) -> tuple[str, bool]:
    """The token in a file, and whether it was made just now, for its owner alone to read."""
    if path.exists():
        return read_token(path, where), False
    token = secrets.token_urlsafe(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError(f"{where} {path}: can't be written ({error})") from None
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(token + "\n")
    return token, True


def certified(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a worker shows. Raises InputError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"--tls-cert {certificate}: can't be used with {key} ({error}); give a certificate and its "
            "key, in PEM and without a passphrase"
        ) from None
    return context


def trusting(authority: str) -> ssl.SSLContext:
    """What a pool trusts: a file, or 'system'. Raises InputError."""
    if not authority:  # which OpenSSL takes for the system's
        raise InputError("--worker-ca: names nothing; give a PEM file, or system")
    try:
        context = ssl.create_default_context(cafile=None if authority == "system" else authority)
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            f"--worker-ca {authority}: can't be read ({error}); give a PEM file"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
