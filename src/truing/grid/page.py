"""One self-contained page about a run: no network request, no script, everything escaped."""

from __future__ import annotations

import shlex
from typing import Any

from truing.grid.figures import SHADES, curve_figure, policy_figure, ways_figure
from truing.grid.training import GridRun
from truing.grid.walks import walks
from truing.report.html import render_page
from truing.spec.grid import GridSpec


def command_of(spec: GridSpec) -> str:
    """The command line that gives this run."""
    words = ["truing", "grid", spec.map]
    defaults = GridSpec()
    for name in ("episodes", "slip", "discount", "horizon"):
        if getattr(spec, name) != getattr(defaults, name):
            words += [f"--{name}", str(getattr(spec, name))]
    return shlex.join([*words, "--seed", str(spec.seed)])


def page(run: GridRun) -> str:
    """The page. Equal runs give equal bytes: nothing here reads a clock."""
    world, spec, last = run.world, run.spec, run.curve[-1]
    enough = next((look for look in run.curve if look.result >= 0.99 * run.best.result), None)
    context: dict[str, Any] = {
        "map": world.grid,
        "slip": world.slip,
        "result": run.result,
        "optimal": run.best.result,
        "share": run.share,
        "untrained": run.curve[0].result,
        "cards": [
            (
                "Return",
                [
                    ("of the learned policy", f"{run.result:.4f}"),
                    ("always its likeliest action", f"{run.deterministic_return:.4f}"),
                    ("of the best there is", f"{run.best.result:.4f}"),
                ],
            ),
            (
                "Learned from",
                [
                    ("episodes", f"{last.episodes:,}"),
                    ("steps in the world", f"{last.steps:,}"),
                    ("99 % of the optimum after", f"{enough.episodes:,}" if enough else "never"),
                ],
            ),
            (
                "World",
                [
                    ("slip", f"{world.slip:g}"),
                    ("discount", f"{world.discount:g}"),
                    ("horizon, steps", f"{world.horizon:,}"),
                ],
            ),
        ],
        "policy": policy_figure(run),
        "curve": curve_figure(run),
        "ways": ways_figure(run),
        "before": walks(world, run.before),
        "after": walks(world, run.after),
        "command": command_of(spec),
        "facts": [
            ("Objective", "REINFORCE, reward-to-go, learned values as baseline"),
            ("Updates", f"{last.update:,}"),
            ("Learning rate", f"{spec.learning_rate:g}"),
            ("Entropy weight", f"{spec.entropy_weight:g}"),
            ("Seed", str(spec.seed)),
        ],
        "cells": [
            (
                f"{row + 1}, {column + 1}",
                [run.value_S[state], run.best.value_S[state], *run.policy_SA[state]],
            )
            for state, (row, column) in enumerate(world.grid.cells)
        ],
        "shades": SHADES,
    }
    return render_page("truing.grid", "page.html.j2", context)
