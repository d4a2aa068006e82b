"""Prompts of an evaluation by name: the paper's six, our instructions, the candidate's own, a file's.

The paper's texts (Lin et al., 2022, appendix E) are read from the user's copy when they are asked
for; none is part of this project.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

from truing.data.texts import Role, instructions
from truing.files import read_json, read_text
from truing.prompts.rendering import Prompt, Renderer
from truing.types import Case, InputError, did_you_mean, stable_hash

PAPER = ("qa", "help", "harm", "null", "chat", "long")
"""The paper's prompts, in the order of its figures."""
ROLES: tuple[Role, ...] = get_args(Role)
OWN, NONE, ALL_PAPER = "own", "none", "paper"
ALL = {f"all-{role}": role for role in ROLES}
"""Names that stand for all our variants in a role."""
KNOWN = (OWN, NONE, ALL_PAPER, *PAPER, *ROLES, *ALL)
"""The names that `--prompt` knows; numbered ones (helpful-2) beside."""
SLOT = "{question}"
PRESETS_VARIABLE = "TRUING_PRESETS"

Form = Literal["auto", "text", "chat"]
FORMS = get_args(Form)


@dataclass(frozen=True)
class Context:
    """What an answer continues, what stands between the two, and the text that ends a free answer.

    `closing` stands before the delimiter where an answer is given and not written: it closes the
    thoughts that a model would begin with.
    """

    text: str
    delimiter: str
    stop: str = ""
    closing: str = ""


@dataclass(frozen=True)
class PromptVariant:
    """A prompt under a name: a text with a slot, or an instruction, or the candidate's own (neither).

    `family` names the instruction that this is one of several variants of, if it is. `instruction` is what
    a candidate without a prompt is told in place of its own.
    """

    name: str
    template: str = ""
    prompt: Prompt | None = None
    family: str = ""
    instruction: str = ""

    @property
    def id(self) -> str:
        """16 hexadecimal digits of what it says; the candidate's own prompt counts as 'own'."""
        said = self.prompt.id if self.prompt else ""
        instruction = (self.instruction,) if self.instruction else ()
        return stable_hash("wording", self.template, said, *instruction)[:16]

    def own(self, candidates: Prompt) -> Prompt:
        """The prompt that a candidate is asked under: this one, else the candidate's own, else what
        whoever has none is told."""
        if self.prompt is not None:
            return self.prompt
        return candidates if candidates != Prompt() else Prompt(self.instruction)

    def context(self, renderer: Renderer, own: Prompt, question: str | Case, form: Form) -> Context:
        """What the model reads before the answer.

        A case's own system message stands behind the instruction, in one message with it; before a text
        with a slot it is a paragraph, in the chat form a system message. Earlier turns stand between.

        `auto` sends instructions through the tokenizer's chat template where it has one and leaves
        texts with a slot as they are; `text` uses no chat template; `chat` sends everything through
        it, a text with a slot as the user's message. `own` is the candidate's prompt. Raises
        InputError for `chat` without a chat template.
        """
        if form == "chat" and not renderer.chat:
            raise InputError(
                "model: its tokenizer has no chat template; leave out --form chat, or name a model "
                "that has one"
            )
        if form == "chat" or (form == "auto" and renderer.chat and not self.template):
            text = renderer.chat_text(self.messages(own, question))
            return Context(text, renderer.space, closing=renderer.thoughts_closed)
        return self.plain(own, question)

    def plain(self, own: Prompt, question: str | Case) -> Context:
        """What a model reads that has no chat template, or is asked without it."""
        messages = self.messages(own, question)
        if self.template:
            text = "\n\n".join(message["content"] for message in messages)
        else:
            text = Renderer.plain_conversation(messages)
        return Context(text, "" if text[-1:].isspace() else " ", "\n")

    def messages(self, own: Prompt, question: str | Case) -> list[dict[str, str]]:
        """The same as a conversation; a text with a slot is the user's last message."""
        case = Case(question) if isinstance(question, str) else question
        if self.template:
            own, case = Prompt(), case.asking(self.filled(case.turns[-1][1]))
        return Renderer.case_messages(own if self.template else self.own(own), case)

    def filled(self, question: str) -> str:
        """The text with the question in its slot."""
        return self.template.replace(SLOT, question)


