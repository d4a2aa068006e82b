"""Learning curves from the training logs, and where reward and judges part.

The reward model scores what reinforcement learning maximises; the judges never served as a reward.
While both rise, the policy learns what was meant. Where the reward goes on rising and the judged
figure falls, it learns to please the reward model: Goodhart's law, drawn over the steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report.figures import WIDE, Figure, both
from truing.report.metrics import number
from truing.report.svg import Canvas, Scale, domain, tick_label, ticks
from truing.report.task_metrics import TaskMetrics

Log = Sequence[Mapping[str, Any]]
_COLOURS = ("c-both", "c-true", "c-informative", "c-other1", "c-other2", "c-other3")


def _lines(task: TaskMetrics) -> list[tuple[str, str, str]]:
    """Grades that a log may hold: the name there, the name in the figure, and the colour."""
    return [
        (metric.name, "both" if len(metric.judges) == 2 else metric.spoken_label, css)
        for metric, css in zip(task.watched, _COLOURS, strict=False)
    ]


def legend(task: TaskMetrics) -> list[tuple[str, str]]:
    """(colour, name) of every grade in the figure."""
    return [(css, metric.spoken_label) for metric, css in zip(task.watched, _COLOURS, strict=False)]


def series(log: Log, *path: str) -> list[tuple[int, float]]:
    """(step, value) wherever a line of the log holds a finite number at `path`."""
    points = []
    for line in log:
        value: Any = line
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            points.append((int(line["step"]), float(value)))
    return points


def smoothed(points: list[tuple[int, float]], window: int) -> list[tuple[int, float]]:
    """A centred moving mean over `window` points, shorter at the ends."""
    half = window // 2
    result = []
    for index, (step, _) in enumerate(points):
        near = points[max(0, index - half) : index + half + 1]
        result.append((step, sum(value for _, value in near) / len(near)))
    return result


@dataclass(frozen=True)
class Parting:
    """From `step` on the watched reward rose by `reward_gain` while what it stands for fell.

    `n` is the number of watched answers behind each look, where the log says it.
    """

    step: int
    reward_gain: float
    judged_loss: float
    n: int | None

    @property
    def within_noise(self) -> bool:
        """Whether the fall is below two standard errors of a difference of two shares.

        A share of n answers has a variance of at most 0.25 / n, so this errs towards doubt.
        """
        return self.n is not None and self.judged_loss < 2 * math.sqrt(0.5 / max(1, self.n))


def parting(log: Log, gold: str) -> Parting | None:
    """Where reward and judges part: at the (first) best judged look, if the last look is judged
    worse though its watched reward is higher. None where they never part.

    `gold` names the judged figure."""
    judged = dict(series(log, "monitor", gold))
    reward = dict(series(log, "monitor", "reward"))
    steps = sorted(judged.keys() & reward.keys())
    if len(steps) < 2:
        return None
    best = max(steps, key=lambda step: (judged[step], -step))
    last = steps[-1]
    if judged[last] >= judged[best] or reward[last] <= reward[best]:
        return None
    sizes = dict(series(log, "monitor", "n"))
    n = int(sizes[last]) if last in sizes else None
    return Parting(best, reward[last] - reward[best], judged[best] - judged[last], n)


def chosen(log: Log) -> tuple[int, str] | None:
    """The step that was kept and why training stopped, or None where the log doesn't say."""
    for line in log:
        if line.get("chosen") is True:
            return int(line["step"]), str(line.get("stop_reason") or "")
    return None


def captions(logs: Mapping[int, Log], task: TaskMetrics) -> list[str]:
    """What the reinforcement-learning figure shows, in a sentence or two for each seed."""
    texts = []
    gold = task.of(task.stands_for)[0]
    for seed, log in logs.items():
        part, selected = parting(log, gold.name), chosen(log)
        parts = []
        if part is not None:
            parts.append(
                f"Reward and judges part after step {part.step}: from there the watched reward "
                f"rose by {number(part.reward_gain, 'reward')} while {gold.spoken} fell by "
                f"{number(part.judged_loss)}."
            )
            if part.within_noise:
                parts.append(f"With {part.n} answers a look, that fall is within noise.")
        elif len(series(log, "monitor", gold.name)) > 1:
            parts.append("Reward and judges do not part.")
        if selected is not None:
            parts.append(
                f"Step {selected[0]} was kept" + (f": {selected[1]}." if selected[1] else ".")
            )
        if parts:
            texts.append((f"Seed {seed}. " if len(logs) > 1 else "") + " ".join(parts))
    return texts


def axes(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    steps: tuple[int, int],
    values: list[float],
    title: str,
    *,
    show_steps: bool,
    least: float = 0.01,
) -> tuple[Scale, Scale]:
    """Scales, grid and title of one panel; `least` is the air around values that never vary."""
    left, top, right, bottom = box
    x = Scale(steps[0], max(steps[1], steps[0] + 1), left, right)
    y = Scale(*domain(values, least=least), bottom, top)
    canvas.y_axis(y, left, right, 4)
    canvas.line(left, bottom, right, bottom, "frame")
    marks = [mark for mark in ticks(x.low, x.high, 6) if mark == round(mark)]
    for mark in marks:
        canvas.line(x(mark), bottom, x(mark), bottom + 4, "frame")
        if show_steps:
            canvas.text(x(mark), bottom + 18, tick_label(mark, 1), "tick", "middle")
    canvas.text(left, top - 12, title, "label")
    return x, y


def draw_line(
    canvas: Canvas, x: Scale, y: Scale, points: list[tuple[int, float]], css: str
) -> None:
    """A line through (step, value)."""
    canvas.path([(x(step), y(value)) for step, value in points], css)


