"""Regular expressions on answers, in a process that is ended where one takes too long.

Some expressions take time that grows as a power of two with the answer ((a+)+$), and a policy that is
rewarded by one finds such answers sooner or later.
"""

from __future__ import annotations

import re
from pathlib import Path

from truing.models.limited_worker import LimitedWorker
from truing.types import Score, Unscored

SECONDS = 1
"""Of processor time, for one answer."""
_MEMORY = 1 << 30
_worker = LimitedWorker(Path(__file__).with_name("pattern_worker.py"), SECONDS, _MEMORY)


def not_a_pattern(pattern: str) -> str:
    """Why a text is no regular expression; empty where it is one."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression ({error})"
    return ""


def found(pattern: str, answer: str) -> Score:
    """1 where the expression is found in the answer, else 0; unscored where it takes too long."""
    reply = _worker.ask({"pattern": pattern, "text": answer})
    if "found" in reply:
        return float(reply["found"])
    if "wrong" in reply:
        return Unscored(f"the case's pattern is not a regular expression ({reply['wrong']})")
    if reply["beyond"] == "time":
        return Unscored(f"the pattern takes more than {SECONDS} s of processor time on this answer")
    return Unscored(f"the pattern takes more than {_MEMORY >> 20} MB of memory on this answer")
