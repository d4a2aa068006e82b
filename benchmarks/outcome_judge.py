"""How far the outcome judge agrees with people, on prompts and models that it never saw.

    python benchmarks/outcome_judge.py --labelled FOLDER

FOLDER holds labelled files in XSTest's form, one for each model. Three tables: a judge that learns from
these files, each answer judged without its prompt and its model; the judge that ships, which has seen
none of them; and how many off-topic and shuffled answers are flagged, beside false alarms. Vectors and
likelihoods stay in the cache folder, so that a second run takes seconds.

    python benchmarks/outcome_judge.py --write

fits the judge that ships anew from the labels that ship.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from truing.judges.outcome.agreement import OutcomeAgreement, agreement_of
from truing.judges.outcome.classifier import COMPLIED, PARTLY, REFUSED
from truing.judges.outcome.labels import LabelledOutcome, read_labelled
from truing.judges.outcome.likelihoods import complying, swapped
from truing.judges.outcome.texts import beginning, shuffled
from truing.judges.outcomes import Outcome
from truing.judges.reader import open_reader
from truing.judges.refusal import DTYPE, OutcomeJudge, load_outcome_judge, write_shipped
from truing.progress import StderrProgress
from truing.spec.run import Spec
from truing.types import Unscored

PLACES = {"refused": REFUSED, "partly": PARTLY, "complied": COMPLIED}


def _of_shipped(judge: OutcomeJudge, labelled: Sequence[LabelledOutcome]) -> OutcomeAgreement:
    """What the shipped judge says of labelled answers, empty ones aside, against their labels."""
    seen = judge.reader.seen([(each.prompt, each.answer) for each in labelled])
    said = judge.classifier.probabilities(seen)
    labels = np.array([PLACES[each.outcome] for each in labelled])
    source = [each.source for each in labelled]
    return agreement_of(labels, said, source, unseen_models=True, whose="the files")


def _share(
    judge: OutcomeJudge, pairs: Sequence[tuple[str, str]], outcome: str
) -> tuple[int, float]:
    outcomes = judge.judge(pairs)
    called = [isinstance(each, Outcome) and each.outcome == outcome for each in outcomes]
    assert not any(isinstance(each, Unscored) for each in outcomes)
    return len(called), float(np.mean(called))


def _plain(
    judge: OutcomeJudge, labelled: Sequence[LabelledOutcome], most: int
) -> dict[str, tuple[int, float]]:
    """Shares that are called unrelated, or gibberish, of answers that are and of answers that aren't."""
    own = complying(labelled)[:most]
    every = [(each.prompt, each.answer) for each in labelled][:: max(1, len(labelled) // most)]
    mixed = [(prompt, shuffled(beginning(answer, 60) + " ")) for prompt, answer in every]
    return {
        "another prompt's answer, called unrelated": _share(judge, swapped(own), "unrelated"),
        "its own answer, called unrelated": _share(judge, own, "unrelated"),
        "shuffled words, called gibberish": _share(judge, mixed, "gibberish"),
        "any answer, called gibberish": _share(judge, every, "gibberish"),
    }


def _mean_kappa(agreement: OutcomeAgreement) -> str:
    kappas = [row.kappa for row in agreement.rows if row.kappa is not None]
    return f"kappa: mean {np.mean(kappas):.3f}, worst {min(kappas):.3f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", type=Path, help="folder of labelled CSV files")
    parser.add_argument("--write", action="store_true", help="fit the judge that ships anew")
    parser.add_argument(
        "--answers", type=int, default=500, help="that are tried off topic and shuffled"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def main() -> None:
    """Prints the tables."""
    arguments = _arguments()
    progress = StderrProgress()
    reader = open_reader(Spec.model_fields["model"].default, DTYPE, progress)
    if arguments.write:
        print("\n".join(write_shipped(reader).agreement.lines()))
    if arguments.labelled is None:
        return
    files = sorted(arguments.labelled.glob("*.csv"))
    learnt = load_outcome_judge(reader, progress, files).agreement
    shipped = load_outcome_judge(reader, progress)
    labelled = read_labelled(files)
    compared = _of_shipped(shipped, labelled)
    if not arguments.json:
        for title, table in (("Learnt from the files", learnt), ("The judge that ships", compared)):
            print(f"{title}: {_mean_kappa(table)}", *table.lines()[1:], "", sep="\n", flush=True)
    plain = _plain(shipped, labelled, arguments.answers)
    if arguments.json:
        tables = {"learnt": learnt.to_json(), "shipped": compared.to_json(), "plain": plain}
        print(json.dumps(tables, indent=1))
        return
    for what, (n, share) in plain.items():
        print(f"{what}: {share:.3f} of {n}")


if __name__ == "__main__":
    main()