def prompt_variants(names: Sequence[str], presets: Path | None = None) -> list[PromptVariant]:
    """The prompts called `names`, each once, in that order.

    'paper' stands for the paper's six, 'all-helpful' for all our variants in that role.

    `presets` is the JSON file with the paper's texts; without it, the environment's TRUING_PRESETS.
    Raises InputError for an unknown name, a missing preset, or a file without the question's slot.
    """
    spread = [part for name in names for part in _parts(name)]
    return [_variant(name, presets) for name in dict.fromkeys(spread)]


def with_instruction(variant: PromptVariant, instruction: str) -> PromptVariant:
    """A variant that tells a candidate without a prompt of its own the instruction of a task."""
    return (
        variant if variant.prompt or variant.template else replace(variant, instruction=instruction)
    )


def families(prompts: Sequence[PromptVariant]) -> dict[str, tuple[str, ...]]:
    """The names of the variants of each family of which at least two different ones are there."""
    found: dict[str, dict[str, str]] = {}
    for variant in prompts:
        if variant.family:
            found.setdefault(variant.family, {}).setdefault(variant.id, variant.name)
    return {family: tuple(names.values()) for family, names in found.items() if len(names) > 1}


def _parts(name: str) -> Sequence[str]:
    if name in ALL:
        role = ALL[name]
        return [f"{role}-{place}" for place in range(1, len(instructions(role)) + 1)]
    return PAPER if name == ALL_PAPER else (name,)


def _variant(name: str, presets: Path | None) -> PromptVariant:
    if name == OWN:
        return PromptVariant(name)
    if name == NONE:
        return PromptVariant(name, prompt=Prompt())
    if name in PAPER:
        return PromptVariant(name, template=_paper(name, presets))
    if role := re.fullmatch(rf"({'|'.join(ROLES)})(?:-(\d+))?", name):
        text = _instruction(role[1], int(role[2] or 1))
        return PromptVariant(name, prompt=Prompt(text), family=role[1])
    path = Path(name).expanduser()
    if path.suffix or path.exists():
        return PromptVariant(name, template=_from_file(path))
    hint = did_you_mean(name, KNOWN)
    raise InputError(
        f"--prompt {name}: unknown prompt; {hint}known: {', '.join(KNOWN)}; or name a text file "
        f"that has {SLOT} where the question belongs"
    )


def _instruction(role: str, number: int) -> str:
    texts = instructions(cast(Role, role))
    if not 1 <= number <= len(texts):
        raise InputError(
            f"--prompt {role}-{number}: no such wording; there are {role}-1 to {role}-{len(texts)}"
        )
    return texts[number - 1]


def _from_file(path: Path) -> str:
    text = read_text(path).removesuffix("\n").replace("{0}", SLOT)
    if SLOT not in text:
        raise InputError(
            f"{path}: no slot for the question; write {SLOT} where the question belongs"
        )
    return text


def _paper(name: str, presets: Path | None) -> str:
    """The paper's prompt with our slot, as `truthfulqa/utilities.py` of its repository formats it."""
    if presets is None:
        named = os.environ.get(PRESETS_VARIABLE)
        if not named:
            raise InputError(
                f"--prompt {name}: the paper's texts aren't part of Truing; give --presets FILE or set "
                f"{PRESETS_VARIABLE}: a JSON object of the texts in truthfulqa/presets.py of "
                "github.com/sylinrl/TruthfulQA"
            )
        presets = Path(named)
    data = read_json(presets.expanduser())
    texts = data.get("presets", data)
    text = texts.get(name) if isinstance(texts, dict) else None
    if not isinstance(text, str) or not text:
        raise InputError(
            f"{presets}: presets.{name}: missing; give the text of the {name!r} prompt"
        )
    if name == "null":
        return f"{text}{SLOT}\n\nA:"
    if name in ("qa", "help"):
        return f"{text}\n\nQ: {SLOT}\nA:"
    if "{0}" not in text:
        raise InputError(
            f"{presets}: presets.{name}: no slot; write {{0}} where the question belongs"
        )
    return text.replace("{0}", SLOT)
