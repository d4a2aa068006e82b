"""Preference objectives: our update against TRL's trainers, number by number.

The default model in float32, a LoRA adapter that both sides start from, the same pairs of tokens (as TRL
made them), three steps on all of them. What is compared is the loss of each step and the whole change of
the adapter. Exit code 1 where they disagree.

TRL's ORPO fine-tunes on the prompt's tokens too, with a mean over the tokens of all answers; ours, as the
paper says, on the answer alone, with a mean for each. The two are the same where the prompt is one token
and the chosen answers are of one length, so its pairs are such. Its cross entropy in float32 is off by 7e-6
of what it has in float64, which moves its update by 1.4e-3; so for ORPO TRL computes in float64.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from _trl import ALIKE
from _work import PROMPT, cases, folder, model, two_threads
from truing.learn import OBJECTIVES
from truing.learn.loop import Settings
from truing.learn.objectives.pairwise import Pairwise
from truing.learn.sources.pairs import Pairs, Tokens, compared
from truing.learn.update import update
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.spec.run import AdapterSpec

STEPS, PAIRS, RATE, RANK = 3, 4, 1e-4, 8
ADAPTER = AdapterSpec(rank=RANK, alpha=2 * RANK)
LOSS, UPDATE, LOG_2 = 1e-5, 1e-3, 1e-6
"""How far losses (absolute) and the update (relative, L2) may be apart; DPO's first loss from log 2."""


@dataclass(frozen=True)
class Learned:
    """The loss of each step, and the change of the adapter by parameter."""

    losses: list[float]
    change: dict[str, Tensor]


@dataclass(frozen=True)
class Peer:
    """How TRL calls an objective: which trainer, with which settings, on which rows, how precisely."""

    trainer: str
    settings: dict[str, Any]
    rows: Callable[[Renderer], list[dict[str, Any]]]
    dtype: torch.dtype = torch.float32


# --- Pairs ------------------------------------------------------------------------------------


def _pairs(renderer: Renderer) -> list[dict[str, Any]]:
    return [
        {
            "prompt": renderer.text(PROMPT, case.prompt),
            "chosen": case.correct_answers[0],
            "rejected": case.incorrect_answers[0],
        }
        for case in cases(PAIRS)
    ]


def _unpaired(renderer: Renderer) -> list[dict[str, Any]]:
    """All chosen answers, then all rejected: TRL then mismatches prompts as we do."""
    rows = _pairs(renderer)
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for side in ("chosen", "rejected")
        for row in rows
    ]


def _one_token_prompts(renderer: Renderer) -> list[dict[str, Any]]:
    by_length: dict[int, list[tuple[str, str]]] = {}
    for case in cases(100):
        answer, other = case.correct_answers[0], case.incorrect_answers[0]
        by_length.setdefault(len(renderer.model.encode(answer)), []).append((answer, other))
    longest = max(length for length, each in by_length.items() if len(each) >= PAIRS)
    chosen = by_length[longest][:PAIRS]
    return [{"prompt": "", "chosen": answer, "rejected": other} for answer, other in chosen]


