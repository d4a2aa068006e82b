"""W&B through its own package: offline in the run's folder, unless it may go online."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

from truing.learn.tracking.tracker import Training
from truing.types import InputError

LOCAL = "offline"


def mode(online: bool) -> str:
    """W&B's mode: what WANDB_MODE says, else offline. `online` asks for the other."""
    return "online" if online else os.environ.get("WANDB_MODE") or LOCAL


def check_login() -> None:
    """Lets W&B ask for its key now, where it needs one and somebody is there to give it.

    Raises InputError where it gets none.
    """
    import wandb

    try:
        known = wandb.login()
    except (Exception, SystemExit) as error:  # whatever the package and the terminal raise
        known, reason = False, f" ({' '.join(str(error).split())[:200]})"
    else:
        reason = ""
    if not known:
        raise InputError(
            f"tracking.online: wandb has no key{reason}; run 'wandb login', or leave tracking.online "
            "out for files in the run's folder"
        )


class WeightsAndBiases:
    """A run of the training's id. Offline it is written anew each time, online it goes on."""

    def begin(self, training: Training) -> int:
        """See Tracker."""
        import wandb

        training.folder.mkdir(parents=True, exist_ok=True)
        chosen = mode(training.online)
        if chosen == LOCAL:  # a killed process leaves a torn file behind
            for old in training.folder.glob(f"wandb/offline-run-*-{training.id}"):
                shutil.rmtree(old)
        self._run: Any = wandb.init(
            project=training.project,
            id=training.id,
            name=training.name,
            group=training.group,
            dir=str(training.folder),
            config=dict(training.config),
            mode=chosen,
            resume="allow",
            settings=wandb.Settings(
                silent=True, console="off", disable_code=True, disable_git=True, init_timeout=60
            ),
        )
        return int(self._run.step) - 1 if getattr(self._run, "resumed", False) else 0

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        self._run.log(dict(figures), step=step)

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        """See Tracker."""
        self._run.summary.update(dict(summary))
        self._run.finish(exit_code=0 if finished else 1)
