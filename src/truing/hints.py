"""What somebody who has mistyped a name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`did you mean 'x'? `, to be followed by what is known; empty where nothing is near.

    Capitals, and `-` where there is `_`, are no reason to be far.
    """
    alike = {each.casefold().replace("-", "_"): each for each in known}
    typed = str(name).casefold().replace("-", "_")
    close = difflib.get_close_matches(typed, alike, n=1, cutoff=cutoff)
    return f"did you mean '{alike[close[0]]}'? " if close else ""
