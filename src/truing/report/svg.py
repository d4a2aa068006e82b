"""A very small drawing kit: inline SVG with colours from the page's style sheet.

Figures are drawn by hand rather than by a plotting library so that they follow the reader's light
or dark scheme, use the page's own type, weigh a few kilobytes and come out the same byte for byte.
Lengths are CSS pixels at the figure's natural width; y grows downwards, as in SVG.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

KNOWN = {"base": "c-base", "prompt": "c-prompt", "sft": "c-sft", "rl": "c-rl"}
_SPARE = ("c-other1", "c-other2", "c-other3", "c-other4", "c-other5", "c-other6")
SHAPES = {
    "c-base": "square",
    "c-prompt": "triangle",
    "c-sft": "circle",
    "c-rl": "diamond",
    "c-other1": "turned",
    "c-other2": "cross",
    "c-other3": "hexagon",
    "c-other4": "star",
    "c-other5": "bar",
    "c-other6": "post",
}
CORNERS = {
    "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
    "triangle": [(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
    "diamond": [(0.0, -1.3), (1.2, 0.0), (0.0, 1.3), (-1.2, 0.0)],
    "turned": [(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
    "cross": [
        *((-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4)),
        *((0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4)),
    ],
    "hexagon": [(-0.55, -1.0), (0.55, -1.0), (1.1, 0.0), (0.55, 1.0), (-0.55, 1.0), (-1.1, 0.0)],
    "star": [
        *((0.0, -1.3), (0.35, -0.35), (1.3, 0.0), (0.35, 0.35)),
        *((0.0, 1.3), (-0.35, 0.35), (-1.3, 0.0), (-0.35, -0.35)),
    ],
    "bar": [(-1.25, -0.5), (1.25, -0.5), (1.25, 0.5), (-1.25, 0.5)],
    "post": [(-0.5, -1.25), (0.5, -1.25), (0.5, 1.25), (-0.5, 1.25)],
}
"""Marks by their corners, for a size of 1; a circle has none."""


def colour_class(name: str) -> str:
    """The style-sheet class that gives a candidate or series its colour: the same everywhere."""
    return KNOWN.get(name) or _SPARE[sum(name.encode("utf-8")) % len(_SPARE)]


def palette(names: Sequence[str]) -> Callable[[str], str]:
    """As `colour_class`, but no two of `names` look alike as long as there are marks for all."""
    others = [name for name in names if name not in KNOWN]
    own = {name: _SPARE[place % len(_SPARE)] for place, name in enumerate(others)}
    return lambda name: own.get(name) or colour_class(name)


def short(name: str, most: int = 26) -> str:
    """A name for narrow places: the end of a path says most."""
    return name if len(name) <= most else "…" + name[1 - most :]


@dataclass(frozen=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside the domain land on its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) that lie within [low, high]."""
    wanted = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(wanted))
    steps = [power * factor for factor in (1, 2, 5, 10)]
    step = min(steps, key=lambda step: abs(math.log(step / wanted)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def domain(values: list[float], *, pad: float = 0.08, least: float = 0.02) -> tuple[float, float]:
    """A range around all the values with some air; never empty."""
    low, high = min(values), max(values)
    air = max((high - low) * pad, least)
    return low - air, high + air


def tick_label(value: float, step: float) -> str:
    """A tick's figure with just the decimals that its step needs, and a true minus sign."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    text = f"{abs(value):.{decimals}f}"
    return ("−" if value < 0 and float(text) != 0 else "") + text


def element_id(key: str) -> str:
    """The key as an element's id, another one for each key: a list of ids is parted by its spaces, so a
    name with one would be two that nothing has."""
    return re.sub(r"[^\w-]", lambda found: f".{ord(found[0]):x}.", key)


@dataclass
class Canvas:
    """An SVG in the making. `title` and `about` are what a screen reader says; `key`, whatever it holds, no
    other figure of the page has."""

    width: int
    height: int
    title: str
    about: str
    key: str
    parts: list[Markup] = field(default_factory=list)

    def _add(self, template: str, **values: object) -> None:
        shown = {
            name: f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
            for name, value in values.items()
        }
        self.parts.append(Markup(template).format(**shown))

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self._add(
            '<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{css}"/>',
            x1=float(x1),
            y1=float(y1),
            x2=float(x2),
            y2=float(y2),
            css=css,
        )

    def rect(self, x: float, y: float, width: float, height: float, css: str) -> None:
        """A filled rectangle."""
        self._add(
            '<rect x="{x}" y="{y}" width="{w}" height="{h}" class="{css}"/>',
            x=float(x),
            y=float(y),
            w=float(max(0, width)),
            h=float(max(0, height)),
            css=css,
        )

    def text(self, x: float, y: float, text: str, css: str = "", anchor: str = "start") -> None:
        """Text whose baseline starts, ends or centres ('middle') at (x, y)."""
        self._add(
            '<text x="{x}" y="{y}" text-anchor="{anchor}" class="{css}">{text}</text>',
            x=float(x),
            y=float(y),
            anchor=anchor,
            css=css,
            text=text,
        )

    def path(self, points: list[tuple[float, float]], css: str) -> None:
        """A line through points."""
        if points:
            steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            self._add('<path d="M{steps}" class="{css}"/>', steps=steps, css=css)

    def band(
        self, low: list[tuple[float, float]], high: list[tuple[float, float]], css: str
    ) -> None:
        """The area between two lines, both from left to right."""
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*low, *reversed(high)))
        if corners:
            self._add('<polygon points="{corners}" class="band {css}"/>', corners=corners, css=css)

    def marker(self, x: float, y: float, css: str, hint: str = "", size: float = 5) -> None:
        """A candidate's mark: each has a shape of its own, so that colour isn't needed."""
        shape = SHAPES.get(css, "circle")
        title = Markup("<title>{}</title>").format(hint) if hint else Markup("")
        if shape == "circle":
            self._add(
                '<circle cx="{x}" cy="{y}" r="{r}" class="mark {css}">{title}</circle>',
                x=float(x),
                y=float(y),
                r=float(size),
                css=css,
                title=title,
            )
            return
        points = " ".join(f"{x + dx * size:.1f},{y + dy * size:.1f}" for dx, dy in CORNERS[shape])
        self._add(
            '<polygon points="{points}" class="mark {css}">{title}</polygon>',
            points=points,
            css=css,
            title=title,
        )

    def x_axis(self, scale: Scale, top: float, bottom: float, about: int = 5) -> None:
        """Vertical grid lines with their figures below `bottom`."""
        marks = ticks(scale.low, scale.high, about)
        step = marks[1] - marks[0] if len(marks) > 1 else 1.0
        for mark in marks:
            self.line(scale(mark), top, scale(mark), bottom, "zero" if mark == 0 else "grid")
            self.text(scale(mark), bottom + 15, tick_label(mark, step), "tick", "middle")

    def y_axis(self, scale: Scale, left: float, right: float, about: int = 4) -> None:
        """Horizontal grid lines with their figures left of `left`."""
        marks = ticks(scale.low, scale.high, about)
        step = marks[1] - marks[0] if len(marks) > 1 else 1.0
        for mark in marks:
            self.line(left, scale(mark), right, scale(mark), "zero" if mark == 0 else "grid")
            self.text(left - 6, scale(mark) + 4, tick_label(mark, step), "tick", "end")

    def markup(self) -> Markup:
        """The finished element, safe to put into a page."""
        return Markup(
            '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
            'aria-labelledby="{key}-t {key}-d"><title id="{key}-t">{title}</title>'
            '<desc id="{key}-d">{about}</desc>{body}</svg>'
        ).format(
            w=self.width,
            h=self.height,
            key=element_id(self.key),
            title=escape(self.title),
            about=escape(self.about),
            body=Markup("").join(self.parts),
        )
