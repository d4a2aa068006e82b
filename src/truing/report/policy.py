"""The page's own policy: it runs and shows what stands in it, by hash, and fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import re

EMPTY = '<meta http-equiv="Content-Security-Policy" content="">'
"""What a template writes where the policy is to stand, before its first style sheet and script."""
_BLOCK = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)
"""A block of a template's. Nothing that a user brought can open one: it is escaped."""


def policy_of(page: str) -> str:
    """`default-src 'none'`, and the hashes of the style sheets and scripts that stand in the page."""
    hashes: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _BLOCK.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        hashes[kind].append(f"'sha256-{digest}'")
    allowed = [
        f"{kind}-src {' '.join(each) or chr(39) + 'none' + chr(39)}"
        for kind, each in hashes.items()
    ]
    return "; ".join(
        ["default-src 'none'", *allowed, "img-src data:", "base-uri 'none'", "form-action 'none'"]
    )


def with_policy(page: str) -> str:
    """The page with its policy in the place that its template left."""
    filled = EMPTY.replace('content=""', f'content="{policy_of(page)}"')
    return page.replace(EMPTY, filled, 1)
