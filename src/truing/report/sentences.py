"""A finding, and how its sentence is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from truing.types import Estimate

Tone = Literal["gain", "mixed", "none", "loss", "warning", "note"]
RewardVerdict = Literal["", "gamed", "agrees", "can’t tell"]


@dataclass(frozen=True)
class Finding:
    """A sentence, what kind it is, and whom it is about ('' for the run as a whole).

    `reward` is set where the sentence says whether a reward was gamed.
    """

    text: str
    tone: Tone
    candidate: str = ""
    reward: RewardVerdict = ""

    @property
    def is_verdict(self) -> bool:
        """Whether this is the one sentence on whether a candidate helped."""
        return self.tone in ("gain", "mixed", "none", "loss")


def change_text(estimate: Estimate, unit: str = "share") -> str:
    """'+0.05 [0.02, 0.08]': two decimals, or three where two would hide which side of 0 it is."""
    parts = [part for part in (estimate.value, estimate.low, estimate.high) if part is not None]
    digits = 3 if any(1e-9 < abs(part) < 0.005 for part in parts) and unit == "share" else 2

    def written(value: float, sign: bool) -> str:
        text = f"{abs(value):.{digits}f}"
        if float(text) == 0:
            return text
        return ("−" if value < 0 else "+" if sign else "") + text

    if estimate.value is None:
        return "not measured"
    if estimate.low is None or estimate.high is None:
        why = "one question, no interval" if estimate.n == 1 else "no interval"
        return f"{written(estimate.value, True)} ({why})"
    return (
        f"{written(estimate.value, True)} "
        f"[{written(estimate.low, False)}, {written(estimate.high, False)}]"
    )


def joined(items: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'; nothing of nothing."""
    return "".join(items) if len(items) < 2 else ", ".join(items[:-1]) + " and " + items[-1]
