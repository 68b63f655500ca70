"""The notebooks of docs/ run top to bottom, and what they hold is what such a run gave."""

import nbformat
import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed")
from tests import notebooks


@pytest.mark.slow
@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_holds_its_outputs(path):
    kept, fresh = nbformat.read(path, as_version=4), notebooks.executed(path)
    for old, new in zip(kept.cells, fresh.cells, strict=True):
        if old.cell_type == "code":
            assert kinds(old) == kinds(new), f"run python -m tests.notebooks: {old.source}"


def kinds(cell):
    return [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs]
