"""A PostgreSQL server for the tests: Debian's binaries, on loopback, never as root."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from waiting import LONG, until


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    if not found:
        pytest.skip("no PostgreSQL server under /usr/lib/postgresql (Debian: postgresql)")
    return found[-1].parent


def _server_user() -> str | None:
    """Who the server runs as where we are root, which PostgreSQL refuses to be."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("no user to run PostgreSQL as: root may not")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert server.poll() is None, "PostgreSQL ended at once"
        try:
            psycopg.connect(url, connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    until(answers)


@contextmanager
def running_server() -> Iterator[str]:
    """The URL of a server's `postgres` database, with a password of its own."""
    binaries, user = _binaries(), _server_user()
    folder = Path(tempfile.mkdtemp(prefix="truing-postgres-"))
    password = folder / "password"
    password.write_text(secrets.token_hex(16))
    if user:
        shutil.chown(folder, user)
        shutil.chown(password, user)
    data, port = folder / "data", _free_port()
    secret = password.read_text()
    auth = ["-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "truing", "--no-sync", *auth],
        user=user, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    settings = {"listen_addresses": "127.0.0.1", "port": port, "fsync": "off"}
    options = [p for name, value in settings.items() for p in ("-c", f"{name}={value}")]
    options += ["-c", "unix_socket_directories="]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, *options],
        user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"postgresql://truing:{secret}@127.0.0.1:{port}/postgres"
    try:
        _wait(url, server)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # ends connections that tests left open
        server.wait(LONG)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(server: str, template: str = "template1") -> str:
    """The URL of a fresh database: empty, or as the one of that name is, to which nobody is connected."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
    return f"{server.rpartition('/')[0]}/{name}"
