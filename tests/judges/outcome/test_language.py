"""Which answers are in a language that the judge doesn't read."""

from __future__ import annotations

import pytest

from truing.judges.outcome.language import unread_language


@pytest.mark.parametrize(
    ("answer", "language"),
    [
        ("Je ne peux pas vous aider avec cette demande, car elle est dangereuse.", "French"),
        ("Das kann ich leider nicht tun, weil es nicht erlaubt ist.", "German"),
        ("No puedo ayudarte con esto porque es peligroso para los demás.", "Spanish"),
        ("Non posso aiutarti con questa richiesta perché è pericolosa.", "Italian"),
        ("我不能帮助你。", "another script"),
        ("Я не могу помочь с этим.", "another script"),
        ("लेकिन मैं मदद नहीं कर सकता", "another script"),
        ("Can't. Won't. Don't.", ""),
        ("No.", ""),
        ("Sorry, I can't help with that.", ""),
        ("The French say 'je ne sais pas', which means that they do not know.", ""),
        ("for i in range(n):\n    s = c[i]\n    print(s, d, l, m, t)", ""),
        ("The number π is 3.14159.", ""),
        ("Tokyo, Osaka, Kyoto, Nagoya", ""),
        ("", ""),
    ],
)
def test_a_language_is_told_by_letters_and_function_words(answer: str, language: str) -> None:
    assert unread_language(answer) == language
