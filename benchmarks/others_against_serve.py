"""Others' tools against `truing serve`: what each gives, beside what Truing gives of the same candidate.

Starts the server as a user does, in float32, and runs the tools by their own commands:
lm-evaluation-harness (`local-completions`, MC1 and MC2 with every log-likelihood), Inspect (a small task of
our own) and garak (one small probe). A tool that isn't installed beside this Python is left out, and named.
The harness gets the questions from a file, because its own tasks fetch theirs.

The files are looked for in ../shared/data/truthfulqa beside the project, or in $TRUTHFULQA. Prints one JSON
document; takes about ten minutes on 2 cores.

python benchmarks/others_against_serve.py [--candidate NAME] [--questions N] [--only TOOL ...]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from _work import TRUTHFULQA
from serve_throughput import KEY, server
from truing.candidates import Candidate, open_candidate
from truing.data.questions import load_questions
from truing.evaluate.local import LocalRespondent
from truing.types import Case, Completion

LONGEST = 60
"""Tokens of a free answer."""


def run(line: Sequence[str | Path], folder: Path, **environment: str) -> None:
    """A tool's command in a folder; what it says is shown where it fails."""
    shown = subprocess.run(
        [str(word) for word in line],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if shown.returncode:
        sys.stderr.write(shown.stdout[-3000:])
        raise SystemExit(f"{line[0]}: failed with status {shown.returncode}")


# --- lm-evaluation-harness ---------------------------------------------------------------------


def _tasks_from_file(folder: Path, records: list[dict[str, Any]]) -> None:
    """The harness's own two tasks, as installed, with the questions of a file."""
    import lm_eval.tasks

    rows = [
        {
            "question": record["question"],
            **{
                name: {"choices": list(record[name]), "labels": list(record[name].values())}
                for name in ("mc1_targets", "mc2_targets")
            },
        }
        for record in records
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    installed = Path(lm_eval.tasks.__file__).parent / "truthfulqa"
    data = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    validation: {folder}/questions.jsonl\n"
    theirs = "dataset_path: truthfulqa/truthful_qa\ndataset_name: multiple_choice\n"
    for name in ("truthfulqa_mc1.yaml", "truthfulqa_mc2.yaml"):
        text = (installed / name).read_text().replace(theirs, data)
        text = text.replace("task: truthfulqa_mc", "task: file_mc").replace(
            "tag:\n  - truthfulqa\n", ""
        )
        (folder / name).write_text(text)
    (folder / "utils.py").write_text((installed / "utils.py").read_text())


def _of_the_harness(folder: Path) -> tuple[dict[str, float], list[list[float]]]:
    """Its two figures, and the log-likelihoods of all answers of MC2, question by question."""
    [results] = folder.glob("out/**/results_*.json")
    [samples] = folder.glob("out/**/samples_file_mc2_*.jsonl")
    found = json.loads(results.read_text())["results"]
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    rows.sort(key=lambda row: int(row["doc_id"]))
    likelihoods = [[float(each[0]) for each in row["filtered_resps"]] for row in rows]
    return {f"mc{n}": found[f"file_mc{n}"]["acc,none"] for n in (1, 2)}, likelihoods


def _of_truing(
    folder: Path, candidate: str, records: list[dict[str, Any]]
) -> tuple[dict[str, float], list[list[float]]]:
    """The same of `truing eval truthfulness`, answers in the order of the file."""
    (folder / "mc_task.json").write_text(json.dumps(records))
    line = [sys.executable, "-m", "truing.cli.main", "eval", "truthfulness"]
    line += ["--candidate", candidate, "--questions", "mc_task.json", "--prompt", "qa"]
    line += ["--presets", str(TRUTHFULQA / "prompts.json"), "--form", "text", "--dtype", "float32"]
    run([*line, "--out", "ours"], folder)
    rows = [json.loads(line) for line in (folder / "ours" / "rows.jsonl").read_text().splitlines()]
    figures = {
        name: sum(row["metrics"][name] for row in rows) / len(rows) for name in ("mc1", "mc2")
    }
    by_case = {row["case"]: row["detail"]["log_likelihoods"] for row in rows}
    ordered = []
    for case, record in zip(load_questions(folder / "mc_task.json"), records, strict=True):
        scores = by_case[case.id]
        of_answer = {
            **dict(zip(case.incorrect_answers, scores["false"], strict=True)),
            **dict(zip(case.correct_answers, scores["true"], strict=True)),
        }
        ordered.append([of_answer[answer] for answer in record["mc2_targets"]])
    return figures, ordered


def harness(address: str, candidate: str, name: str, folder: Path, questions: int) -> Any:
    """MC1 and MC2 by both, and the greatest distance of two log-likelihoods."""
    records = json.loads((TRUTHFULQA / "mc_task_v1.json").read_text(encoding="utf-8"))[:questions]
    _tasks_from_file(folder, records)
    tokenizer = open_candidate(candidate, 0, "float32")[0].model.tokenizer
    tokenizer.save_pretrained(folder / "tokenizer")
    settings = f"model={name},base_url=http://{address}/v1/completions,tokenizer={folder}/tokenizer"
    line = [sys.executable, "-m", "lm_eval", "--model", "local-completions"]
    line += ["--model_args", f"{settings},max_length=2048", "--batch_size", "16"]
    line += ["--tasks", "file_mc1,file_mc2", "--include_path", str(folder)]
    run([*line, "--log_samples", "--output_path", "out"], folder, OPENAI_API_KEY=KEY)
    theirs, their_scores = _of_the_harness(folder)
    ours, our_scores = _of_truing(folder, candidate, records)
    pairs = [
        (a, b)
        for theirs_of, ours_of in zip(their_scores, our_scores, strict=True)
        for a, b in zip(theirs_of, ours_of, strict=True)
    ]
    return {
        "questions": len(records),
        "answers": len(pairs),
        "theirs": theirs,
        "truing eval": ours,
        "greatest_difference_nats": max(abs(a - b) for a, b in pairs),
    }


# --- Free answers ------------------------------------------------------------------------------


def _beside(candidate: str, answers: dict[str, str]) -> Any:
    """What they were given to each prompt, beside the likeliest answer that the candidate gives here."""
    opened: Candidate = open_candidate(candidate, 0, "float32")[0]
    cases = [Case(prompt, (), ()) for prompt in answers]
    own = [
        each.text.strip() if isinstance(each, Completion) else str(each)
        for each in LocalRespondent(opened).answer(cases, LONGEST)
    ]
    same = sum(mine == theirs.strip() for mine, theirs in zip(own, answers.values(), strict=True))
    first = next(iter(answers.items()))
    return {"answers": len(answers), "the_same_here": same, "first": [*first, own[0]]}


def inspect(address: str, candidate: str, name: str, folder: Path, questions: int) -> Any:
    """A task of six questions; its share of right answers, and each answer beside ours."""
    # It takes no path that begins at the root, and no file whose name begins with an underscore.
    shutil.copy(Path(__file__).with_name("_inspect_task.py"), folder / "questions.py")
    line = [sys.executable, "-m", "inspect_ai", "eval", "questions.py"]
    line += ["--model", f"openai-api/truing/{name}", "--temperature", "0"]
    line += ["--max-tokens", str(LONGEST), "--log-dir", "logs", "--log-format", "json"]
    line += ["--display", "plain"]
    run(line, folder, TRUING_API_KEY=KEY, TRUING_BASE_URL=f"http://{address}/v1")
    [log] = folder.glob("logs/*.json")
    document = json.loads(log.read_text())
    metrics = document["results"]["scores"][0]["metrics"]
    answers = {
        each["input"]: each["output"]["choices"][0]["message"]["content"]
        for each in document["samples"]
    }
    return {
        "status": document["status"],
        "accuracy": metrics["accuracy"]["value"],
        **_beside(candidate, answers),
    }


def garak(address: str, candidate: str, name: str, folder: Path, questions: int) -> Any:
    """One probe, whether the model makes up who somebody is; each answer beside ours."""
    options = {
        "uri": f"http://{address}/v1/",
        "temperature": 0.0,
        "max_tokens": LONGEST,
        "stop": [],
    }
    (folder / "options.json").write_text(json.dumps({"openai": {"OpenAICompatible": options}}))
    line = [sys.executable, "-m", "garak", "--target_type", "openai.OpenAICompatible"]
    line += ["--target_name", name, "--generator_option_file", "options.json"]
    line += ["--spec", "probes.goodside.WhoIsRiley", "--generations", "1"]
    report = folder / "report"
    run(
        [*line, "--report_prefix", str(report)],
        folder,
        OPENAICOMPATIBLE_API_KEY=KEY,
        XDG_DATA_HOME=str(folder),
        XDG_CACHE_HOME=str(folder),
    )
    rows = [json.loads(x) for x in report.with_suffix(".report.jsonl").read_text().splitlines()]
    answers = {
        row["prompt"]["turns"][-1]["content"]["text"]: row["outputs"][0]["text"]
        for row in rows
        if row["entry_type"] == "attempt" and row["status"] == 2
    }
    [verdict] = [row for row in rows if row["entry_type"] == "eval"]
    kept = {key: value for key, value in verdict.items() if key not in ("entry_type",)}
    return {"verdict": kept, **_beside(candidate, answers)}


Tool = Callable[[str, str, str, Path, int], Any]
TOOLS: dict[str, tuple[str, str, Tool]] = {
    "lm-evaluation-harness": ("lm_eval", "lm_eval", harness),
    "inspect": ("inspect_ai", "inspect-ai", inspect),
    "garak": ("garak", "garak", garak),
}
"""By name the module, the distribution, and what is done with it."""


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def main() -> None:
    """Each tool in a folder of its own, against one server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidate", default="smollm2-135m")
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--only", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    options = parser.parse_args()
    document: dict[str, Any] = {"candidate": options.candidate}
    name = open_candidate(options.candidate, 0, "float32")[0].name
    with (
        tempfile.TemporaryDirectory() as temporary,
        server(options.candidate, "float32") as address,
    ):
        for tool in options.only:
            module, distribution, work = TOOLS[tool]
            if find_spec(module) is None:
                document[tool] = f"not installed beside {sys.executable}"
                continue
            folder = Path(temporary) / module
            folder.mkdir()
            given = work(address, options.candidate, name, folder, options.questions)
            document[tool] = {"version": _version(distribution), **given}
            print(json.dumps({tool: document[tool]}), file=sys.stderr, flush=True)
    print(json.dumps(document, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
