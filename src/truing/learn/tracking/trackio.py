"""trackio through its own package: its store on this machine, unless it may go online."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from huggingface_hub import constants

from truing.learn.tracking.tracker import Training

_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL")
"""Variables by which trackio sends figures away of itself."""


class _HereAlone:
    """While a training begins that may not go online: without those variables, and without the hub, which
    trackio asks for the user's name. Left from any thread, and once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: tuple[dict[str, str], bool] | None = None

    def __enter__(self) -> None:
        elsewhere = {name: os.environ.pop(name) for name in _ELSEWHERE if name in os.environ}
        self._before = elsewhere, constants.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._before is not None:
                elsewhere, constants.HF_HUB_OFFLINE = self._before
                os.environ.update(elsewhere)
            self._before = None


class Trackio:
    """A run named after the training and its id; taken up again, it goes on."""

    def __init__(self) -> None:
        self._here_alone = _HereAlone()

    def restore(self) -> None:
        """See Restoring."""
        self._here_alone.__exit__()

    def begin(self, training: Training) -> int:
        """See Tracker."""
        import trackio

        self._trackio: Any = trackio
        with nullcontext() if training.online else self._here_alone:
            run: Any = trackio.init(
                project=training.project,
                name=f"{training.name}-{training.id}",
                group=training.group,
                config=dict(training.config),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )
        # The step that it would give the next row, were it to count them.
        return max(0, int(getattr(run, "_next_step", 0)) - 1)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        self._trackio.log(dict(figures), step=step)

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        """See Tracker: trackio shows the last figures itself, and waits here until all are stored."""
        self._trackio.finish()
