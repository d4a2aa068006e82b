"""Conversations as tokens: through the chat template or in the plain form, behind the prompt."""

from __future__ import annotations

from pilot_server import candidate
from truing.candidates import Candidate
from truing.data.texts import Demonstration
from truing.prompts.rendering import Prompt


def rendered(served: Candidate, messages: list[dict[str, str]]) -> str:
    tokens = served.renderer.conversation(served.prompt, messages)
    return str(served.model.tokenizer.decode(tokens))


def test_conversations_go_through_the_template_behind_the_candidates_prompt() -> None:
    prompt = Prompt("be kind.", (Demonstration("who?", "me."),))
    served = candidate(prompt)
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "why"},
    ]
    spoken = "<user>hi<end><bot>yes?<end><user>why<end><bot>"
    before = "be kind.<end><user>who?<end><bot>me.<end>"
    assert rendered(served, turns) == before + spoken
    own = [{"role": "system", "content": "be short."}, *turns]
    assert rendered(served, own) == f"be short.<end>{spoken}"
    assert served.renderer.conversation(prompt, turns[:1]) == served.renderer.tokens(prompt, "hi")
    shared_prefix = served.renderer.shared_prefix(prompt)
    assert served.model.tokenizer.decode(shared_prefix) == f"{before}<user>"
    plain = candidate(prompt, chat=False)
    assert rendered(plain, turns) == (
        "be kind.\n\nQ: who?\nA: me.\n\nQ: hi\nA: yes?\n\nQ: why\nA:".replace("Q", "<unk>").replace(
            "A", "<unk>"
        )
    )
    assert plain.renderer.conversation(prompt, turns[:1]) == plain.renderer.tokens(prompt, "hi")
