"""Who samples the policy of a training: itself, the servers that the spec names, or a pool's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from truing.learn.checkpoint import Checkpoint
from truing.methods.setup import Setup
from truing.models.pool.model_files import ModelFiles
from truing.models.pool.pool import WorkerPool
from truing.models.pool.pooled_model import PooledModel
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import EndpointName
from truing.models.remote.vllm import PREFIX, VllmServer
from truing.models.weights.resolving import portable_name
from truing.policies.adapter_versions import AdapterVersions
from truing.policies.language import LanguagePolicy
from truing.policies.pooled_sampler import PooledSampler
from truing.policies.sampler import Sampler
from truing.policies.sampler_trial import check_adapters, check_server
from truing.policies.served_sampler import ServedSampler
from truing.rewards.people import people_asked
from truing.runs.run import Run
from truing.spec.run import Spec
from truing.spec.sampler import SAME, WORKERS
from truing.types import InputError, stable_hash

ADAPTERS = "adapters"
SILENCE = 600.0
"""Seconds for which a server may say nothing while it draws a prompt's answers."""
FIRST_WAIT = 1.0
"""Seconds until a request is tried again, which double each time."""


def check_sampler(setup: Setup) -> None:
    """Raises InputError where servers or workers can't be asked as the spec says; asks them nothing."""
    if setup.pool is not None:
        _check_pool(setup.spec)
    elif setup.spec.compute.sampler == WORKERS:
        raise InputError(
            "compute.sampler: workers are named with --workers, as in 'truing train rl SPEC --workers 4'; "
            f"give that too, or set it to {SAME}"
        )
    if setup.pool is None and not setup.spec.compute.servers:
        return
    if people_asked(setup.spec.reward) is not None and setup.spec.rl.contrast is None:
        raise InputError(
            "compute.sampler: people judge answers that can be drawn again to the letter when training "
            "goes on, which servers and workers elsewhere don't promise; leave it out, and --workers"
        )
    for server in _servers(setup, lambda text: None):
        server.close()


def _check_pool(spec: Spec) -> None:
    """Raises InputError where workers can't sample what learns."""
    if spec.compute.servers:
        raise InputError(
            "--workers: compute.sampler leaves answers to servers; leave one of the two out"
        )
    if spec.rl.adapter.kind != "lora":
        raise InputError(
            f"--workers: are sent an adapter after each update, and rl.adapter.kind is "
            f"{spec.rl.adapter.kind}, which trains all weights; set it to lora, or leave --workers out"
        )
    if spec.compute.base_precision != "same":
        raise InputError(
            f"--workers: hold the base as it is, and compute.base_precision is "
            f"{spec.compute.base_precision}; set it to same, or leave --workers out"
        )


def try_servers(setup: Setup) -> None:
    """Raises InputError where a server that is named doesn't sample this model; see sampler_trial."""
    servers = _servers(setup, setup.progress.note)
    try:
        for server in servers:
            check_server(server, setup.base.model, _a_prompt(setup))
    finally:
        for server in servers:
            server.close()


@contextmanager
def sampler_of(
    run: Run, setup: Setup, policy: LanguagePolicy, checkpoint: Checkpoint
) -> Iterator[Sampler | None]:
    """The sampler apart, tried out, where there is one; None where the policy samples here.

    Raises InputError where a server doesn't sample this policy.
    """
    if setup.pool is not None:
        # Their passes are those of the policy itself; what they sample ahead is of an earlier one.
        policy.sampled_apart = setup.spec.rl.staleness > 0
        with closing(_pooled(setup, setup.pool, policy, checkpoint)) as pooled:
            yield pooled
        return
    if not setup.spec.compute.servers:
        yield None
        return
    policy.sampled_apart = True
    folder = _folder(run, setup, checkpoint)
    versions = AdapterVersions(folder, policy, portable_name(setup.source.name))
    servers = _servers(setup, setup.progress.note)
    sampler = ServedSampler(
        policy.trained,
        servers,
        versions,
        setup.spec.rl.staleness,
        lambda: checkpoint.saved_step,
        setup.progress.note,
    )
    try:
        run.ranks.from_first(lambda: _begin(setup, policy, sampler, servers, folder))
        yield sampler
        run.ranks.from_first(sampler.end)
    finally:
        sampler.close()


def _pooled(
    setup: Setup, pool: WorkerPool, policy: LanguagePolicy, checkpoint: Checkpoint
) -> PooledSampler:
    folder = setup.source.folder
    base = PooledModel(ModelFiles(folder, folder, setup.spec.dtype, name=setup.spec.model), pool)
    base.most_rows, base.room.tell = setup.sampled_rows, setup.progress.note
    return PooledSampler(
        policy,
        base,
        setup.spec.rl.staleness,
        checkpoint.folder / ADAPTERS,
        lambda: checkpoint.saved_step,
    )


def _begin(
    setup: Setup,
    policy: LanguagePolicy,
    sampler: ServedSampler,
    servers: list[VllmServer],
    folder: Path,
) -> None:
    prompt = _a_prompt(setup)
    for server in servers:
        check_server(server, setup.base.model, prompt)
        check_adapters(server, policy, folder / "trial", prompt)
    sampler.begin()


def _servers(setup: Setup, say: Callable[[str], None]) -> list[VllmServer]:
    """Those of the spec; without a name behind the URL, the base is served under its own."""
    compute = setup.spec.compute
    named = (each if "#" in each else f"{each}#{setup.spec.model}" for each in compute.servers)
    connection = Connection(
        compute.sampler_key_variable,
        timeout=SILENCE,
        longest=6 * SILENCE,
        attempts=5 if len(compute.servers) == 1 else 3,  # others can take over
        first_wait=FIRST_WAIT,
        key_option="compute.sampler_key_variable",
    )
    return [VllmServer(EndpointName.parse(name, PREFIX), connection, say) for name in named]


def _a_prompt(setup: Setup) -> list[int]:
    """What the first training prompt is in tokens."""
    return list(setup.renderer.case_tokens(setup.base_prompt, setup.rollout_prompts[0]))


def _folder(run: Run, setup: Setup, checkpoint: Checkpoint) -> Path:
    """Where this training's adapters are handed over."""
    if setup.spec.compute.sampler_folder is None:
        return checkpoint.folder / ADAPTERS
    began = str(run.record().get("created"))
    own = stable_hash("adapters", began, run.spec_digest, checkpoint.folder.name)[:16]
    return Path(setup.spec.compute.sampler_folder) / own
