"""Answers as their writers meant them to look: Markdown, without anything that acts or loads.

Only what is listed comes through; HTML in an answer stays text, and images become their words. Where the
rendering could hide something (too long, nested too deep) there is none, and the raw text is shown.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MOST = 20_000
"""Characters of an answer that is rendered: hostile ones take quadratic time, a tenth of a second here."""
NESTING = 20
_TAGS = {
    "p", "br", "hr", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s",
    "a", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_PLAIN = {"paragraph_open", "inline", "paragraph_close"}
_PARSER = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": NESTING}).enable(
    ["table", "strikethrough"]
)


def _as_words(token: Token) -> Token:
    """An image as the text that stands for it."""
    return (
        Token("text", "", 0, content=f"[image: {token.content}]")
        if token.type == "image"
        else token
    )


def _tamed(tokens: list[Token]) -> bool:
    """Lower the headings below the page's own and take the images out; whether all is rendered."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 3)}"
        if token.children:
            if any(child.level >= NESTING - 1 for child in token.children):
                return False
            token.children = [_as_words(child) for child in token.children]
        if token.level >= NESTING - 1:
            return False
    return True


def _is_plain(tokens: list[Token], text: str) -> bool:
    """Whether nothing in it is Markdown: then its own line breaks and spaces say more."""
    children = [child for token in tokens for child in token.children or ()]
    return all(token.type in _PLAIN for token in tokens) and all(
        child.type == "softbreak" or (child.type == "text" and child.content in text)
        for child in children
    )


def _far(tag: str, attribute: str, value: str) -> str | None:
    """A link's target; none where it leads to a page of ours (one of them signs in)."""
    far = attribute != "href" or value.lower().startswith(("http://", "https://", "mailto:"))
    return value if far else None


@lru_cache(maxsize=512)
def rendered(text: str) -> Markup | None:
    """HTML of an answer, safe to stand in a page; None where the raw text shows as much or more."""
    if len(text) > MOST:
        return None
    references: dict[str, Any] = {}
    tokens = _PARSER.parse(text, references)
    # A line that defines a reference is in no rendering.
    if references.get("references") or not _tamed(tokens) or _is_plain(tokens, text):
        return None
    html = _PARSER.renderer.render(tokens, _PARSER.options, references)
    return Markup(
        nh3.clean(
            html,
            tags=_TAGS,
            attributes={"a": {"href"}, "ol": {"start"}},
            attribute_filter=_far,
            url_schemes={"http", "https", "mailto"},
            link_rel="noopener noreferrer nofollow",
            set_tag_attribute_values={"a": {"target": "_blank"}},
        )
    )
