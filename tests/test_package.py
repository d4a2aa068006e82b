"""The names that `truing` exports."""

import subprocess
import sys


def test_exported_names() -> None:
    code = (
        "import truing; from truing import Aligned, Spec, align; "
        "assert sorted(truing.__all__) == ['Aligned', 'Spec', '__version__', 'align']; "
        "assert callable(align) and align.__module__ == 'truing.recipes.align'; print(Spec().digest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) == 16
