"""Which numbers stand in a text."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.rewards.numbers_in_text import numbers_in


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("She pays 42 dollars.", ["42"]),
        ("$1,200.50 in all", ["1200.5"]),
        ("$-5, or -$6, or −7, or - 8", ["-5", "-6", "-7", "-8"]),
        ("x=-3, (−7), +4, **9**", ["-3", "-7", "4", "9"]),
        ("3-5 of them", ["3", "5"]),
        ("3/4 of 1 1/2 cups, ½ and 2½", ["3/4", "3/2", "1/2", "5/2"]),
        (r"\frac{3}{4}, -\frac{1}{2}, \boxed{1{,}200}", ["3/4", "-1/2", "1200"]),
        ("6.02e23 and 1.5E-3", ["602000000000000000000000", "0.0015"]),
        ("5%, 5km, 72 cm²", ["5", "5", "72"]),
        ("H2O, x2, km2, a.5", []),
        (".5 and -.5 and 0.5.", ["1/2", "-1/2", "1/2"]),
        ("1'000 or 1\u202f000 or 1\u00a0000", ["1000"] * 3),
        ("1,2 and 12,34,567", ["1", "2", "12", "34567"]),
        ("#### 42", ["42"]),
        ("\u0664\u0662 or ４２", ["42", "42"]),
        ("1/0", []),
        ("", []),
    ],
)
def test_numbers_as_people_write_them(text: str, numbers: list[str]) -> None:
    assert numbers_in(text) == [Fraction(number) for number in numbers]


def test_what_would_take_up_the_machine_is_no_number() -> None:
    assert numbers_in("9" * 5000 + " 1e999999999 2e-401 1") == [1]


@given(st.integers(-(10**12), 10**12))
def test_whole_numbers_with_and_without_separators(number: int) -> None:
    for text in (f"{number}", f"{number:,}", f"it is {number:,} km."):
        assert numbers_in(text) == [number]


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-9999, max_value=9999)
)
def test_decimals(number: Decimal) -> None:
    assert numbers_in(f"= {number:f}") == [Fraction(number)]
