"""The process that looks for regular expressions: requests in lines of JSON come in, answers go out.

Started as a file, so that it loads little; the system ends it where one request takes too much.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
from typing import Any

try:
    import resource
except ImportError:  # Windows: whoever asks gives up after a while all the same
    resource = None  # type: ignore[assignment]


def _looked_for(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"found": re.search(request["pattern"], request["text"]) is not None}
    except MemoryError:
        return {"beyond": "memory"}
    except (re.error, OverflowError, RecursionError) as error:
        return {"wrong": " ".join(str(error).split())[:200]}


def _limit(kind: str, amount: int) -> None:
    with contextlib.suppress(ValueError, OSError, AttributeError):
        number = getattr(resource, kind)
        resource.setrlimit(number, (amount, resource.getrlimit(number)[1]))


def main(seconds: int, memory: int) -> None:
    """Answers until its input ends. `seconds` are for each request, `memory` (bytes) for the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is for whoever asks
    _limit("RLIMIT_AS", memory)
    _limit("RLIMIT_CORE", 0)
    for line in sys.stdin:
        request = json.loads(line)
        if resource is not None:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _limit("RLIMIT_CPU", int(used.ru_utime + used.ru_stime) + 1 + seconds)
        sys.stdout.write(json.dumps(_looked_for(request)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
