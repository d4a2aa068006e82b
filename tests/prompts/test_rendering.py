"""Cases as tokens: questions as ever, conversations with one system message."""

from __future__ import annotations

import pytest
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pilot_server import candidate
from questions import CASES
from tiny import plain
from truing.candidates import Candidate, template_with
from truing.data.texts import Demonstration
from truing.evaluate.answers import free_answers
from truing.evaluate.multiple_choice import score_choices
from truing.prompts.rendering import Prompt, Renderer, prompt_from_json, prompt_to_json
from truing.types import Case, InputError, stable_hash

PROMPT = Prompt("be kind.", (Demonstration("who?", "me."),))
TALK = (("user", "hi"), ("assistant", "yes?"), ("user", "why"))
OWN = (("system", "be short."), *TALK)


def case_of(messages: tuple[tuple[str, str], ...]) -> Case:
    return Case("\n\n".join(text for _, text in messages), ("so",), ("no",), messages=messages)


def rendered(served: Candidate, case: Case) -> str:
    tokens = served.renderer.case_tokens(served.prompt, case)
    return str(served.model.tokenizer.decode(tokens))


@pytest.mark.parametrize("chat", [True, False])
def test_a_question_is_rendered_as_ever(*, chat: bool) -> None:
    served = candidate(PROMPT, chat=chat)
    for case in CASES:
        tokens = served.renderer.case_tokens(PROMPT, case)
        assert tokens == served.renderer.tokens(PROMPT, case.prompt)


def test_a_cases_system_message_stands_behind_the_instruction_in_one_message() -> None:
    spoken = "<user>hi<end><bot>yes?<end><user>why<end><bot>"
    shot = "<user>who?<end><bot>me.<end>"
    served = candidate(PROMPT)
    assert rendered(served, case_of(TALK)) == f"be kind.<end>{shot}{spoken}"
    assert rendered(served, case_of(OWN)) == f"be kind.\n\nbe short.<end>{shot}{spoken}"
    assert rendered(candidate(Prompt()), case_of(OWN)) == f"be short.<end>{spoken}"
    unformatted = rendered(candidate(PROMPT, chat=False), case_of(OWN))
    expected = "be kind.\n\nbe short.\n\nQ: who?\nA: me.\n\nQ: hi\nA: yes?\n\nQ: why\nA:"
    assert unformatted == expected.replace("Q", "<unk>").replace("A", "<unk>")


@pytest.mark.parametrize("chat", [True, False])
def test_a_conversation_that_does_not_fit_is_named(*, chat: bool) -> None:
    served = candidate(Prompt(), chat=chat)
    long = (("user", "hi"), ("assistant", "a" * served.model.context_length), ("user", "why"))
    with pytest.raises(InputError, match="question 'hi"):
        served.renderer.case_tokens(Prompt(), case_of(long))


def test_answers_and_scores_see_the_conversation() -> None:
    served = candidate(PROMPT)
    talk, flat = case_of(OWN), Case(case_of(OWN).prompt, ("so",), ("no",))
    renderer = served.renderer
    [choices] = score_choices(renderer, PROMPT, [talk])
    other = [score_choices(renderer, PROMPT, [case])[0] for case in (flat, talk)]
    assert choices == other[1] != other[0]
    [answer] = free_answers(served, [talk], 4)
    tokens = renderer.conversation(
        Prompt("be kind.\n\nbe short.", PROMPT.shots),
        [{"role": role, "content": text} for role, text in TALK],
    )
    assert renderer.case_tokens(PROMPT, talk) == tokens
    logits = plain("llama")(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
    assert answer.tokens[0] == int(logits.argmax())


AFTER = Prompt("be kind.", after="keep the rules.")


def test_what_stands_behind_the_user_is_said_last_and_once() -> None:
    served = candidate(AFTER)
    assert rendered(served, Case("why")) == "be kind.<end><user>why\n\nkeep the rules.<end><bot>"
    spoken = "<user>hi<end><bot>yes?<end><user>why\n\nkeep the rules.<end><bot>"
    assert rendered(served, case_of(TALK)) == f"be kind.<end>{spoken}"
    assert rendered(served, case_of(OWN)) == f"be kind.\n\nbe short.<end>{spoken}"
    unformatted = rendered(candidate(AFTER, chat=False), Case("why"))
    assert unformatted == "be kind.\n\n<unk>: why\n\nkeep the rules.\n<unk>:"


def test_a_question_behind_which_something_stands_is_one_conversation() -> None:
    for chat in (True, False):
        renderer = candidate(AFTER, chat=chat).renderer
        asked = renderer.conversation(AFTER, [{"role": "user", "content": "why"}])
        assert asked == renderer.tokens(AFTER, "why")


def test_a_prompt_without_anything_behind_the_user_has_the_name_that_it_had() -> None:
    parts = ("be kind.", "who?", "me.")
    assert PROMPT.id == stable_hash("prompt", *parts)[:16]
    assert Prompt("be kind.", after="x").id not in (Prompt("be kind.").id, Prompt("be kind.x").id)


@pytest.mark.parametrize(
    "prompt",
    [
        AFTER,
        Prompt(after="keep 'them'.\nall \\ of them."),
        Prompt("be kind.", (Demonstration("who?", "me."),), "keep them."),
    ],
)
def test_an_exported_template_says_it_too(prompt: Prompt) -> None:
    served = candidate(prompt)
    template = template_with(served.model, prompt)
    assert template is not None
    environment = ImmutableSandboxedEnvironment()
    for talk in (TALK, (("user", "why"),)):
        messages = [{"role": role, "content": text} for role, text in talk]
        text = environment.from_string(template).render(
            messages=messages, add_generation_prompt=True
        )
        last = {"role": "user", "content": prompt.behind(messages[-1]["content"])}
        wanted = [*Renderer.messages(prompt, "")[:-1], *messages[:-1], last]
        assert text == served.renderer.chat_text(wanted)
    own = [{"role": "system", "content": "be short."}, {"role": "user", "content": "why"}]
    text = environment.from_string(template).render(messages=own, add_generation_prompt=True)
    assert text == served.renderer.chat_text(own)


def test_a_prompt_reads_back_as_it_was_written() -> None:
    for prompt in (PROMPT, AFTER, Prompt()):
        assert prompt_from_json(prompt_to_json(prompt)) == prompt
    assert "after" not in prompt_to_json(PROMPT)
