"""One self-contained page: no network request, no script but its own, everything escaped.

A template writes `policy.EMPTY` where its policy is to stand, `{{ style }}` in a style sheet and, where
its tables and answers are to be explored, `{{ explore_style }}` behind it and `{{ script }}` at its end. It
may import the macros of `parts.html.j2`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from truing.report.outcomes import MARKS, SIGNS, WORDS, Verdict
from truing.report.policy import with_policy
from truing.report.quantities import quantity
from truing.report.sections import page
from truing.report.summary import Summary
from truing.report.svg import CORNERS, SHAPES, colour_class, palette

_TEMPLATE = "template.html.j2"
_PARTS = "parts.html.j2"


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _environment(package: str, template: str) -> Environment:
    environment = Environment(
        loader=DictLoader(
            {template: _read(package, template), _PARTS: _read("truing.report", _PARTS)}
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "colour": colour_class,
        "quantity": quantity,
        "intervals": quiet_intervals,
        "twice": lambda text: (text, text),
        "sign": SIGNS.__getitem__,
        "said": WORDS.__getitem__,
        "marks": _marks,
    }
    return environment


def _marks(verdicts: Sequence[Verdict | None]) -> str:
    """A sign for each column's verdict, as the script reads them."""
    return "".join(MARKS[each] if each else " " for each in verdicts)


_SWATCHES = {
    "square": '<rect x="1.5" y="1.5" width="9" height="9"/>',
    "triangle": '<path d="M6 0.8 11.5 10.8H0.5Z"/>',
    "diamond": '<path d="M6 0 12 6 6 12 0 6Z"/>',
    "circle": '<circle cx="6" cy="6" r="5"/>',
}


def swatch(css: str) -> Markup:
    """A candidate's mark, as in the figures, to stand before its name."""
    shape = SHAPES.get(css, "circle")
    corners = " ".join(f"{6 + 4.6 * x:.1f},{6 + 4.6 * y:.1f}" for x, y in CORNERS.get(shape, ()))
    mark = Markup(_SWATCHES.get(shape, f'<polygon points="{corners}"/>'))
    return Markup('<svg class="swatch {}" viewBox="0 0 12 12" aria-hidden="true">{}</svg>').format(
        css, mark
    )


def quiet_intervals(text: str) -> Markup:
    """A sentence whose '[0.02, 0.08]' are set smaller and kept on one line."""
    pieces = re.split(r"(\[[^\[\]]*\])", text)
    return Markup("").join(
        Markup('<span class="interval">{}</span>').format(piece) if place % 2 else piece
        for place, piece in enumerate(pieces)
    )


def framed(page: str) -> str:
    """A whole page in a frame, for a notebook's cell. Nothing but the page's own script runs in it, and
    that reaches nothing outside."""
    frame = 'width="100%" height="800" sandbox="allow-scripts"'
    return f'<iframe srcdoc="{escape(page)}" {frame}></iframe>'


def render_page(package: str, template: str, context: Mapping[str, Any]) -> str:
    """A page from a template in a package, with the common style sheet and script (see above)."""
    shared = {
        "style": Markup(_read("truing.report", "style.css")),
        "explore_style": Markup(_read("truing.report", "explore.css")),
        "script": Markup(f"<script>{_read('truing.report', 'explore.js')}</script>"),
    }
    text = _environment(package, template).get_template(template).render(shared | dict(context))
    # Half a surrogate pair, from a broken file of the user's, can't be written as UTF-8.
    return with_policy(text.lstrip().encode("utf-8", "replace").decode("utf-8"))


def render(summary: Summary) -> str:
    """The whole page. Equal run folders give equal bytes: nothing here reads a clock."""
    colour = palette(summary.measured.names)
    context = {"swatch": lambda name: swatch(colour(name)), **page(summary)}
    return render_page("truing.report", _TEMPLATE, context)
