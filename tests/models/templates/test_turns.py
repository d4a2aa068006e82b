"""The turn that a template writes: its end, and the block of thoughts before an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from chat_templates import SIZE, TEMPLATES, THINK, THOUGHT, TURN, candidate_with, model_with
from questions import CASES
from tiny import BOT, END, alone, plain, tokenizer
from truing.evaluate.multiple_choice import score_choices
from truing.evaluate.named_choice import named
from truing.models.decoding import BatchedGenerator, Request
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.models.templates.rendering import ChatTemplate
from truing.models.templates.thoughts import Thoughts, without_thoughts
from truing.models.templates.turns import Turn, turn_of
from truing.prompts.boundary import prompt_tokens
from truing.prompts.rendering import Prompt, Renderer
from truing.prompts.variants import PromptVariant

BLOCK = Thoughts("<think>", "</think>")
EMPTY = "<think>\n\n</think>\n\n"
TURNS = {
    "plain": Turn("<end>", "<end><user>"),
    "opens": Turn("<end>", "<end><user>", "", "\n</think>\n\n", "<think>\n", BLOCK),
    "empty": Turn("<end>", "<end><user>", "", EMPTY, "", BLOCK),
    "both": Turn("<end>", "<end><user>", "", "\n</think>\n\n", "<think>\n", BLOCK),
    "turn": Turn("<turn>\n", "<turn>\n<user>"),
    "spaced": Turn(" <end>", " <end><user> ", " "),
    "no-assistant": Turn(),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_turn_is_what_the_template_writes(name: str) -> None:
    assert turn_of(ChatTemplate(TEMPLATES[name])) == TURNS[name]


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("[THINK]", "[/THINK]"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<a:think>", "</a:think>"),
    ],
)
def test_a_block_of_another_name_is_seen_too(opening: str, closing: str) -> None:
    source = TEMPLATES["opens"].replace("'</think>'", "'---'").replace("<think>", opening)
    assert turn_of(ChatTemplate(source)).thoughts == Thoughts(opening, closing)


@pytest.mark.parametrize("name", TEMPLATES)
def test_training_is_shown_what_the_template_writes_behind_the_prompt(name: str) -> None:
    """The oracle: the rendered pair. Behind its end token there is white space at most."""
    model = model_with(name)
    renderer, question = Renderer(model), "why?"
    pair = [*Renderer.messages(Prompt(), question), {"role": "assistant", "content": "so."}]
    shown = renderer.tokens(Prompt(), question) + renderer.answer_tokens("so.", end=True)
    if name == "no-assistant":
        assert shown[-4:] == [*model.encode("so."), END]
        return
    template = model.speech.template
    assert template is not None
    whole = template.render(pair, prompt=False)
    if name == "opens":  # a finished turn keeps no thoughts, the prompt begins them: they are ended
        whole = whole.replace("<bot>", "<bot>" + EMPTY)
    if name == "spaced":
        whole = whole.replace(" <end>", "<end>")
    assert shown == model.encode(whole)[: len(shown)]
    assert not model.decode(model.encode(whole)[len(shown) :]).strip()


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_end_token_is_the_templates(name: str) -> None:
    model = model_with(name)
    assert model.end_token == (TURN if name == "turn" else END)
    assert model.end_tokens == {END, model.end_token}


def test_the_next_speakers_token_ends_a_turn_without_an_end_where_the_settings_say_so() -> None:
    source = "{% for m in messages %}{{ '<user>' if m.role == 'user' else '<bot>' }}{{ m.content }}"
    source += "{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
    model = model_with(source)
    assert model.end_token == END
    model.model.generation_config.eos_token_id = [END, 1]
    again = LanguageModel(model.model, model.tokenizer)
    assert (again.end_token, again.end_tokens) == (1, {END, 1})


def test_without_a_template_the_tokenizers_end_token_is_used() -> None:
    assert LanguageModel(plain("llama"), tokenizer()).end_token == END


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("variant", [False, True])
def test_an_answers_score_is_its_own_likelihood_behind_closed_thoughts(
    name: str, *, variant: bool
) -> None:
    model, question = model_with(name), CASES[0]
    renderer = Renderer(model)
    answer = question.correct_answers[0]
    if variant:
        context = PromptVariant("own").context(renderer, Prompt(), question.prompt, "auto")
        text = context.text + context.closing + context.delimiter + answer
        beginning = context.text + context.closing
        prompt = model.encode(beginning.rstrip())
        scored = model.encode(text)[len(prompt) :]
    else:
        [choices] = score_choices(renderer, Prompt(), [question])
        prompt = model.encode(renderer.text(Prompt(), question.prompt) + renderer.thoughts_closed)
        scored = model.encode(renderer.space + answer)
        expected = alone(plain("llama", vocabulary=SIZE), prompt, scored).sum().item()
        assert choices.true[0] == pytest.approx(expected, abs=1e-4)
    assert model.decode([*prompt, *scored]).endswith(answer)
    assert ([*prompt, *scored].count(THOUGHT) > 0) == bool(TURNS[name].closing)


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(
    ("reply", "in_block", "outside"),
    [
        ("hm</think>\n\nA", "A", "hm</think>\n\nA"),
        ("<think>hm</think> A", "A", "A"),
        ("<think>hm", "", ""),
        ("hm, hm", "", "hm, hm"),
        ("", "", ""),
        ("a <think> is a tag; so is </think>", "", "a <think> is a tag; so is </think>"),
    ],
)
def test_thoughts_are_no_part_of_a_reply(
    reply: str, in_block: str, outside: str, *, opened: bool
) -> None:
    whole = in_block if opened else outside
    assert BLOCK.left_out(reply, opened=opened) == whole
    before = ""
    for length in range(len(reply) + 1):  # as it is written
        shown = BLOCK.shown(reply[:length], opened=opened, ended=length == len(reply))
        assert shown.startswith(before)
        before = shown
    assert before == whole


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("I think of B.</think>\n\nA", "A"),
        ("<think>B?</think>A", "A"),
        ("<think>B?", ""),
        ("x <think>B?</think> A", "x  A"),
        ("B?[/THINK]A", "A"),
        ("A", "A"),
        ("one</think>two</think>A", "A"),
    ],
)
def test_a_servers_reply_is_read_without_thoughts_whoever_opened_them(
    reply: str, text: str
) -> None:
    assert without_thoughts(reply) == text
    assert named(reply, ["one", "two"]) == (0 if text == "A" else None)


@pytest.mark.parametrize("name", ["opens", "empty", "both", "plain"])
def test_samples_leave_out_thoughts_and_keep_their_tokens(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = candidate_with(name)
    model, renderer = candidate.model, candidate.renderer
    said = [*([] if TURNS[name].opened else [THINK]), 5, THOUGHT, 6, 7, END]
    drawn = iter(said)

    def scores(hidden_NE: Tensor, rows: int) -> Iterator[Tensor]:
        row = torch.full((1, model.model.config.vocab_size), -1e9)
        row[0, next(drawn)] = 0.0
        yield row

    monkeypatch.setattr(model, "next_token_scores_of_some", scores)
    prompt = renderer.tokens(Prompt(), "why?")
    [[only]] = sample(model, [prompt], 1, Sampling(9, 0.0)).completions
    assert only.tokens == tuple(said) and only.finished
    letters = model.decode([6, 7])
    assert only.text == (letters if name != "plain" else model.decode(said[:-1]))
    assert prompt_tokens(model.tokenizer, renderer.text(Prompt(), "why?"))[-1] == prompt[-1]


def test_answers_written_side_by_side_hide_thoughts_where_that_is_wanted() -> None:
    model = model_with("opens")
    prompt = tuple(Renderer(model).tokens(Prompt(), "why?"))
    open_text = BatchedGenerator(model).write(Request(prompt, 12, 0.0)).text
    hidden = BatchedGenerator(model).write(Request(prompt, 12, 0.0, hide_thoughts=True))
    assert hidden.text == BLOCK.left_out(open_text, opened=True)
    other = BatchedGenerator(model).write(Request((BOT, 5), 12, 0.0, hide_thoughts=True))
    assert other.text == BLOCK.left_out(
        BatchedGenerator(model).write(Request((BOT, 5), 12, 0.0)).text
    )


def test_tags_that_count_as_special_are_seen_all_the_same() -> None:
    model = model_with("opens")
    special = tokenizer(chat=True)
    special.add_special_tokens({"extra_special_tokens": ["<think>", "</think>", "<turn>"]})
    special.chat_template = TEMPLATES["opens"]
    again = LanguageModel(model.model, special)
    assert again.speech.tags == {THINK: "<think>", THOUGHT: "</think>"}
    tokens = [5, THOUGHT, 6, TURN, END]
    assert again.decode(tokens) == "b</think>c" != special.decode(tokens, skip_special_tokens=True)
    prompt = Renderer(again).tokens(Prompt(), "why?")
    assert again.speech.reply(prompt, again.decode(tokens)) == "c"


def test_a_template_that_writes_other_words_tells_nothing() -> None:
    assert turn_of(
        ChatTemplate("<s>{% for m in messages %}{{ m.content | upper }}{% endfor %}")
    ) == (Turn())
