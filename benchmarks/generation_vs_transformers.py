"""Free answers to TruthfulQA's questions, judged: Truing against `transformers` generate.

Both sides answer the same questions under the paper's QA prompt, the likeliest token each time, up to a
line break, the end token or 50 tokens, and grade the answers with the same built-in judges. `generate`
gets batches padded on the left. Measured: rendering, tokens, answers, grades. Left out on both sides:
loading the model and fitting the judges to the references.

The files are looked for in ../shared/data/truthfulqa beside the project, or in $TRUTHFULQA.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from _in_turn import Benchmark, Measured, main
from _work import TRUTHFULQA, folder, model, timed, two_threads
from truing.candidates import Candidate
from truing.data.questions import load_questions
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_answers import variant_answers
from truing.judges.built_in import Judges
from truing.models.language_model import LanguageModel
from truing.models.memo.answers import Answer, AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.prompts.rendering import Prompt, Renderer
from truing.prompts.variants import PromptVariant, prompt_variants
from truing.rewards.truth_probe import Embedder
from truing.types import Case

QUESTIONS = int(os.environ.get("QUESTIONS", "96"))
NEW_TOKENS = 50
BATCH = 32


def _asked() -> tuple[tuple[Case, ...], PromptVariant]:
    [qa] = prompt_variants(["qa"], TRUTHFULQA / "prompts.json")
    return load_questions(TRUTHFULQA / "TruthfulQA_v1.csv")[:QUESTIONS], qa


def _judges(language_model: LanguageModel, cases: tuple[Case, ...]) -> Judges:
    return Judges(cases, Embedder(Renderer(language_model), Prompt()))


def _measured(seconds: float, texts: list[str], p_true: list[float]) -> Measured:
    full = [text for text in texts if text]
    work = {
        "answers": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "distinct": len(set(full)),
    }
    return Measured([seconds], work, p_true)


def _grades(judges: Judges, cases: tuple[Case, ...], texts: list[str]) -> list[float]:
    """p(true) of each answer; -1 for an empty one."""
    grades = judges.grade(list(zip(cases, texts, strict=True)))
    return [g.true if isinstance(g.true, float) else -1.0 for g in grades]


def ours(case: str) -> Measured:
    """Truing, with an empty store of answers."""
    two_threads()
    language_model = model(case)  # type: ignore[arg-type]
    candidate = Candidate("base", 0, language_model, Prompt())
    cases, qa = _asked()
    judges = _judges(model("float32"), cases)
    texts: list[str] = []
    p_true: list[float] = []

    def work() -> None:
        with tempfile.TemporaryDirectory() as temporary:
            store = AnswerStore(Path(temporary) / "answers.sqlite")
            scores = ScoreStore(Path(temporary) / "scores.sqlite")
            variant = StoredVariant(qa, "text", "benchmark", case, scores, store)  # type: ignore[arg-type]
            found = variant_answers(candidate, variant, cases, NEW_TOKENS)
            store.close()
        texts.extend(a.text for a in found.answers if isinstance(a, Answer))
        p_true.extend(_grades(judges, cases, texts))

    return _measured(timed(work), texts, p_true)


def theirs(case: str) -> Measured:
    """`generate` with padding on the left and a dynamic cache, batches of questions of like length."""
    two_threads()
    tokenizer = AutoTokenizer.from_pretrained(folder(), padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(folder(), dtype=getattr(torch, case)).eval()
    cases, qa = _asked()
    judges = _judges(model("float32"), cases)
    texts: list[str] = []
    p_true: list[float] = []

    def answers(prompts: list[str]) -> list[str]:
        batch = tokenizer(prompts, return_tensors="pt", padding=True)
        found = network.generate(
            **batch,
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            stop_strings=["\n"],
            tokenizer=tokenizer,
        )
        new = found[:, batch["input_ids"].shape[1] :]
        return [
            t.split("\n")[0].strip() for t in tokenizer.batch_decode(new, skip_special_tokens=True)
        ]

    def work() -> None:
        order = sorted(range(len(cases)), key=lambda n: len(cases[n].prompt))
        said = [""] * len(cases)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            for place, text in zip(
                places, answers([qa.filled(cases[n].prompt) for n in places]), strict=True
            ):
                said[place] = text
        texts.extend(said)
        p_true.extend(_grades(judges, cases, texts))

    with torch.inference_mode():
        return _measured(timed(work), texts, p_true)


if __name__ == "__main__":
    main(
        Benchmark(
            title="free answers and judging against transformers generate",
            sides={"transformers": theirs, "truing": ours},
            cases=["float32", "bfloat16"],
            settings={
                "model": "smollm2-135m",
                "questions": QUESTIONS,
                "new_tokens": NEW_TOKENS,
                "prompt": "qa",
                "peer_batch": BATCH,
                "threads": 2,
            },
        )
    )
