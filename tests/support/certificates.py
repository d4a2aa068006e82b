"""A certificate that signs itself, for 127.0.0.1."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_MAKE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=worker "
    "-addext subjectAltName=IP:127.0.0.1"
)


def made(folder: Path) -> tuple[Path, Path]:
    """The files of a certificate and of its key; skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [*_MAKE.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
