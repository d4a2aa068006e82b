"""The clock of a study: it only goes on, whatever becomes of the server's own clock.

Within a boot of the machine a steady counter says how much time has gone by, also while no server runs: a
file in the study's folder keeps what the clock was where the counter began. After another boot (or where
the system has no such counter) the server's clock is believed again. Where it is earlier then than the last
thing that happened in the study, nobody knows how long ago that was: whatever was open is over, so that no
trial takes longer than its limit in all.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

from truing.files import NotJSONError, json_value, write_json_atomically
from truing.people.tables import now

CLOCK = "clock.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
Clock = Callable[[], dt.datetime]


def boot() -> str:
    """The name of this boot of the machine; "" where the system has none."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return ""


def counter() -> float:
    """Seconds that only go on; on Linux those since the boot, sleep of the machine with them."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def study_clock(
    folder: Path,
    latest: dt.datetime | None = None,
    limit: dt.timedelta = dt.timedelta(),
    *,
    keep: bool = False,
    wall: Clock = now,
    boot: Callable[[], str] = boot,
    counter: Callable[[], float] = counter,
) -> Clock:
    """The clock of the study in a folder, for this process. `latest` is the last thing that happened in
    it, `limit` how long a trial may take; with `keep` the next server goes on from this clock."""
    name = boot()
    start = _kept(folder / CLOCK, name)
    if start is None:
        moment = wall()
        if latest is not None and moment < latest:
            moment = latest + limit + dt.timedelta(seconds=1)
        start = moment - dt.timedelta(seconds=counter())
        if keep and name:
            write_json_atomically(folder / CLOCK, {"boot": name, "start": start.isoformat()})
    elif latest is not None and latest > start + dt.timedelta(seconds=counter()):
        start = latest - dt.timedelta(seconds=counter())  # of a store that was elsewhere before
    begun = start
    return lambda: begun + dt.timedelta(seconds=counter())


def _kept(path: Path, name: str) -> dt.datetime | None:
    """When the counter began by the clock that was kept in this boot; None where none was."""
    try:
        record = json_value(path.read_text("utf-8"))
        start = dt.datetime.fromisoformat(record["start"])
        return start if name and record["boot"] == name and start.tzinfo else None
    except (OSError, NotJSONError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return None
