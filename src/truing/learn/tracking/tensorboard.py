"""TensorBoard's event files, which need no package; settings stand in the run's folder anyway."""

from __future__ import annotations

from collections.abc import Mapping

from truing.learn.events import EventFile
from truing.learn.tracking.tracker import Training


class TensorBoard:
    """`tensorboard/NAME` in the folder of logs. It begins anew each time, and is shown all steps."""

    def begin(self, training: Training) -> int:
        """See Tracker."""
        self._file = EventFile(training.folder / "tensorboard" / training.name)
        return 0

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        self._file.add({"step": step, **figures})

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        """See Tracker: its charts show the last figures."""
