"""The names that `truing` exports."""

import subprocess
import sys


def test_exported_names() -> None:
    code = (
        "import truing; from truing import Aligned, Spec, align, evaluate; "
        "assert sorted(truing.__all__) == ['Aligned', 'Evaluated', 'Spec', '__version__', "
        "'align', 'evaluate']; "
        "assert callable(evaluate) and align.__module__ == 'truing.recipes.align'; print(Spec().digest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 16
