"""From what `--workers` says to a pool."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from truing.models import devices
from truing.models.pool.heartbeat import SILENCE_SECONDS
from truing.models.pool.links import ListeningWorker, LocalWorker, Worker
from truing.models.pool.messages import KEPT, LinkLost
from truing.models.pool.pool import WorkerPool
from truing.models.pool.trust import address_of, read_token, trusting
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

EXPECTED = (
    "give a number of processes on this machine, addresses of 'truing worker' (HOST:PORT,HOST:PORT), or "
    "ray://HOST:PORT"
)


def open_pool(
    workers: str,
    tell: Callable[[str], object],
    *,
    threads: int | None = None,
    token: Path | None = None,
    ca: str | None = None,
    silence: float | None = None,
) -> WorkerPool:
    """The pool that `workers` names; nothing is started yet.

    `threads` is how many each worker has; without it, their share of this machine's, or as many as the
    smallest machine has. `token` is the file with the token of workers that listen, `ca` the certificate
    that signed theirs (system: the system's own); without it they don't speak TLS. `silence` is how many
    seconds one may give no sign of life until it counts as dead; 60 without it.

    Raises InputError where it names none, or one that isn't fit to be one, ModelUnavailable where one
    can't be reached.
    """
    device, wanted = devices.device(), workers.strip()
    listen = not wanted.startswith("ray://") and ":" in wanted
    for option, value in (("--worker-token", token), ("--worker-ca", ca)):
        if value is not None and not listen:
            raise InputError(f"{option}: belongs to workers that listen; {EXPECTED}")
    if silence is not None and not 1 <= silence < math.inf:
        raise InputError(f"--worker-silence {silence:g}: must be at least 1 second")
    if silence is not None and wanted.startswith("ray://"):
        raise InputError(
            "--worker-silence: holds for processes here and workers that listen; Ray asks its nodes itself"
        )
    silence = silence or SILENCE_SECONDS
    if wanted.startswith("ray://"):
        from truing.models.pool.on_ray import ray_workers

        found: Sequence[Worker]
        found, each = ray_workers(wanted, threads, device)
        where = "in the cluster"
    elif listen:
        found, each = _listening(workers, wanted.split(","), threads, token, ca, silence)
        where = "on other machines"
    else:
        if not re.fullmatch(r"[+-]?\d{1,6}", wanted):
            raise InputError(f"--workers {workers}: can't be read; {EXPECTED}")
        if (count := int(wanted)) < 1:
            raise InputError(f"--workers {workers}: must be at least 1; {EXPECTED}")
        each = threads or max(1, torch.get_num_threads() // count)
        found = [LocalWorker(number, each, silence) for number in range(1, count + 1)]
        where = "on this machine"
    tell(f"Workers: {len(found)} {where}, {each} thread{'s' * (each != 1)} each.")
    return WorkerPool(found, each, device, tell)


def _listening(
    workers: str,
    names: Sequence[str],
    threads: int | None,
    token: Path | None,
    ca: str | None,
    silence: float,
) -> tuple[list[ListeningWorker], int]:
    """Workers that were met, and the threads of each."""
    if token is None:
        raise InputError(
            f"--workers {workers}: workers that listen ask for a token; give --worker-token"
        )
    secret, tls = read_token(token, "--worker-token"), None if ca is None else trusting(ca)
    addresses = dict.fromkeys(address_of(name.strip(), "--workers") for name in names)
    found = [ListeningWorker(host, port, secret, tls, silence) for host, port in addresses]
    cores = min(_cores(worker) for worker in found)  # all are met, before anything is made
    return found, threads or cores


def _cores(worker: ListeningWorker) -> int:
    try:
        link, about = worker.link()
    except LinkLost as error:
        raise ModelUnavailable(
            f"--workers: {worker.name}: {error}; start 'truing worker' there, or leave it out. {KEPT}"
        ) from None
    link.close()
    return max(1, int(about["cores"]))


__all__ = ["EXPECTED", "open_pool"]
