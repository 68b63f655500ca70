"""Runs the notebooks of docs/ top to bottom. `python -m tests.notebooks` stores what they give; a test only looks."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
SECONDS = 300  # of one cell, on a busy machine


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs. Raises CellExecutionError. Charts stay plotly's JSON, without its script."""
    notebook = nbformat.read(path, as_version=4)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PLOTLY_RENDERER": "plotly_mimetype"}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3").execute(cwd=str(path.parent), env=environment)
    for cell in notebook.cells:
        cell.metadata = {}  # times of execution
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]  # libraries' warnings
        for output in cell.outputs:
            chart = output.get("data", {}).get("application/vnd.plotly.v1+json")
            if chart:
                chart["layout"].pop("template", None)
                output["data"].pop("text/html", None)
    return notebook


if __name__ == "__main__":
    for path in NOTEBOOKS:
        nbformat.write(executed(path), path)
        print(path.relative_to(ROOT))
