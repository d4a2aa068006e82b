"""The figure of a training's reward, where no judged figure stands beside it."""

from __future__ import annotations

from truing.report.curves import rl_curves
from truing.report.task_metrics import TaskMetrics
from truing.types import Metric

MC1 = Metric("trivia", "mc1", "MC1", 1, "share", "", by_likelihood=True)
LOG = [{"step": 1, "reward": 0.25}, {"step": 2, "reward": 0.5, "chosen": True}]


def test_a_reward_that_no_judged_figure_goes_with_is_drawn_alone() -> None:
    task = TaskMetrics((MC1,), {}, headline=(("trivia", "mc1"),))
    figure = rl_curves({0: LOG}, task)
    assert figure is not None
    assert all("Training reward" in each for each in (figure.wide, figure.narrow))
    assert "step 2: kept" in figure.wide
