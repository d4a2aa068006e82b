"""MLflow through its client: a database in the run's folder, or the server of MLFLOW_TRACKING_URI."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from truing.learn.tracking.tracker import Training
from truing.types import InputError

SERVER = "MLFLOW_TRACKING_URI"
_TAG = "truing.training"
_MOST_PARAM, _MOST_PARAMS = 6000, 100
"""Characters of a parameter's value; parameters that are sent at once."""


def _allowed(name: str) -> str:
    """A name as MLflow takes it: letters, digits and a few signs."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def check_server() -> None:
    """Raises InputError where a training may go online and no server is named."""
    if not os.environ.get(SERVER):
        raise InputError(
            f"tracking.online: mlflow needs its server's address in {SERVER}; set it, or leave "
            "tracking.online out for a database in the run's folder"
        )


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of all settings."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _folder(training: Training) -> Path:
    folder = (training.folder / "mlflow").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class MLflow:
    """A run that carries the training's id as a tag; taken up again, it goes on."""

    def begin(self, training: Training) -> int:
        """See Tracker."""
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=self._where(training))
        experiment = self._experiment(training)
        wanted = f"tags.`{_TAG}` = '{training.id}'"
        if runs := self._client.search_runs([experiment], filter_string=wanted, max_results=1):
            self._id = runs[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return self._last_step(runs[0].data.metrics)
        tags = {_TAG: training.id, "truing.run": training.group}
        run = self._client.create_run(experiment, tags=tags, run_name=training.name)
        self._id = run.info.run_id
        self._log_config(training.config)
        return 0

    def _log_config(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(_allowed(name), str(value)[:_MOST_PARAM]) for name, value in flat(config)]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(self._id, params=params[start : start + _MOST_PARAMS])

    def _where(self, training: Training) -> str:
        if training.online:
            return os.environ[SERVER]
        return f"sqlite:///{(_folder(training) / 'mlflow.db').as_posix()}"

    def _experiment(self, training: Training) -> str:
        if known := self._client.get_experiment_by_name(training.project):
            return str(known.experiment_id)
        place = None if training.online else (_folder(training) / "artifacts").as_uri()
        return str(self._client.create_experiment(training.project, artifact_location=place))

    def _last_step(self, names: Mapping[str, float]) -> int:
        histories = (self._client.get_metric_history(self._id, name) for name in names)
        return max((each.step for history in histories for each in history), default=0)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        from mlflow.entities import Metric

        at = round(time.time() * 1000)
        metrics = [Metric(_allowed(name), value, at, step) for name, value in figures.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        """See Tracker: MLflow keeps the last of each figure itself; what it lacks are words."""
        for name in ("steps", "stop"):
            self._client.set_tag(self._id, f"truing.{name}", str(summary[name]))
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")
