"""Whether a folder is on a disk of this machine, as far as the system says."""

from __future__ import annotations

import re
from pathlib import Path

_LOCAL = frozenset(
    [
        "apfs",
        "bcachefs",
        "btrfs",
        "exfat",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "hfsplus",
        "jfs",
        "ntfs",
        "ntfs3",
        "overlay",
        "ramfs",
        "reiserfs",
        "tmpfs",
        "ufs",
        "vfat",
        "xfs",
        "zfs",
    ]
)
"""Linux's names of file systems that one machine alone mounts. What isn't named may be shared."""


def is_local(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether no other machine can have the folder open. Where the system doesn't say what is mounted
    (anywhere but on Linux), that is taken for granted."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return True
    where, kind, depth = folder.resolve(), "", -1
    for line in lines:
        before, _, behind = line.partition(" - ")
        point = Path(_unescaped(before.split(" ")[4]))
        if where.is_relative_to(point) and len(point.parts) >= depth:  # a later one lies on top
            kind, depth = behind.split(" ")[0], len(point.parts)
    return kind in _LOCAL


def _unescaped(text: str) -> str:
    """Blanks and backslashes stand there as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
