"""Actors of a Ray cluster as workers, one of which loses its node. Skips where Ray isn't installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import saved, texts
from truing.models.engine.tree import PromptWithContinuations
from truing.models.pool.model_files import ModelFiles
from truing.models.pool.on_ray import ray_workers
from truing.models.pool.pool import WorkerPool
from truing.models.pool.pooled_model import PooledModel
from truing.models.scoring import score_each
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

CPU = torch.device("cpu")
ray: Any = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_node_that_is_lost_costs_its_packs_alone(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the cluster has no core"):
        ray_workers("ray://auto", None, CPU)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    with pytest.raises(InputError, match="no node with 3 cores"):
        ray_workers("ray://auto", 3, CPU)
    workers, threads = ray_workers("ray://auto", None, CPU)
    assert (len(workers), threads) == (2, 1)
    folder = saved(tmp_path / "model")
    files = ModelFiles(folder, folder, "float32")
    batches = [
        [PromptWithContinuations(p, texts(n, [3, 4])) for p in texts(n, [30 + n] * 20)]
        for n in range(12)
    ]
    torch.set_num_threads(1)
    expected = dict(score_each(files.load(), batches))
    told: list[str] = []
    with WorkerPool(workers, threads, CPU, told.append) as pool:
        model, found = PooledModel(files, pool), {}
        for number, scores in score_each(model, batches):
            found[number] = scores
            if len(found) == 4:
                while len(pool.kinds) < 2:  # both are there, and will be asked for what is left
                    time.sleep(0.1)
                cluster.remove_node(nodes[0], allow_graceful=False)
                # Its worker answers until the cluster has noticed.
                while sum(node["Alive"] for node in ray.nodes()) > 2:
                    time.sleep(0.1)
    for number, rows in expected.items():
        for row, others in zip(rows, found[number], strict=True):
            for one, other in zip(row, others, strict=True):
                assert one.token_log_probs.equal(other.token_log_probs)
    assert any("is gone" in sentence for sentence in told)


def test_without_a_cluster_it_is_said_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refused(**options: object) -> None:
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(ModelUnavailable, match=r"no Ray cluster there .*timeout.*the same command"):
        ray_workers("ray://gone:10001", None, CPU)
