"""Workers that listen: who is let in, what is encrypted, what is said of one that isn't there."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import torch

import certificates
from truing.models.pool import links as links_module
from truing.models.pool.build import build
from truing.models.pool.links import ListeningWorker, SocketLink, connect
from truing.models.pool.messages import LinkLost, LinkSilent, Message
from truing.models.pool.opening import open_pool
from truing.models.pool.trust import address_of, certified, made_token, read_token, trusting
from truing.models.pool.worker import WorkerServer
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

TOKEN = "a token that nobody guesses".replace(" ", "-")


def listening(server: WorkerServer) -> WorkerServer:
    threading.Thread(target=server.serve, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def server() -> WorkerServer:
    return listening(WorkerServer("127.0.0.1", 0, TOKEN))


def test_who_shows_the_token_is_told_of_the_worker(server: WorkerServer) -> None:
    link, about = ListeningWorker("127.0.0.1", server.port, TOKEN).link()
    assert about["build"] == build() and about["cores"] == torch.get_num_threads()
    answer = link.ask(Message({"do": "run"})).content
    assert answer["failed"] == "defect" and "KeyError" in answer["message"]
    link.close()
    with pytest.raises(InputError, match=r"worker 127.0.0.1:\d+: the token is another one; give"):
        ListeningWorker("127.0.0.1", server.port, TOKEN + "x").link()


def test_who_shows_nothing_is_not_listened_to(server: WorkerServer) -> None:
    for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\2\0\0\0\0\0\0\0\0{}"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
            raw.sendall(sent)
            received = b""
            with suppress(ConnectionError):  # it hangs up on what it hasn't read
                raw.shutdown(socket.SHUT_WR)
                while more := raw.recv(4096):
                    received += more
        assert b"build" not in received and b"devices" not in received


def test_another_build_is_refused_on_both_sides(
    server: WorkerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {**build(), "truing": "9.9 (ffffffffffff)"}
    monkeypatch.setattr(links_module, "build", lambda: theirs)
    link, about = connect("127.0.0.1", server.port, TOKEN, "w")  # told, and let go by the worker
    assert about["failed"] == "build"
    with pytest.raises(LinkLost):
        link.ask(Message({"do": "run"}))


def test_a_certificate_is_asked_for_where_it_should_be(tmp_path: Path) -> None:
    certificate, key = certificates.made(tmp_path)
    tls = certified(certificate, key)
    server = listening(WorkerServer("127.0.0.1", 0, TOKEN, tls))
    address = ("127.0.0.1", server.port, TOKEN)
    link, about = ListeningWorker(*address, trusting(str(certificate))).link()
    assert about["build"] == build()
    link.close()
    with pytest.raises(InputError, match="its certificate isn't trusted"):
        ListeningWorker(*address, trusting("system")).link()
    with pytest.raises(InputError, match=r"not valid for 'localhost'.*name the worker as its"):
        ListeningWorker("localhost", server.port, TOKEN, trusting(str(certificate))).link()
    with pytest.raises(LinkLost, match="perhaps it speaks with TLS: give --worker-ca"):
        ListeningWorker(*address).link()
    plain = listening(WorkerServer("127.0.0.1", 0, TOKEN)).port
    with pytest.raises(LinkLost, match="perhaps it speaks without TLS: leave --worker-ca out"):
        ListeningWorker("127.0.0.1", plain, TOKEN, trusting(str(certificate))).link()
    with pytest.raises(InputError, match="--worker-ca: names nothing"):  # not: without TLS
        open_pool("127.0.0.1:1", print, token=_token(tmp_path), ca="")
    with pytest.raises(InputError, match="can't be used with"):
        certified(certificate, certificate)


def _token(folder: Path) -> Path:
    (folder / "token").write_text(TOKEN)
    return folder / "token"


def test_a_machine_that_goes_without_a_word_is_noticed(server: WorkerServer) -> None:
    link, _ = ListeningWorker("127.0.0.1", server.port, TOKEN).link()
    assert isinstance(link, SocketLink)
    option = partial(link._connection.getsockopt, socket.IPPROTO_TCP)
    assert link._connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        idle, apart, count = map(option, names)
        seconds = idle + apart * count
        assert seconds <= 120 and option(socket.TCP_USER_TIMEOUT) == 1000 * seconds
    link.close()


def test_who_computes_for_long_gives_signs_of_life(
    server: WorkerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(request: Message) -> Message:
        time.sleep(1.0)
        return Message({"after": request.content["do"]})

    monkeypatch.setattr(server.holder, "answer", slowly)
    worker = ListeningWorker("127.0.0.1", server.port, TOKEN, silence=0.4)
    link, _ = worker.link()
    assert [link.ask(Message({"do": n})).content["after"] for n in range(2)] == [0, 1]
    link.close()
    monkeypatch.setattr(links_module, "seconds_between", lambda _: 5.0)  # longer than is waited
    link, _ = worker.link()
    with pytest.raises(LinkSilent, match=r"no sign of life for 0\.4 s"):
        link.ask(Message({"do": 0}))
    link.close()


def test_it_listens_at_addresses_of_six(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("without IPv6")
    server = listening(WorkerServer("::1", 0, TOKEN))
    pool = open_pool(f"[::1]:{server.port}", print, token=_token(tmp_path))
    assert [worker.name for worker in pool.workers] == [f"worker [::1]:{server.port}"]
    with pytest.raises(ModelUnavailable, match=r"worker a\.\.b:1: can't be reached"):
        open_pool("a..b:1", print, token=tmp_path / "token")


def test_addresses_and_tokens_that_are_none_are_named(tmp_path: Path) -> None:
    assert address_of("[::1]:70", "--listen") == ("::1", 70)
    for wrong in ("host", "host:", "host:99999", "http://h:1", ":1", "a b:1"):
        with pytest.raises(InputError, match=r"is no address; give HOST:PORT"):
            address_of(wrong, "--listen")
    token, is_new = made_token(tmp_path / "token", "--token-file")
    assert is_new and (tmp_path / "token").stat().st_mode & 0o077 == 0
    assert made_token(tmp_path / "token", "--token-file") == (token, False)
    (tmp_path / "short").write_text("abc\n")
    with pytest.raises(InputError, match="holds no token"):
        read_token(tmp_path / "short", "--worker-token")


def test_one_that_is_not_there_is_named_before_anything_is_done(
    server: WorkerServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    both = f"127.0.0.1:{server.port},127.0.0.1:{port}"
    with pytest.raises(ModelUnavailable, match=rf"worker 127.0.0.1:{port}: can't be reached"):
        open_pool(both, print, token=tmp_path / "token")
    told: list[str] = []
    pool = open_pool(f"127.0.0.1:{server.port}", told.append, token=tmp_path / "token", threads=3)
    assert (len(pool.workers), pool.threads) == (1, 3)
    assert told == ["Workers: 1 on other machines, 3 threads each."]
