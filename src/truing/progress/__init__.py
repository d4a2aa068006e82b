"""Progress on standard error: a bar or a line for whatever takes longer than two seconds.

Each says which stage it belongs to and, after the first pass, how long the rest will take. Where nobody
watches a bar, a line a minute says how far it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truing.progress.reporting import Advance, Progress, SilentProgress

if TYPE_CHECKING:
    from truing.progress.stderr import StderrProgress

__all__ = ["Advance", "Progress", "SilentProgress", "StderrProgress"]


def __getattr__(name: str) -> Any:
    # Bars take a while to load, and much that names them shows none.
    if name == "StderrProgress":
        from truing.progress.stderr import StderrProgress

        return StderrProgress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
