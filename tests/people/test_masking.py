"""Personal data is masked wherever it stands; what only looks a little like it isn't."""

from __future__ import annotations

import datetime as dt
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from truing.people.masking import luhn, mask

LETTERS = string.ascii_letters + string.digits
AROUND = st.sampled_from(["", "Hello ", "(", "“", "is: ", "a, ", "see <", "\n"])
AFTER = st.sampled_from(["", ".", ", thanks", ")", "!", "> now", "\nBye", " and more"])
DIGITS = st.text("0123456789", min_size=3, max_size=4)


def with_luhn(digits: str) -> str:
    return next(digits + last for last in string.digits if luhn(digits + last))


@st.composite
def emails(draw: st.DrawFn) -> str:
    words = st.text(LETTERS, min_size=1, max_size=12)
    user = draw(st.lists(words, min_size=1, max_size=3)), draw(st.sampled_from(".+-_"))
    domain = ".".join(draw(st.lists(words, min_size=1, max_size=3)))
    return (
        f"{user[1].join(user[0])}@{domain}.{draw(st.sampled_from(['com', 'de', 'co.uk', 'org']))}"
    )


@st.composite
def cards(draw: st.DrawFn) -> str:
    first = draw(st.sampled_from(["4", "51", "55", "62"]))
    digits = with_luhn(first + draw(st.text(string.digits, min_size=15, max_size=15))[len(first) :])
    between = draw(st.sampled_from(["", " ", "-"]))
    return between.join(digits[i : i + 4] for i in range(0, 16, 4))


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country = draw(st.sampled_from(["DE", "GB", "FR", "NL"]))
    account = draw(st.text(string.digits + "ABCXYZ", min_size=14, max_size=23))
    number = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
    whole = f"{country}{98 - number % 97:02d}{account}"
    return (
        " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))
        if draw(st.booleans())
        else whole
    )


@st.composite
def phones(draw: st.DrawFn) -> str:
    one, two, three = (draw(st.text(string.digits, min_size=n, max_size=n)) for n in (3, 3, 4))
    area = draw(st.sampled_from("23456789")) + one[1:]
    forms = [
        f"+1 {area} {two} {three}", f"+44 20 {three} {one}{two[:1]}", f"+49 (0)30 {one}{three}",
        f"({area}) {two}-{three}", f"{area}-{two}-{three}", f"{area}.{two}.{three}",
        f"020 {three} {one}{two[:1]}", f"0171 {one}{three}", f"+49{one}{two}{three}",
    ]  # fmt: skip
    return draw(st.sampled_from(forms))


@st.composite
def keys(draw: st.DrawFn) -> str:
    start, length = draw(
        st.sampled_from([("sk-", 32), ("ghp_", 36), ("hf_", 34), ("AKIA", 16), ("glpat-", 20),
                         ("sk_live_", 24), ("github_pat_", 60), ("AIza", 35)])
    )  # fmt: skip
    letters = string.ascii_uppercase + string.digits if start == "AKIA" else LETTERS
    return start + draw(st.text(letters, min_size=length, max_size=length))


@pytest.mark.parametrize(
    ("secrets", "name"),
    [(emails(), "[e-mail]"), (cards(), "[card]"), (ibans(), "[IBAN]"), (phones(), "[phone]"),
     (keys(), "[key]")],
)  # fmt: skip
def test_what_is_personal_is_masked(secrets: st.SearchStrategy[str], name: str) -> None:
    @given(before=AROUND, secret=secrets, after=AFTER)
    def check(before: str, secret: str, after: str) -> None:
        assert mask(f"{before}{secret}{after}") == f"{before}{name}{after}"

    check()


@st.composite
def ordinary(draw: st.DrawFn) -> str:
    """Numbers of daily life in the forms that people write."""
    day = draw(st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2100, 1, 1)))
    number = draw(st.integers(0, 10**12))
    a, b, c, d = (draw(st.integers(0, 999)) for _ in range(4))
    forms = [
        day.isoformat(), day.isoformat(" "), f"{day:%d.%m.%Y}", f"{day:%d/%m/%Y}", f"{day:%m-%d-%Y}",
        f"{day:%d-%m-%Y %H:%M}", f"{day:%d.%m.%Y %H:%M}", f"{day:%Y%m%d%H%M%S}", f"{day:%B %d, %Y}",
        f"{number}", f"{number:,}", f"{number / 1000:.3f}", f"-{number}", f"${number:,}.{a:02d}",
        f"{a}.{b}.{c}", f"v{a}.{b}.{c}-rc{d}", f"{a % 256}.{b % 256}.{c % 256}.{d % 256}",
        f"{a} + {b} = {a + b}", f"{a}, {b}, {c}, {d}", f"{a} {b} {c} {d}", f"{a}-{b}", f"{a}:{b}",
        f"0.{number}", f"{a}e-{b}", f"{a}x{b}", f"#{number}", f"§ {a}", f"10^{a}", f"@{day:%B}{a}",
        f"RFC {a}{b}", f"ISO {a}-{b}:{day:%Y}", f"{a} @ {b}", f"pages {a}-{b}", f"{a}/{b}/{c}",
    ]  # fmt: skip
    return draw(st.sampled_from(forms))


@given(before=AROUND, text=ordinary(), after=AFTER)
def test_ordinary_numbers_stay(before: str, text: str, after: str) -> None:
    digits = "".join(c for c in text if c.isdigit())
    # One in ten long numbers that begin like a card's has a card's check digit.
    assume(not (len(digits) >= 13 and luhn(digits)))
    assert mask(f"{before}{text}{after}") == f"{before}{text}{after}"


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@given(st.text(string.ascii_letters + " .,;!?'\n@+-/()", max_size=80))
def test_words_without_digits_change_only_where_there_is_an_address(text: str) -> None:
    assert mask(text) == text or "@" in text


def test_what_is_nearly_personal_stays() -> None:
    for text in (
        "4111 1111 1111 1112", "1234567890123456", "DE00 1234 5678 9012 3456 78", "sk-short",
        "write @home", "a@b", "me@localhost", "Call 911 or 112", "the 1990-2000 decade",
        "eyJ alone", "2 + 2 = 4", "3.14159265358979", "ABBA1975 IS A BAND", "x@y.1",
    ):  # fmt: skip
        assert mask(text) == text, text
    for text in ("tel 5551234", "Phone: 555 123 4567", "mobile 0171-2345678"):
        assert mask(text).endswith("[phone]"), text
    pem = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"
    assert mask(f"a\n{pem}\nb") == "a\n[key]\nb"


def test_long_texts_are_masked_in_a_moment() -> None:
    # Patterns that look back and forth would take hours.
    for text in ("a." * 50_000 + "@", "1 " * 50_000, "+1" + "-2" * 50_000, "DE12" + " A" * 50_000):
        mask(text)
