"""Templates are rendered as transformers renders them, and are cut off where they take too much."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from chat_templates import TEMPLATES
from tiny import CHAT_TEMPLATE, saved
from truing.models.language_model import LanguageModel
from truing.models.templates import rendering
from truing.models.templates.rendering import ChatTemplate, TemplateRefusal, as_of
from truing.prompts.rendering import Renderer
from truing.types import InputError

MESSAGES = [
    {"role": "system", "content": 'be "kind" <b> é \ud800'},
    {"role": "user", "content": "who?"},
    {"role": "assistant", "content": "me"},
    {"role": "user", "content": "why?\n"},
]
SPOKEN = [
    CHAT_TEMPLATE,
    TEMPLATES["both"],
    "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}",
    "{%- for m in messages %}\n  {% if loop.first %}{% continue %}{% endif %}\n{{ m.role }}\n{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "{% generation %}{{ messages[2]['content'] }}{% endgeneration %}{{ tools }}{{ bos_token }}",
    "{{ dict(a=1)['a'] }}{{ range(3) | list }}{{ messages[1].nothing is defined }}",
]
TOO_MUCH = {
    "a loop in a loop": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a long string": "{{ 'x' * 10**10 }}",
    "a wide field": "{{ '%99999999999d' | format(1) }}",
    "a string that doubles": "{% set ns = namespace(s='x') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "a power": "{% set n = 10 %}{{ (n ** (n ** 9)) % 2 }}",
    "a text beyond all use": "{{ 'x' * 20000000 }}",
}


@pytest.mark.parametrize("source", SPOKEN)
@pytest.mark.parametrize("prompt", [True, False])
def test_a_template_writes_what_it_writes_in_transformers(source: str, *, prompt: bool) -> None:
    special = {"bos_token": "<s>"}
    [expected], _ = render_jinja_template(
        [MESSAGES], chat_template=source, add_generation_prompt=prompt, **special
    )
    assert ChatTemplate(source, tuple(special.items())).render(MESSAGES, prompt=prompt) == expected


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_template_that_takes_too_much_is_cut_off_and_others_go_on(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering._worker, "seconds", 1)
    rendering._worker.close()
    with pytest.raises(InputError, match=r"model: its chat template (takes|writes) more than"):
        ChatTemplate(TOO_MUCH[what]).render(MESSAGES)
    assert ChatTemplate(CHAT_TEMPLATE).render(MESSAGES[1:2]) == "<user>who?<end><bot>"
    rendering._worker.close()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{% for i in range(10**9) %}{% endfor %}", "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ messages.append(1) }}", "append"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "low line"),
        ("{% include '/etc/passwd' %}", "loader"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_a_template_that_fails_says_why_in_one_line(source: str, reason: str) -> None:
    with pytest.raises(TemplateRefusal, match=reason) as refusal:
        ChatTemplate(source).render(MESSAGES)
    assert "\n" not in str(refusal.value)


def test_a_folder_with_such_a_template_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    folder = saved(tmp_path)
    (folder / "chat_template.jinja").write_text(TOO_MUCH["a long string"])
    model = LanguageModel.load(folder)
    with pytest.raises(InputError, match="its chat template takes more than 1024 MB"):
        Renderer(model).chat_text(MESSAGES)
    with pytest.raises(InputError, match="its chat template takes more than 1024 MB"):
        _ = model.end_tokens


def test_the_date_is_todays_or_the_one_that_a_run_was_begun_on() -> None:
    dated = ChatTemplate("{{ strftime_now('%Y-%m-%d') }}")
    with as_of("2026-03-04T12:00:00Z"):
        assert dated.render([]) == "2026-03-04"
    before = datetime.now().date().isoformat()
    assert before <= dated.render([]) <= datetime.now().date().isoformat()


def test_the_process_is_started_anew_where_it_has_ended() -> None:
    template = ChatTemplate("{{ messages | length }}")
    assert template.render(MESSAGES) == "4"
    process = rendering._worker._process
    assert process is not None
    process.kill()
    process.wait()
    assert template.render([]) == "0"
