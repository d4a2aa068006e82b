"""The base: the model as it came, told the task and nothing more."""

from __future__ import annotations

from typing import Any

from truing.approaches.card import model_card
from truing.candidates import save_candidate
from truing.models.precision import computed_in
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Prompt
from truing.workshop import Workshop


def save(
    shop: Workshop,
    name: str,
    seed: int,
    prompt: Prompt,
    policy: LanguagePolicy | None,
    facts: dict[str, Any],
) -> None:
    """Writes a candidate folder of this run, with its model card. Of several processes the first does."""
    if not shop.ranks.leads:
        return
    record = {
        "name": name,
        "seed": seed,
        "model": shop.spec.model,
        "weights_hash": shop.source.weights_hash,
        "spec_digest": shop.spec.digest(),
        **facts,
    }
    save_candidate(
        shop.candidate_folder(name, seed),
        base=shop.source.folder,
        model=shop.base.model,
        prompt=prompt,
        policy=policy,
        link=shop.source.kind == "catalogue",
        record=record,
        card=model_card(shop, name, seed, prompt, facts),
    )


def keep_base(shop: Workshop) -> None:
    """Saves the base as a candidate and notes what it is."""
    save(shop, "base", shop.spec.seeds[0], shop.base_prompt, None, {})
    model = shop.base.model.model
    shop.note(
        model={
            "name": shop.spec.model,
            "weights_hash": shop.source.weights_hash,
            "licence": shop.source.licence,
            "parameters": sum(p.numel() for p in model.parameters()),
            "chat_template": shop.renderer.chat,
            "precision": computed_in(shop.spec.dtype),
        },
        data={
            "questions": shop.spec.data.questions,
            "train": len(shop.train),
            "held_out": len(shop.held_out),
            "controls": len(shop.controls),
        },
    )
