"""Processes that start in a moment: forked from one that has loaded every library for them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running

import pytest

LOADED = [
    *("training_worker", "truing.cli.train", "truing.recipes.train", "truing.runs.buckets"),
    # What a training loads on its way, which takes a second or two.
    *("peft", "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection"),
]
"""For all who fork: the first of them starts the one server, and what it loads is loaded for all."""


def processes() -> ForkServerContext:
    """Where `Process` and `Pipe` of such processes are had."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # what the server imports by
        ensure_running()
    return context
