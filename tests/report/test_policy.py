"""Every page runs and shows what stands in it by hash alone, and none depends on what that forbids."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from pathlib import Path

import pytest

import truing
from truing.report.policy import EMPTY, policy_of, with_policy

SOURCE = Path(truing.__file__).parent
PAGES = [
    path
    for path in sorted(SOURCE.rglob("*.j2"))
    if not path.is_relative_to(SOURCE / "people") and not path.is_relative_to(SOURCE / "serve")
]
"""What is written as a file; pages of the two servers have their policy as a header."""


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_what_stands_in_a_page_is_allowed_by_its_hash() -> None:
    page = f"<head>{EMPTY}<style>\na {{ b: c }}\n</style></head><script>\n1 < 2;\n</script>"
    policy = policy_of(page)
    assert f"style-src {sha256(chr(10) + 'a { b: c }' + chr(10))};" in policy
    assert f"script-src {sha256(chr(10) + '1 < 2;' + chr(10))};" in policy
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert f'content="{policy}"' in with_policy(page)
    assert "script-src 'none'" in policy_of("<style>a</style>")


def test_text_that_looks_like_the_place_is_left_alone() -> None:
    page = with_policy(f"{EMPTY}<style>a</style><p>{EMPTY}</p>")
    assert page.endswith(f"<p>{EMPTY}</p>") and page.count("sha256-") == 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_page_has_styles_or_scripts_that_a_hash_cannot_allow(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "unsafe-" not in text and not re.search(r"\s(style|on\w+)=", text)
    if "<html" in text:
        assert text.count(EMPTY) == 1 and text.index(EMPTY) < text.index("<style")


@pytest.mark.parametrize(("name", "end"), [("explore.js", "</script"), ("explore.css", "</style")])
def test_the_pages_own_script_and_styles_are_plain(name: str, end: str) -> None:
    text = resources.files("truing.report").joinpath(name).read_text(encoding="utf-8")
    assert end not in text and "<!--" not in text
    for risky in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(",
                  "fetch(", "XMLHttp", "import(", "http:", "https:", "url(", "@import"):  # fmt: skip
        assert risky not in text, risky
