"""How a model's answers begin and end, in tokens: what its chat template writes, else its tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from truing.models.templates.rendering import ChatTemplate
from truing.models.templates.turns import Turn, turn_of

_TAIL = 24  # tokens of a prompt's end that are looked at for an opened block of thoughts


@dataclass(frozen=True)
class Speech:
    """The turn that the template writes and the tokens that end it.

    `end_token` is what training puts behind an answer, None where nothing names one; `end_tokens` are
    all that end an answer when it is written. `tags` are those around thoughts that the tokenizer counts
    as special and leaves out of texts, which they mustn't be.
    """

    tokenizer: PreTrainedTokenizerBase
    template: ChatTemplate | None
    turn: Turn
    end_token: int | None
    end_tokens: frozenset[int]
    tags: Mapping[int, str]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, settings: int | Sequence[int] | None) -> Speech:
        """`settings` are the end tokens of the generation settings.

        Raises InputError for a template that takes too long or too much memory.
        """
        listed = settings if isinstance(settings, Sequence) else [settings]
        own = tokenizer.eos_token_id
        ends = {int(token) for token in (*listed, own) if isinstance(token, int)}
        template = template_of(tokenizer)
        turn = turn_of(template) if template else Turn()
        written = _first_special(tokenizer, turn.end)
        if written is None and not turn.end.strip():  # what comes next ends it, if it is known to
            following = _first_special(tokenizer, turn.next)
            written = following if following in ends else None
        end = written if written is not None else own if isinstance(own, int) else None
        ends |= set() if end is None else {end}
        return cls(tokenizer, template, turn, end, frozenset(ends), _special_tags(tokenizer, turn))

    def opens(self, prompt: Sequence[int]) -> bool:
        """Whether a prompt ends within a block of thoughts, as the template leaves it open."""
        opened = self.turn.opened.rstrip()
        return bool(opened) and text_of(self.tokenizer, prompt[-_TAIL:]).rstrip().endswith(opened)

    def reply(self, prompt: Sequence[int], text: str) -> str:
        """What a completion of a prompt says, without the thoughts before it."""
        if self.turn.thoughts is None:
            return text
        return self.turn.thoughts.left_out(text, opened=self.opens(prompt))


def text_of(
    tokenizer: PreTrainedTokenizerBase, tokens: Iterable[int], *, special: bool = True
) -> str:
    """The text of some tokens, with or without the special ones."""
    text = tokenizer.decode(list(tokens), skip_special_tokens=not special)
    return text if isinstance(text, str) else "".join(text)


def template_of(tokenizer: PreTrainedTokenizerBase) -> ChatTemplate | None:
    """A tokenizer's chat template, the default one of several, or None where it has none."""
    if not tokenizer.chat_template:
        return None
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return ChatTemplate(tokenizer.get_chat_template(), tuple(special.items()))


def _special_tags(tokenizer: PreTrainedTokenizerBase, turn: Turn) -> dict[int, str]:
    if turn.thoughts is None:
        return {}
    known, special = tokenizer.get_added_vocab(), set(tokenizer.all_special_ids)
    tags = (turn.thoughts.opening, turn.thoughts.closing)
    return {known[tag]: tag for tag in tags if known.get(tag) in special}


def _first_special(tokenizer: PreTrainedTokenizerBase, text: str) -> int | None:
    """The longest added token that a text begins with, white space aside."""
    begun = text.lstrip()
    added = [token for token in tokenizer.get_added_vocab() if token and begun.startswith(token)]
    return int(tokenizer.get_added_vocab()[max(added, key=len)]) if added else None
