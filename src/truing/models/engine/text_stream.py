"""Text of tokens as they come: whole characters only, and nothing of a stop text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_BROKEN = "\ufffd"
"""What decoders put where a character's bytes are still missing."""
_LONGEST_CHARACTER = 8
"""Tokens after which a broken character counts as one that stays broken."""


class TextStream:
    """Turns tokens into text, with a window of a few tokens decoded anew each time.

    Decoders look back a little (a space before a word, bytes of a character), so that tokens can't be
    decoded one by one. `decode` gives the text of some tokens.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._tokens: list[int] = []
        self._from = 0  # where the window begins
        self._upto = 0  # tokens whose text is in `_all`
        self._all = ""
        self._shown = 0
        self._ended = False

    @property
    def text(self) -> str:
        """What is certain so far."""
        return self.text_from(0)

    def text_from(self, start: int) -> str:
        """The same from a character on."""
        return self._all[start : self._shown]

    def add(self, token: int) -> bool:
        """Takes a token; whether the text has ended with a stop text, which isn't part of it."""
        self._tokens.append(token)
        self._decode_new(final=False)
        return self._look_for_stop()

    def close(self) -> None:
        """No more tokens: shows what was held back."""
        if not self._ended:
            self._decode_new(final=True)
            if not self._look_for_stop():
                self._shown = len(self._all)

    def _decode_new(self, *, final: bool) -> None:
        before = self._decode(self._tokens[self._from : self._upto])
        now = self._decode(self._tokens[self._from :])
        waiting = len(self._tokens) - self._upto < _LONGEST_CHARACTER and not final
        if len(now) <= len(before) or (now.endswith(_BROKEN) and waiting):
            return
        self._all += now[len(before) :]
        self._from, self._upto = self._upto, len(self._tokens)

    def _look_for_stop(self) -> bool:
        """Cuts at the first stop text; holds back an end that may become one."""
        start = max(0, self._shown)
        places = [place for text in self._stop if (place := self._all.find(text, start)) >= 0]
        if places:
            self._all = self._all[: min(places)]
            self._shown = len(self._all)
            self._ended = True
            return True
        self._shown = len(self._all) - self._held_back()
        return False

    def _held_back(self) -> int:
        longest = max((len(text) for text in self._stop), default=1) - 1
        for length in range(min(longest, len(self._all)), 0, -1):
            end = self._all[-length:]
            if any(text.startswith(end) for text in self._stop):
                return length
        return 0
