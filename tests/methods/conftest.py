"""What the tests of methods share."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A few questions: reading the built-in ones takes longer than all the rest."""
    file = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    row = {"correct_answers": ["no.", "it is not."], "incorrect_answers": ["yes.", "it is."]}
    file.write_text("\n".join(json.dumps({"question": f"is {n} far?", **row}) for n in range(14)))
    return {"questions": str(file), "controls": "none"}
