"""Trackers of a training's figures: TensorBoard, W&B, MLflow, trackio."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from truing.learn.tracking import mlflow, weights_and_biases
from truing.learn.tracking.mlflow import MLflow
from truing.learn.tracking.tensorboard import TensorBoard
from truing.learn.tracking.tracker import Tracker, Training
from truing.learn.tracking.tracking import Tracking
from truing.learn.tracking.trackio import Trackio
from truing.learn.tracking.weights_and_biases import WeightsAndBiases
from truing.spec.tracking import TrackingSpec
from truing.types import InputError

TRACKERS: dict[str, Callable[[], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "trackio": Trackio,
}
"""By the name that a spec has for them, which is their package's where they need one."""
_NEED_NO_PACKAGE = {"tensorboard"}
_CHECKS = {"wandb": weights_and_biases.check_login, "mlflow": mlflow.check_server}
"""Of trackers that go online: whether they could."""


def check_trackers(spec: TrackingSpec) -> None:
    """Raises InputError where a tracker can't work: its package isn't there, or its service unknown."""
    for name in spec.to:
        if name in _NEED_NO_PACKAGE:
            continue
        try:
            import_module(name)
        except (Exception, SystemExit) as error:  # whatever the package and its own imports raise
            absent = isinstance(error, ModuleNotFoundError) and error.name == name
            what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            reason = "isn't installed" if absent else f"can't be imported ({what})"
            raise InputError(
                f"tracking.to: {name} {reason}: pip install 'truing[{name}]'"
            ) from None
        if spec.online and name in _CHECKS:
            _CHECKS[name]()


def tracking_of(
    spec: TrackingSpec, training: Training, say: Callable[[str], object]
) -> Tracking | None:
    """A training's trackers; None where a spec asks for none."""
    trackers: dict[str, Tracker] = {name: TRACKERS[name]() for name in spec.to}
    return Tracking(training, trackers, say) if trackers else None


__all__ = ["TRACKERS", "Tracker", "Training"]
