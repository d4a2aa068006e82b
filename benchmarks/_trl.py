"""What the benchmarks against TRL share: the seconds of each step, and settings equal to ours or silent."""

from __future__ import annotations

import sys
import time
from typing import Any

from transformers import TrainerCallback

from _in_turn import is_slow

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


def affordable(steps: int, case: str) -> int:
    """How many steps to take, the first included: two where the peer takes minutes for each."""
    return 2 if is_slow(case) else steps


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
        print(f"  step {len(self.seconds)}: {self.seconds[-1]:.1f} s", file=sys.stderr, flush=True)
        self._last = now
