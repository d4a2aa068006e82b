"""How far training prompts are from what users ask."""

from truing.shift.run import Done, Request, run_shift
from truing.shift.study import Study, compare

__all__ = ["Done", "Request", "Study", "compare", "run_shift"]
