"""From an instruction, demonstrations and a question to the tokens that a model sees.

Models with a chat template get messages; others get plain text in the question-and-answer form. The
answer follows directly: no leading space after a chat header, one space after "A:".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from truing.data.texts import Demonstration
from truing.models.engine.nesting import common_prefix
from truing.models.templates.rendering import TemplateRefusal
from truing.types import Case, InputError, stable_hash

if TYPE_CHECKING:
    from truing.models.engine.tree import PromptWithContinuations
    from truing.models.language_model import LanguageModel


@dataclass(frozen=True)
class Prompt:
    """An instruction and few-shot demonstrations. What prompting changes and training does not.

    `after` is a paragraph behind what the user says last.
    """

    instruction: str = ""
    shots: tuple[Demonstration, ...] = ()
    after: str = ""

    @property
    def id(self) -> str:
        """16 hexadecimal digits of its content."""
        parts = [text for shot in self.shots for text in (shot.question, shot.answer)]
        behind = ["after", self.after] if self.after else []
        return stable_hash("prompt", self.instruction, *parts, *behind)[:16]

    def behind(self, question: str) -> str:
        """What the user says last, with what stands behind it."""
        return f"{question}\n\n{self.after}" if self.after else question

    def around(self, turns: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """A conversation's turns, with what stands behind the user's last where that is the last."""
        *earlier, last = turns
        if last["role"] == "user":
            last = {**last, "content": self.behind(last["content"])}
        return [*earlier, last]

    def before(self, system: str) -> Prompt:
        """With a case's own system message behind the instruction, a paragraph of the same message: chat
        templates take one."""
        texts = [text for text in (self.instruction, system) if text]
        return replace(self, instruction="\n\n".join(texts))


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """A prompt as it stands in candidate.json."""
    shots = [shot.__dict__ for shot in prompt.shots]
    behind = {"after": prompt.after} if prompt.after else {}
    return {"instruction": prompt.instruction, "shots": shots, **behind}


def prompt_from_json(data: Mapping[str, Any]) -> Prompt:
    """The inverse of `prompt_to_json`."""
    shots = tuple(Demonstration(**shot) for shot in data.get("shots", ()))
    return Prompt(str(data.get("instruction", "")), shots, str(data.get("after", "")))


@dataclass(frozen=True)
class Renderer:
    """Renders questions for one model. `chat`: whether its tokenizer has a chat template."""

    model: LanguageModel

    @property
    def chat(self) -> bool:
        """Whether messages are rendered with the tokenizer's chat template."""
        return bool(self.model.tokenizer.chat_template)

    @property
    def stop(self) -> str:
        """The text that ends an answer, beside the end token: a line break in the plain form."""
        return "" if self.chat else "\n"

    @staticmethod
    def messages(prompt: Prompt, question: str) -> list[dict[str, str]]:
        """The conversation up to the question, in the form chat templates take."""
        system = [{"role": "system", "content": prompt.instruction}] if prompt.instruction else []
        shots = [
            {"role": role, "content": content}
            for shot in prompt.shots
            for role, content in (("user", shot.question), ("assistant", shot.answer))
        ]
        return [*system, *shots, {"role": "user", "content": prompt.behind(question)}]

    @staticmethod
    def case_messages(prompt: Prompt, case: Case) -> list[dict[str, str]]:
        """The conversation of a case: prompt and its own system message in one, then its turns."""
        turns = [{"role": role, "content": content} for role, content in case.turns]
        return [*Renderer.messages(prompt.before(case.system), "")[:-1], *prompt.around(turns)]

    @staticmethod
    def plain_conversation(messages: Sequence[Mapping[str, str]]) -> str:
        """A conversation in the question-and-answer form, up to "A:"."""
        parts: list[str] = []
        for turn in messages:
            if turn["role"] == "user":
                parts.append(f"Q: {turn['content']}\nA:")
            elif turn["role"] == "assistant" and parts and parts[-1].endswith("\nA:"):
                parts[-1] += f" {turn['content']}"
            else:
                parts.append(turn["content"])
        return "\n\n".join(parts)

    def text(self, prompt: Prompt, question: str) -> str:
        """The whole text that the answer continues."""
        if self.chat:
            return self.chat_text(self.messages(prompt, question))
        return self.plain_text(prompt, question)

    @staticmethod
    def plain_text(prompt: Prompt, question: str) -> str:
        """The question-and-answer form: instruction, demonstrations and question, up to "A:"."""
        shots = [f"Q: {shot.question}\nA: {shot.answer}" for shot in prompt.shots]
        parts = [*([prompt.instruction] if prompt.instruction else []), *shots]
        return "\n\n".join([*parts, f"Q: {prompt.behind(question)}\nA:"])

    def chat_text(self, messages: list[dict[str, str]]) -> str:
        """Messages through the chat template, up to the answer.

        Raises InputError where it refuses them, or takes too much time or memory.
        """
        template = self.model.speech.template
        assert template is not None, "only a model with a chat template has messages rendered"
        try:
            return template.render(messages)
        except TemplateRefusal as error:  # for a system role mostly
            raise InputError(f"model: its chat template refuses the messages ({error})") from None

    def tokens(self, prompt: Prompt, question: str) -> list[int]:
        """Tokens of `text`. Raises InputError where they don't fit the model's context."""
        tokens = self.model.encode(self.text(prompt, question))
        if not self.chat and self.model.tokenizer.bos_token_id is not None:
            tokens = [int(self.model.tokenizer.bos_token_id), *tokens]
        self.model.check_length(len(tokens), f"question {question[:60]!r}")
        return tokens

    def case_tokens(self, prompt: Prompt, case: Case) -> list[int]:
        """Tokens of what a case asks, up to the answer. Raises InputError as `tokens` does.

        A case's own system message stands behind the prompt's instruction.
        """
        if not case.messages:
            return self.tokens(prompt, case.prompt)
        tokens = self.conversation(Prompt(), self.case_messages(prompt, case))
        self.model.check_length(len(tokens), f"question {case.prompt[:60]!r}")
        return tokens

    def conversation(self, prompt: Prompt, messages: Sequence[dict[str, str]]) -> list[int]:
        """Tokens of a conversation up to the next answer, behind the prompt.

        A conversation with a system message of its own goes without the prompt. For a single question
        the same as `tokens`, but of any length. Raises InputError where the chat template refuses it.
        """
        turns = list(messages)
        if turns[0]["role"] != "system":
            turns = [*self.messages(prompt, "")[:-1], *prompt.around(turns)]
        if self.chat:
            return self.model.encode(self.chat_text(turns))
        tokens = self.model.encode(self.plain_conversation(turns))
        first = self.model.tokenizer.bos_token_id
        return tokens if first is None else [int(first), *tokens]

    def shared_prefix(self, prompt: Prompt) -> list[int]:
        """Tokens that conversations behind the prompt begin with, whatever is asked."""
        asked = [
            self.conversation(prompt, [{"role": "user", "content": text}]) for text in ("a", "b")
        ]
        return asked[0][: common_prefix(asked)]

    @property
    def thoughts_closed(self) -> str:
        """What an answer without thoughts begins with where the chat template writes it so: the end of
        a block that the prompt opens, or an empty block."""
        return self.model.speech.turn.closing if self.chat else ""

    def answer_tokens(self, answer: str, *, end: bool = False) -> list[int]:
        """Tokens of an answer as a continuation of `tokens`, as the template writes it; `end` adds the
        end token."""
        return self.model.encode(self.thoughts_closed + self._answer(answer)) + self._end(end=end)

    @property
    def space(self) -> str:
        """What stands between a prompt and its answer: one space in the plain form."""
        return self.model.speech.turn.space if self.chat else " "

    def _answer(self, answer: str) -> str:
        return f"{self.space}{answer}"

    def _end(self, *, end: bool) -> list[int]:
        return [self.model.end_token] if end else []

    def scoring_request(
        self, tokens: Sequence[int], answers: Sequence[str], *, end: bool = False
    ) -> PromptWithContinuations:
        """Answers behind the tokens of a prompt, to be scored or read: what closes the thoughts counts
        as the prompt's, so that an answer's likelihood is its own."""
        # PyTorch takes seconds to load, and a report shows prompts without it.
        from truing.models.engine.tree import PromptWithContinuations

        closed = self.model.encode(self.thoughts_closed) if self.thoughts_closed else []
        return PromptWithContinuations(
            [*tokens, *closed],
            [self.model.encode(self._answer(answer)) + self._end(end=end) for answer in answers],
        )
