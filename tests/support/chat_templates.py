"""Chat templates in the manner of several families, and tiny models that have them."""

from __future__ import annotations

from tiny import VOCABULARY, plain, tokenizer
from truing.candidates import Candidate
from truing.models.language_model import LanguageModel
from truing.prompts.rendering import Prompt

_EACH = "{% for m in messages %}"
_GO_ON = "{% endfor %}{% if add_generation_prompt %}"
HEADERS = "{{ '<user>' if m['role'] == 'user' else '<bot>' }}"
TEMPLATES = {
    "plain": _EACH + HEADERS + "{{ m['content'] }}<end>" + _GO_ON + "<bot>{% endif %}",
    # The prompt opens a block of thoughts; a finished turn has none (DeepSeek's manner).
    "opens": _EACH
    + HEADERS
    + "{{ m['content'].split('</think>')[-1] }}<end>"
    + _GO_ON
    + "<bot><think>\n{% endif %}",
    # A finished turn has an empty block, the prompt leaves it to the model (Qwen's manner).
    "empty": _EACH
    + HEADERS
    + "{% if m['role'] != 'user' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m['content'] }}<end>"
    + _GO_ON
    + "<bot>{% endif %}",
    # Both at once.
    "both": _EACH
    + HEADERS
    + "{% if m['role'] != 'user' %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m['content'] }}<end>"
    + _GO_ON
    + "<bot>{{ '<think>\n' }}{% endif %}",
    # Its end is another token than the tokenizer's (Gemma's manner, and ChatML's on many bases).
    "turn": _EACH + HEADERS + "{{ m['content'] }}<turn>{{ '\n' }}" + _GO_ON + "<bot>{% endif %}",
    # White space around what is said (Mistral's manner).
    "spaced": _EACH
    + "{% if m['role'] == 'user' %}<user> {{ m['content'] }} <bot>{% else %} {{ m['content'] }} <end>"
    "{% endif %}{% endfor %}",
    "no-assistant": "{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "{{ raise_exception('only users') }}{% endif %}<user>{{ m['content'] }}<end>"
    + _GO_ON
    + "<bot>{% endif %}",
}
MORE = ["<think>", "</think>", "<turn>"]
SIZE = len(VOCABULARY) + len(MORE)
THINK, THOUGHT, TURN = range(len(VOCABULARY), SIZE)


def model_with(template: str) -> LanguageModel:
    """A tiny Llama whose tokenizer knows the tags, with one of the templates."""
    texts = tokenizer(chat=True)
    texts.add_tokens(MORE)
    texts.chat_template = TEMPLATES.get(template, template)
    model = plain("llama", vocabulary=SIZE)
    return LanguageModel(model, texts)


def candidate_with(template: str) -> Candidate:
    """The same as a candidate without a prompt."""
    return Candidate("base", 0, model_with(template), Prompt())
