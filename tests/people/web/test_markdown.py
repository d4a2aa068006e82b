"""Answers' Markdown: what is rendered, what comes through, and where the raw text must stand."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.people.web.markdown import MOST, NESTING, rendered

ALLOWED = "p strong a pre code table thead tbody tr th td".split()  # noqa: SIM905


class Elements(HTMLParser):
    """The elements of a page as a browser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def html(text: str) -> str:
    return str(rendered(text) or "")


def test_what_people_write_becomes_html_below_the_pages_headings() -> None:
    made = html("# One\n\n### Three\n\n1. *a*\n2. `b < c`\n\n> said\n\n~~gone~~ first\nsecond")
    for part in ("<h4>One</h4>", "<h6>Three</h6>", "<em>a</em>", "<code>b &lt; c</code>",
                 "<blockquote>", "<s>gone</s>", "first<br>"):  # fmt: skip
        assert part in made


@pytest.mark.parametrize(
    "text", ["", "Plain words.", "two\nlines", "  spaced   out\n\nhere", "a & b < c"]
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert rendered(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "**b** <script>alert(1)</script>",
        "**b** <img src=x onerror=alert(1)>",
        "**b** [x](javascript:alert(1)) [y](data:text/html,x) [z](vbscript:x)",
        "**b** [in](/lead/people) [out](//evil.example) [on](?token=x)",
        "**b** ![pixel](https://evil.example/p.png)",
        "**b** <a href='https://x' onclick='alert(1)'>x</a>",
        '```" onmouseover=alert(1)\ncode\n```',
        "| a | b |\n|:-:|--:|\n| <b>1</b> | 2 |",
    ],
)
def test_nothing_acts_and_nothing_is_fetched(text: str) -> None:
    elements = Elements()
    elements.feed(html(text))
    assert elements.seen
    for tag, attributes in elements.seen:
        assert tag in ALLOWED and not attributes.keys() - {"rel", "target"}, (tag, attributes)


def test_links_lead_out_without_saying_whence() -> None:
    made = html("[here](https://example.org/a?b=c&d)")
    assert 'href="https://example.org/a?b=c&amp;d"' in made
    assert 'rel="noopener noreferrer nofollow"' in made and 'target="_blank"' in made


@pytest.mark.parametrize(
    "text",
    [
        "> " * (NESTING + 5) + "deep **down**",
        "".join("  " * depth + "- a\n" for depth in range(NESTING + 5)),
        "**b** " + "x" * MOST,
        "**b** [a]\n\n[a]: https://example.org",
    ],
)
def test_what_a_rendering_would_hide_is_shown_raw(text: str) -> None:
    assert rendered(text) is None


@given(st.text(alphabet="*_`[]()<>!#-|> \n\\ab1.", max_size=200))
def test_every_letter_of_an_answer_is_there(text: str) -> None:
    made = rendered(text)
    if made is not None and "](" not in text and "```" not in text:
        assert str(made).count("b") >= text.count("b")
