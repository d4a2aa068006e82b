"""What the benchmarks against TRL share: the seconds of each step, and settings equal to ours or silent."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback

ALIKE: dict[str, Any] = {
    "use_cpu": True,
    "report_to": "none",
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
    "dataloader_num_workers": 0,
    "max_grad_norm": 1.0,
    "weight_decay": 0.0,
    # Recomputing activations would save memory and cost a third of the time: time is compared first.
    "gradient_checkpointing": False,
}


class StepTimes(TrainerCallback):
    """Seconds from the end of one step to the end of the next: sampling, rewards and update."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = time.perf_counter()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Starts the clock."""
        self._last = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Notes the time of the step."""
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now
