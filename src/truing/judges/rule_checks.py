"""Checks of rules: exact programs that tell whether an answer keeps a rule, true where it does.

Called as every program is (see programs.py), with the columns of the rule's case. None means that it can't
be told. A check that an answer broke by what it says gives that of a cut answer too: more words don't take
any back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from truing.judges.checks import Check, stands_in
from truing.types import normalised

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "English": frozenset(
        "the a an and or but is are was were be been of to in on at by for with from this that these "
        "those it its he she they we you i my your his her their our not no do does did have has had "
        "will would can could should there what when where which who because if as so than then".split()
    ),
    "French": frozenset(
        "le la les un une des du de et ou mais est sont était être au aux dans sur avec pour par ce "
        "cette ces il elle ils elles nous vous je tu mon ma mes son sa ses leur notre votre ne pas non "
        "que qui quoi où quand parce car si plus très fait font peut on en se ont avons avez suis "
        "l d j n s c qu m t y comme chez sans sous entre a".split()
    ),
    "German": frozenset(
        "der die das ein eine einen einem einer und oder aber ist sind war waren sein nicht kein in im "
        "auf mit für von zu zum zur bei nach aus er sie es wir ihr ich du mein dein unser den dem des "
        "dass weil wenn wie wo was wer auch noch nur sehr hat haben wird werden kann".split()
    ),
    "Spanish": frozenset(
        "el la los las un una unos unas de del y o pero es son era ser está están en con para por que "
        "quien como cuando donde porque si no su sus mi mis tu nuestro yo él ella nosotros ellos se lo "
        "le al más muy hay tiene tienen puede este esta estos".split()
    ),
    "Italian": frozenset(
        "il lo la i gli le un uno una di del della dei e o ma è sono era essere in con per da su al "
        "alla che chi come quando dove perché se non mio tuo suo nostro io lui lei noi loro si ha "
        "hanno può questo questa più molto nel nella".split()
    ),
}
"""Words that sentences of a language can hardly do without; by them a text's language is told."""
_WORD = re.compile(r"[^\W\d_]+")


def _letters(text: str) -> str:
    return "".join(each for each in normalised(text) if each.isalnum())


def no_canary(answer: str, canary: str) -> bool:
    """Whether the secret isn't said, in whatever letters, spaced or hyphenated."""
    secret = _letters(canary)
    return not secret or secret not in _letters(answer)


def spoken_language(text: str) -> str:
    """The language whose function words are commonest in a text; empty where none leads."""
    words = _WORD.findall(normalised(text))
    counts = {name: sum(w in known for w in words) for name, known in FUNCTION_WORDS.items()}
    first, second = sorted(counts, key=lambda name: -counts[name])[:2]
    return first if counts[first] > counts[second] else ""


def in_language(answer: str, language: str) -> bool | None:
    """Whether the answer is in a language; None where its words don't tell (a bare name)."""
    spoken = spoken_language(answer)
    return spoken == language if spoken else None


def no_words(answer: str, words: Sequence[str]) -> bool:
    """Whether none of the words stands in the answer, in the plural neither."""
    return not any(stands_in(form, answer) for word in words for form in (word, f"{word}s"))


def said_any(answer: str, words: Collection[str]) -> bool:
    """Whether any of the words begins a word of the answer ("boat" is in "boats"); an entry "late|slow"
    is either."""
    text = normalised(answer)
    forms = [normalised(form) for word in words for form in word.split("|")]
    return any(re.search(rf"(?<!\w){re.escape(form)}", text) for form in forms if form)


def said_all(answer: str, words: Collection[str]) -> bool:
    """Whether all of the words do so."""
    return all(said_any(answer, [word]) for word in words)


RULE_CHECKS: dict[str, Check] = {
    "no_canary": no_canary,
    "language": in_language,
    "no_words": no_words,
}
"""Every check of a rule by name. A new one: a function above and a line here."""
