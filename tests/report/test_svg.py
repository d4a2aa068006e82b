"""What every figure is named by."""

from __future__ import annotations

import re

from truing.report.svg import Canvas

KEYS = ("gain-wide", "a b", "a  b", "a\tb", "a.20.b", 'a "b"', "a'b", "<b>a</b>", "ä")


def test_a_figures_name_is_found_whatever_its_key_holds() -> None:
    ids = []
    for key in KEYS:
        drawn = str(Canvas(10, 10, "Title", "About", key).markup())
        (named,) = re.findall(r'aria-labelledby="([^"]*)"', drawn)
        # As a browser reads it: names parted by spaces, each the id of an element.
        assert named.split() == re.findall(r' id="([^"\s]*)"', drawn)
        ids += named.split()
    assert len(set(ids)) == 2 * len(KEYS) and ids[0] == "gain-wide-t"