def sft_curve(logs: Mapping[int, Log]) -> Figure | None:
    """Training loss by step (faint), its moving mean, and the held-out loss where it was taken."""
    # Logs of earlier versions lack the loss per token.
    losses = {
        seed: series(log, "loss_per_token") or series(log, "loss") for seed, log in logs.items()
    }
    held_out = {seed: series(log, "held_out_loss") for seed, log in logs.items()}
    points = [
        point for series_points in (*losses.values(), *held_out.values()) for point in series_points
    ]
    if not points:
        return None
    steps = (min(step for step, _ in points), max(step for step, _ in points))

    def draw(width: int, key: str) -> Canvas:
        height = 250 if width == WIDE else 230
        about = f"Loss over steps {steps[0]} to {steps[1]}; the last: {points[-1][1]:.3f}."
        canvas = Canvas(width, height, "Supervised fine-tuning: loss", about, f"sft-{key}")
        box = (46.0, 34.0, width - 14.0, height - 44.0)
        values = [value for _, value in points]
        x, y = axes(canvas, box, steps, values, "Loss (nats per token)", show_steps=True)
        canvas.text((box[0] + box[2]) / 2, height - 6, "step", "axis", "middle")
        for series_points in losses.values():
            draw_line(canvas, x, y, series_points, "curve faint c-sft")
            draw_line(
                canvas,
                x,
                y,
                smoothed(series_points, max(3, len(series_points) // 10)),
                "curve c-sft",
            )
        for series_points in held_out.values():
            draw_line(canvas, x, y, series_points, "curve dashed c-ink")
            for step, value in series_points:
                canvas.marker(x(step), y(value), "c-ink", f"step {step}: held-out {value:.3f}", 3.5)
        return canvas

    return both(draw)


def _guides(logs: Mapping[int, Log], gold: str) -> list[tuple[int, str, str]]:
    """(step, text, style) of each vertical line: where reward and judges part, what was kept."""
    texts: dict[int, set[str]] = {}
    for log in logs.values():
        part, selected = parting(log, gold), chosen(log)
        if part is not None:
            texts.setdefault(part.step, set()).add("they part")
        if selected is not None:
            texts.setdefault(selected[0], set()).add("kept")
    return [
        (
            step,
            f"step {step}: {' and '.join(sorted(labels, reverse=True))}",
            "parting" if "they part" in labels else "kept",
        )
        for step, labels in sorted(texts.items())
    ]


def _draw_guides(
    canvas: Canvas, x: Scale, guides: list[tuple[int, str, str]], top: float, bottom: float
) -> None:
    """Lines over both panels; their names stand above the panels, one below the other."""
    for row, (step, _, css) in enumerate(guides):
        canvas.line(x(step), top + 15 * row - 9, x(step), bottom, css)
    for row, (step, text, css) in enumerate(guides):
        left_of = x(step) > (x.start + x.stop) / 2
        at = x(step) + (-6 if left_of else 6)
        canvas.text(at, top + 15 * row, text, f"tick {css}", "end" if left_of else "start")


def rl_curves(logs: Mapping[int, Log], task: TaskMetrics) -> Figure | None:
    """Above the training reward, below the judged figures, over the same steps."""
    sampled = {seed: series(log, "reward") for seed, log in logs.items()}
    watched = {seed: series(log, "monitor", "reward") for seed, log in logs.items()}
    lines = _lines(task)
    judged = {
        (seed, name): series(log, "monitor", name)
        for seed, log in logs.items()
        for name, _, _ in lines
    }
    above = [
        point for series_points in (*sampled.values(), *watched.values()) for point in series_points
    ]
    below = [point for series_points in judged.values() for point in series_points]
    if not above:
        return None
    steps = (min(s for s, _ in above + below), max(s for s, _ in above + below))
    guides = _guides(logs, lines[0][0] if lines else "")

    def draw(width: int, key: str) -> Canvas:
        panel = 190 if width == WIDE else 165
        top = 38 + 15 * len(guides)
        height = top + panel + (44 + panel if below else 0) + 44
        about = " ".join(captions(logs, task)) or f"Reward over steps {steps[0]} to {steps[1]}."
        canvas = Canvas(
            width, height, "Reinforcement learning: reward and judges", about, f"rl-{key}"
        )
        left, right = 46.0, width - 14.0
        box = (left, float(top), right, float(top + panel))
        values = [value for _, value in above]
        canvas.text(left, 18, "Training reward", "label")
        x, y = axes(canvas, box, steps, values, "", show_steps=not below)
        for series_points in sampled.values():
            draw_line(canvas, x, y, series_points, "curve faint c-reward")
            draw_line(
                canvas,
                x,
                y,
                smoothed(series_points, max(3, len(series_points) // 10)),
                "curve soft c-reward",
            )
        for series_points in watched.values():
            _looks(canvas, x, y, series_points, "c-reward", "reward of watched answers")
        bottom = box[3]
        if below:
            box = (left, bottom + 44, right, bottom + 44 + panel)
            bottom = box[3]
            title = "Judged on watched answers (share)"
            x, y = axes(canvas, box, steps, [value for _, value in below], title, show_steps=True)
            for name, label, css in lines:
                for seed in logs:
                    _looks(canvas, x, y, judged[seed, name], css, label)
        _draw_guides(canvas, x, guides, 38.0, bottom)
        canvas.text((left + right) / 2, height - 6, "step", "axis", "middle")
        return canvas

    return both(draw)


def _looks(
    canvas: Canvas, x: Scale, y: Scale, points: list[tuple[int, float]], css: str, label: str
) -> None:
    """A line with a dot for every look at the watched answers."""
    draw_line(canvas, x, y, points, f"curve {css}")
    for step, value in points:
        canvas.marker(x(step), y(value), css, f"step {step}: {label} {value:.3f}", 3.5)