PEERS = {
    "dpo": Peer("DPO", {"loss_type": ["sigmoid"], "beta": 0.1}, _pairs),
    "dpo_norm": Peer("DPO", {"loss_type": ["sigmoid_norm"], "beta": 5.0}, _pairs),
    "ipo": Peer("DPO", {"loss_type": ["ipo"], "beta": 0.1}, _pairs),
    "kto": Peer("KTO", {"loss_type": "kto", "beta": 0.1}, _unpaired),
    "orpo": Peer("ORPO", {"beta": 0.1}, _one_token_prompts, torch.float64),
    "simpo": Peer(
        "CPO",
        {"loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.0, "simpo_gamma": 1.0},
        _pairs,
    ),
}


# --- The two sides ----------------------------------------------------------------------------


def _policy() -> LanguagePolicy:
    start = model("float32")
    return LanguagePolicy(start, start, ADAPTER, "float32", seed=0)


def ours(name: str, rows: Iterable[tuple[Tokens, Tokens, Tokens]]) -> Learned:
    """Truing's source and update."""
    policy = _policy()
    first = {key: value.detach().clone() for key, value in policy.parameters.items()}
    objective = OBJECTIVES[name]()
    assert isinstance(objective, Pairwise)
    found = compared(rows)[0]
    source = Pairs(policy, found, PAIRS, seed=0, mismatched=objective.needs_mismatched)
    for _ in source.remember_reference(STEPS):
        pass
    settings = Settings(STEPS, RATE, 1.0)
    optimizer = torch.optim.AdamW(policy.parameters.values(), weight_decay=0.0, fused=True)
    losses = []
    for step in range(1, STEPS + 1):
        optimizer.param_groups[0]["lr"] = settings.rate(step)
        row = update(policy, optimizer, objective, source.batch(step)[0], 1.0)
        losses.append(row["loss"])
    change = {key: value.detach() - first[key] for key, value in policy.parameters.items()}
    return Learned(losses, change)


def theirs(name: str) -> tuple[Learned, list[tuple[Tokens, Tokens, Tokens]]]:
    """TRL's trainer; also the tokens that it made of the pairs."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start, peer = _policy(), PEERS[name]
    rows = peer.rows(Renderer(start.reference))
    trainer_class, config_class = _classes(peer.trainer)
    losses: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        trainer = trainer_class(
            model=AutoModelForCausalLM.from_pretrained(folder(), dtype=peer.dtype),
            args=config_class(
                output_dir=out,
                per_device_train_batch_size=len(rows),
                max_steps=STEPS,
                learning_rate=RATE,
                lr_scheduler_type="linear",
                bf16=False,
                **peer.settings,
                **ALIKE,
                **({"train_sampling_strategy": "sequential"} if peer.trainer == "KTO" else {}),
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder()),
            peft_config=_lora(),
        )
        adapter = _start_alike(trainer.model, start)
        first = {key: value.detach().clone() for key, value in adapter.items()}
        compute = trainer.compute_loss

        def noted(*arguments: Any, **keys: Any) -> Any:
            loss = compute(*arguments, **keys)
            losses.append(float((loss[0] if isinstance(loss, tuple) else loss).detach()))
            return loss

        trainer.compute_loss = noted
        trainer.train()
        tokens = _tokens(trainer.train_dataset, peer.trainer)
    change = {key: value.detach() - first[key] for key, value in adapter.items()}
    return Learned(losses, change), tokens


def _classes(kind: str) -> tuple[Any, Any]:
    import trl

    if kind in ("DPO", "KTO"):
        return getattr(trl, f"{kind}Trainer"), getattr(trl, f"{kind}Config")
    from trl.experimental import cpo, orpo

    module = {"CPO": cpo, "ORPO": orpo}[kind]
    return getattr(module, f"{kind}Trainer"), getattr(module, f"{kind}Config")


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )


@torch.no_grad()
def _start_alike(peer: Any, policy: LanguagePolicy) -> dict[str, Tensor]:
    """Gives TRL's adapter our start; its parameters by our names."""
    named = {
        name.removeprefix("base_model.model.").replace(".default.weight", ""): parameter
        for name, parameter in peer.named_parameters()
        if parameter.requires_grad
    }
    own = policy.parameters
    assert named.keys() == own.keys(), sorted(named.keys() ^ own.keys())[:4]
    for name, parameter in named.items():
        parameter.copy_(own[name])
    return named


def _tokens(rows: Any, kind: str) -> list[tuple[Tokens, Tokens, Tokens]]:
    """(prompt, chosen, rejected) of the trainer's rows."""

    def of(row: dict[str, Any], *names: str) -> tuple[Tokens, ...]:
        return tuple(tuple(row[name]) for name in names)

    if kind == "DPO":
        return [of(row, "prompt_ids", "chosen_ids", "rejected_ids") for row in rows]  # type: ignore[misc]
    if kind == "KTO":
        every = [of(row, "prompt_ids", "completion_ids") for row in rows]
        halves = zip(every[: len(every) // 2], every[len(every) // 2 :], strict=True)
        return [(prompt, chosen, rejected) for (prompt, chosen), (_, rejected) in halves]
    found = []
    for row in rows:
        sides = [_answer(row, side) for side in ("chosen", "rejected")]
        assert sides[0][0] == sides[1][0]
        found.append((sides[0][0], sides[0][1], sides[1][1]))
    return found


def _answer(row: dict[str, Any], side: str) -> tuple[Tokens, Tokens]:
    """Prompt and answer of a row that has both in one list, the prompt's labels masked out."""
    tokens, labels = row[f"{side}_input_ids"], row[f"{side}_labels"]
    prompt = sum(label == -100 for label in labels)
    return tuple(tokens[:prompt]), tuple(tokens[prompt:])


# --- The comparison ---------------------------------------------------------------------------


def _apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The L2 distance of two changes over the length of the second."""
    error = sum(float((one[name].double() - other[name]).square().sum()) for name in other)
    return float((error / sum(float(x.double().square().sum()) for x in other.values())) ** 0.5)


def compare(name: str) -> dict[str, Any]:
    """One objective on both sides."""
    two_threads()
    peer, rows = theirs(name)
    own = ours(name, rows)
    loss = max(abs(a - b) for a, b in zip(own.losses, peer.losses, strict=True))
    change = _apart(own.change, peer.change)
    agree = loss <= LOSS and change <= UPDATE
    if name == "dpo":
        agree = agree and abs(own.losses[0] - float(torch.tensor(2.0).double().log())) <= LOG_2
    return {
        "losses": own.losses,
        "peer_losses": peer.losses,
        "largest_loss_difference": loss,
        "update_difference": change,
        "agree": agree,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--case", choices=list(PEERS), help="only this objective")
    options = parser.parse_args(arguments)
    found = {}
    for name in [options.case] if options.case else list(PEERS):
        print(f"{name} ...", file=sys.stderr, flush=True)
        found[name] = compare(name)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, each in found.items():
            verdict = "agree" if each["agree"] else "DISAGREE"
            print(
                f"{name:9s} {verdict}: losses within {each['largest_loss_difference']:.1e}, "
                f"update within {each['update_difference']:.1e}"
            )
    return 0 if all(each["agree"] for each in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
