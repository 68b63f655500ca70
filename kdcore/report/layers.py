"""What every layer of a variant holds, as a table: the same columns on the page, on the command line and in files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from kdcore.files import read_json
from kdcore.problems import Problem, RecipeError
from kdcore.report import documents
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "run", "variant", "name", "type", "shape", "params", "macs", "zeros_percent", "zero_filters_percent",
    "zero_channels_percent", "mean_abs", "std", "bits", "rank", "distinct",
    "distinct_in_filter", "sqnr_db", "sqnr_note",
)  # fmt: skip
WHOLE = ("params", "macs", "bits", "rank", "distinct", "distinct_in_filter")
FORMATS = ("csv", "json", "markdown")

Row = dict[str, Any]


class LayerReport(NamedTuple):
    """A variant's first model, whose file is the deployed one: its key and its report."""

    run: str
    variant: str
    key: str
    report: Mapping[str, Any]


def inside(workspace: Workspace, run_id: str, variant: str, field: str = "variant") -> LayerReport:
    """The variant of this name. Raises UnknownRun, and RecipeError at `field` for one that is not there or not done."""

    def refuse(message: str) -> NoReturn:
        raise RecipeError([Problem(field, f'"{variant}" {message}')])

    found = {row.name: row.keys[0] for row in workspace.plan(run_id).variants}
    if variant not in found:
        known = f"there are: {', '.join(found)}" if found else "that run has no models of its own"
        refuse(f"is not in {run_id}; {known}")
    key = found[variant]
    if reason := workspace.damage(key):
        refuse(f"has a damaged model ({reason}): resume {run_id}")
    if not workspace.complete(key):
        refuse(f"is not finished, or no longer in the workspace: resume {run_id}")
    report = read_json(workspace.model(key) / "report.json")
    if not report["layers"]:
        refuse("has no layer information: its network is not available here")
    return LayerReport(run_id, variant, key, report)


def rows(found: LayerReport) -> list[Row]:
    """A row of COLUMNS for each layer, in the order of the file; None for what was not measured.

    `shape` is that of the weight, filters first, as text: 32×16×3×3. Percentages are of the weights, of the filters and
    of the input channels; `sqnr_db` is decibels, and `sqnr_note` says why there is none.
    """
    return [{"run": found.run, "variant": found.variant} | _row(layer) for layer in found.report["layers"]]


def _row(layer: Mapping[str, Any]) -> Row:
    known = {name: layer.get(name) for name in COLUMNS[2:]}  # models of earlier versions have fewer
    shares = {
        "zeros_percent": layer["sparsity"],
        "zero_filters_percent": layer["zero_filters"] / layer["filters"],
        "zero_channels_percent": layer["zero_channels"] / layer["channels"],
    }
    return known | {"shape": "×".join(map(str, layer["shape"]))} | {name: 100 * share for name, share in shares.items()}


def table(found: Sequence[LayerReport]) -> pd.DataFrame:
    """`rows` of these variants as a DataFrame of COLUMNS; whole numbers stay whole beside missing ones."""
    import pandas as pd

    made = pd.DataFrame([row for one in found for row in rows(one)], columns=list(COLUMNS))
    return made.astype(dict.fromkeys(WHOLE, "Int64") | {"sqnr_db": "Float64"})


def layers_file(found: Sequence[LayerReport], format: str) -> bytes:
    """The layers of these variants as the content of a file in one of FORMATS, text in UTF-8.

    JSON: `{"variants": [{"run", "variant", "model_key", "sqnr", "layers": [rows]}]}`, `sqnr` being that of the logits.
    Raises ValueError for another format.
    """
    if format != "json":
        return documents.write(table(found), format)
    document = {
        "variants": [
            {
                "run": one.run, "variant": one.variant, "model_key": one.key, "sqnr": one.report.get("sqnr"),
                "layers": rows(one),
            }
            for one in found
        ]
    }  # fmt: skip
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
