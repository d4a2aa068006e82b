"""The letters of a survey's options, in balanced orders: Truing against batches of `transformers` calls.

Both sides get the same question-orders and give the log-probability of each letter as the next token, with
a leading space or bare, whichever is likelier. `transformers` gets batches of texts of like length, padded
on the left, and is called in the usual form, `model(**batch).logits`, which computes logits at all places;
with LOGITS=last it is asked for those of the last place alone. Left out on both sides: loading the model.

The texts are looked for in ../shared/data/opinions beside the project, or in $OPINIONS.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from _in_turn import Benchmark, Measured, main
from _work import folder, model, timed
from truing.candidates import Candidate
from truing.evaluate.local import LocalRespondent
from truing.evaluate.opinion_prompts import letter_texts, lettered
from truing.evaluate.opinion_readings import letter_log_probs
from truing.evaluate.respondent import Continued
from truing.prompts.rendering import Prompt
from truing.types import Unscored

PROMPTS = int(os.environ.get("PROMPTS", "240"))
THREADS = int(os.environ.get("THREADS", "1"))
BATCH = 16
LOGITS = os.environ.get("LOGITS", "all")
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "opinions"


def _asked() -> list[Continued]:
    path = Path(os.environ.get("OPINIONS", _BESIDE)) / "letters_base.jsonl"
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Continued(
            lettered(row["question"], [row["options"][n] for n in row["order"]]),
            letter_texts(len(row["order"])),
        )
        for row in rows[:PROMPTS]
    ]


def _measured(seconds: float, values: list[float], tokens: int) -> Measured:
    return Measured([seconds], {"prompts": len(_asked()), "tokens": tokens}, values)


def ours(case: str) -> Measured:
    """Truing: orders of one question share its text."""
    torch.set_num_threads(THREADS)
    language_model = model(case)  # type: ignore[arg-type]
    respondent = LocalRespondent(Candidate("base", 0, language_model, Prompt()))
    asked = _asked()
    values: list[float] = []

    def work() -> None:
        for scores in respondent.continued(asked):
            assert not isinstance(scores, Unscored)
            values.extend(letter_log_probs(scores).tolist())

    seconds = timed(work)
    return _measured(seconds, values, sum(len(language_model.encode(a.text)) for a in asked))


def theirs(case: str) -> Measured:
    """`transformers`, padded batches of like length."""
    torch.set_num_threads(THREADS)
    tokenizer = AutoTokenizer.from_pretrained(folder(), padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(folder(), dtype=getattr(torch, case)).eval()
    asked = _asked()
    values: list[float] = []
    which = {"logits_to_keep": 1} if LOGITS == "last" else {}

    def work() -> None:
        lengths = [len(tokenizer(each.text)["input_ids"]) for each in asked]
        order = sorted(range(len(asked)), key=lambda n: lengths[n])
        found: dict[int, list[float]] = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            batch = tokenizer([asked[n].text for n in places], return_tensors="pt", padding=True)
            log_probs_BV = network(**batch, **which).logits[:, -1].float().log_softmax(-1)
            for place, log_probs_V in zip(places, log_probs_BV, strict=True):
                tokens = [tokenizer.encode(text)[0] for text in asked[place].behind]
                found[place] = log_probs_V[tokens].view(-1, 2).amax(1).tolist()
        for place in range(len(asked)):
            values.extend(found[place])

    with torch.inference_mode():
        seconds = timed(work)
    return _measured(seconds, values, sum(len(tokenizer(a.text)["input_ids"]) for a in asked))


if __name__ == "__main__":
    main(
        Benchmark(
            title="letters of a survey's options against batches of transformers calls",
            sides={"transformers": theirs, "truing": ours},
            cases=["float32", "bfloat16"],
            settings={
                "model": "smollm2-135m",
                "prompts": PROMPTS,
                "threads": THREADS,
                "peer_batch": BATCH,
                "peer_logits": LOGITS,
            },
        )
    )
