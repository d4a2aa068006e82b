"""A judge behind an endpoint in a folder: how it is asked, its rubrics, how far it agrees with labels.

The folder holds what `judges/trained.py` has for local judges: `judges.json` and `judges.safetensors`, in
which the replies' grades of the labelled answers stand, so that nothing is asked about them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from truing.files import write_file_atomically, write_json_atomically
from truing.judges.correction import Calibration
from truing.judges.grading import JudgeAgreement
from truing.judges.served import ServedJudges, served_judges
from truing.judges.trained import CALIBRATED, NAMES, RECORD, TENSORS, VERSION, read_record
from truing.models.memo.replies import ReplyStore
from truing.progress import Progress
from truing.rewards.rubrics.reading import parsed_rubric
from truing.spec.rubric import AskedEndpoint
from truing.types import InputError

ENDPOINT = "endpoint"
"""The key of a record that only a judge behind an endpoint has."""
SEED = "seed"


def is_served_folder(folder: Path) -> bool:
    """Whether the judge in a folder is behind an endpoint. Raises InputError where it holds no judge."""
    return ENDPOINT in read_record(folder)


def save_served(judges: ServedJudges, folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes the folder's tensors, then its record with `facts`; an older record goes first."""
    some = judges.judges[NAMES[0]]
    tensors = {
        f"{name}/{part}": np.ascontiguousarray(array)
        for name, calibration in judges.calibration.items()
        for part, array in calibration.__dict__.items()
    }
    (folder / RECORD).unlink(missing_ok=True)
    write_file_atomically(folder / TENSORS, lambda path: save_file(tensors, path))
    record = {
        "version": VERSION,
        **some.spec.model_dump(mode="json", include=set(AskedEndpoint.model_fields)),
        "rubrics": {
            name: judge.rubric.model_dump(mode="json") for name, judge in judges.judges.items()
        },
        SEED: some.seed,
        "source": judges.source,
        **facts,
        "agreement": {name: found.to_json() for name, found in judges.agreement.items()},
    }
    write_json_atomically(folder / RECORD, record)


def load_served(
    folder: Path,
    progress: Progress,
    *,
    key_variable: str | None = None,
    store: ReplyStore | None = None,
) -> ServedJudges:
    """The judges in a folder. `key_variable` names the endpoint's key in place of the folder's own.

    Raises InputError where it holds none, or not a whole one.
    """
    record = read_record(folder)
    try:
        how = {name: record[name] for name in AskedEndpoint.model_fields if name in record}
        how |= {"key_variable": key_variable} if key_variable else {}
        rubrics = [parsed_rubric(each, str(folder / RECORD)) for each in record["rubrics"].values()]
        asked, where = AskedEndpoint.model_validate(how), f"--judge {folder}"
        judges = served_judges(asked, rubrics, where, progress, seed=int(record[SEED]), store=store)
        tensors = load_file(folder / TENSORS)
        calibration = {
            name: Calibration(*(tensors[f"{name}/{p}"] for p in ("score", "label", "question")))
            for name in CALIBRATED
        }
        agreement = {name: JudgeAgreement(**record["agreement"][name]) for name in NAMES}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder}: not a whole judge ({error}); make it again with 'truing train judge'"
        ) from None
    return ServedJudges(judges, agreement, calibration, str(record.get("source", "")))
