"""The options of commands that may have workers, the pool that they name, and `truing worker`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.common import explained
from truing.terminal import say
from truing.types import InputError

if TYPE_CHECKING:
    from truing.models.pool.pool import WorkerPool

Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="score and sample in so many processes here, in 'truing worker's elsewhere "
        "(HOST:PORT,HOST:PORT), or in a Ray cluster (ray://HOST:PORT); see docs/clusters.md",
    ),
]
WorkerThreads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="with --workers: threads of each; without it, its share of the cores",
    ),
]
WorkerToken = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="with --workers HOST:PORT: the file with their token"),
]
WorkerCa = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="with --workers HOST:PORT: the certificate that signed theirs (PEM), or 'system'; they "
        "then speak TLS",
    ),
]
WorkerSilence = Annotated[
    float | None,
    typer.Option(
        min=1,
        metavar="S",
        help="with --workers: seconds without a sign of life after which a worker counts as dead, and "
        "another takes over; 60 without it",
    ),
]


def named_pool(
    tell: Callable[[str], object], workers: str | None = None, **options: Any
) -> WorkerPool | None:
    """The pool that `--workers` names, of which nothing is started; None where it names none. `options`
    are those that belong to it, `worker_threads` and others.

    Raises InputError where it or one of them is wrong.
    """
    given = {
        name.removeprefix("worker_"): each for name, each in options.items() if each is not None
    }
    if workers is None:
        if given:
            raise InputError(f"--worker-{next(iter(given))}: belongs to --workers; give that too")
        return None
    from truing.models.pool.opening import open_pool

    return open_pool(workers, tell, **given)


def entered(pool: WorkerPool | None) -> AbstractContextManager[WorkerPool | None]:
    """The pool's context, where there is a pool."""
    return nullcontext() if pool is None else pool


def worker(
    listen: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT", help="the address of this machine that pools reach it at"
        ),
    ],
    token_file: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="the token that pools must show; where there is no such file, one is written",
        ),
    ],
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a certificate (PEM), for TLS")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the certificate's key (PEM)")
    ] = None,
) -> None:
    """Score and sample for 'truing eval --workers HOST:PORT' on other machines, until interrupted.

    Whoever knows the token may have any model of this machine loaded and asked; nothing else. Without a
    certificate what is said goes over the network in the clear.
    """
    with explained():
        from truing.models.pool.trust import address_of, certified, made_token
        from truing.models.pool.worker import WorkerServer

        if (tls_cert is None) != (tls_key is None):
            raise InputError("--tls-cert: a certificate and its key belong together; give both")
        host, port = address_of(listen, "--listen")
        tls = certified(tls_cert, tls_key) if tls_cert and tls_key else None
        token, is_new = made_token(token_file, "--token-file")
        server = WorkerServer(host, port, token, tls)
        if is_new:
            say(f"Token: written to {token_file}; pools need a copy of it", error=True)
        how = "with TLS" if tls else "without TLS"
        say(f"Listening at {host}:{server.port}, {how}. Ctrl-C ends it.", error=True)
        server.serve()
