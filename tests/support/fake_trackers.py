"""W&B, MLflow and trackio as far as a training speaks to them, with what they were shown in memory.

What stands in `Service` outlives a process that is killed: two trackers of one service are one training,
begun and taken up again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

Points = list[tuple[int, dict[str, float]]]


@dataclass
class Shown:
    """One run of a service."""

    name: str
    config: dict[str, Any]
    points: Points = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    state: str = "running"
    asked: dict[str, Any] = field(default_factory=dict)


@dataclass
class Service:
    """All runs by their id. `broken` steps are refused."""

    runs: dict[str, Shown] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)

    def check(self, step: int) -> None:
        """Raises where it is broken."""
        if step in self.broken:
            raise ConnectionError(f"no answer\nat step {step}")


def wandb(service: Service) -> dict[str, ModuleType]:
    """Its module: offline a run begins anew, online it goes on."""

    class Run:
        def __init__(self, shown: Shown, resumed: bool) -> None:
            self.shown, self.resumed = shown, resumed
            self.summary = shown.summary

        @property
        def step(self) -> int:
            return max((step for step, _ in self.shown.points), default=-1) + 1

        def log(self, data: dict[str, float], step: int) -> None:
            service.check(step)
            self.shown.points.append((step, data))

        def finish(self, exit_code: int = 0) -> None:
            self.shown.state = "finished" if exit_code == 0 else "failed"

    def init(**asked: Any) -> Run:
        known = asked["id"] in service.runs and asked["mode"] == "online"
        if not known:
            service.runs[asked["id"]] = Shown(asked["name"], asked["config"], asked=asked)
        assert asked["resume"] == "allow"
        return Run(service.runs[asked["id"]], known)

    module: Any = ModuleType("wandb")
    module.init, module.Settings, module.login = init, SimpleNamespace, lambda: False
    return {"wandb": module}


def mlflow(service: Service) -> dict[str, ModuleType]:
    """Its client. Runs are numbered by the server; tags are what they are known by."""
    tags: dict[str, dict[str, str]] = {}

    def seen(key: str) -> SimpleNamespace:
        latest = {k: v for _, values in service.runs[key].points for k, v in values.items()}
        data, info = SimpleNamespace(metrics=latest), SimpleNamespace(run_id=key)
        return SimpleNamespace(data=data, info=info)

    class MlflowClient:
        def __init__(self, tracking_uri: str) -> None:
            self.uri = tracking_uri

        def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
            return SimpleNamespace(experiment_id="7") if service.runs else None

        def create_experiment(self, name: str, artifact_location: str | None) -> str:
            return "7"

        def search_runs(self, experiments: list[str], filter_string: str, max_results: int) -> Any:
            assert experiments == ["7"]
            name, _, value = filter_string.removeprefix("tags.").partition(" = ")
            wanted = (name.strip("`"), value.strip("'"))
            return [seen(key) for key, each in tags.items() if wanted in each.items()]

        def create_run(self, experiment: str, tags: dict[str, str], run_name: str) -> Any:
            key = f"run{len(service.runs)}"
            service.runs[key] = Shown(run_name, {}, asked={"uri": self.uri})
            all_tags[key] = dict(tags)
            return seen(key)

        def update_run(self, run_id: str, status: str) -> None:
            service.runs[run_id].state = status

        def get_metric_history(self, run_id: str, key: str) -> list[SimpleNamespace]:
            steps = [step for step, values in service.runs[run_id].points if key in values]
            return [SimpleNamespace(step=step) for step in steps]

        def log_batch(
            self, run_id: str, metrics: Sequence[Any] = (), params: Sequence[Any] = ()
        ) -> None:
            assert len(params) <= 100
            service.runs[run_id].config |= {param.key: param.value for param in params}
            if params:
                return
            [step] = {metric.step for metric in metrics}
            service.check(step)
            service.runs[run_id].points.append((step, {m.key: m.value for m in metrics}))

        def set_tag(self, run_id: str, key: str, value: str) -> None:
            service.runs[run_id].summary[key.removeprefix("truing.")] = value

        def set_terminated(self, run_id: str, status: str) -> None:
            service.runs[run_id].state = status

    def metric(key: str, value: float, timestamp: int, step: int) -> SimpleNamespace:
        assert timestamp > 1.7e12
        return SimpleNamespace(key=key, value=value, step=step)

    def param(key: str, value: str) -> SimpleNamespace:
        assert re.fullmatch(r"[\w\-. :/]+", key)
        return SimpleNamespace(key=key, value=value)

    all_tags = tags
    whole, tracking, entities = (
        ModuleType(name) for name in ("mlflow", "mlflow.tracking", "mlflow.entities")
    )
    vars(tracking)["MlflowClient"], vars(entities)["Metric"] = MlflowClient, metric
    vars(entities)["Param"] = param
    return {each.__name__: each for each in (whole, tracking, entities)}


def trackio(service: Service) -> dict[str, ModuleType]:
    """Its module, with one current run."""
    module: Any = ModuleType("trackio")
    current: list[Shown] = []

    def init(**asked: Any) -> SimpleNamespace:
        assert asked["resume"] == "allow"
        shown = service.runs.setdefault(
            asked["name"], Shown(asked["name"], asked["config"], asked=asked)
        )
        current[:] = [shown]
        return SimpleNamespace(_next_step=max((step for step, _ in shown.points), default=-1) + 1)

    def log(data: dict[str, float], step: int) -> None:
        service.check(step)
        current[0].points.append((step, data))

    def finish() -> None:
        current.pop().state = "finished"

    module.init, module.log, module.finish = init, log, finish
    return {"trackio": module}


FAKES = {"wandb": wandb, "mlflow": mlflow, "trackio": trackio}


def put_in_place(name: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The fake in place of the package; whether or not that is installed."""
    service = Service()
    for module, fake in FAKES[name](service).items():
        monkeypatch.setitem(sys.modules, module, fake)
    return service
