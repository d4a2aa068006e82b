"""Progress on standard error: a bar or a line for whatever takes longer than two seconds.

Each says which stage it belongs to and, after the first pass, how long the rest will take. Where nobody
watches a bar, a line a minute says how far it is.
"""

from truing.progress.reporting import Advance, Progress, SilentProgress
from truing.progress.stderr import StderrProgress

__all__ = ["Advance", "Progress", "SilentProgress", "StderrProgress"]
