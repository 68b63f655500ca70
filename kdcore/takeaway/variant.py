"""A variant as a .zip: the ONNX file, the names of its classes, a model card, the recipe, and a script that runs it."""

from __future__ import annotations

import io
import json
import zipfile
from string import Template
from typing import Any

from kdcore import inputs
from kdcore.inputs.pictures import KIND as PICTURES
from kdcore.problems import Problem, RecipeError
from kdcore.report import comparison, format
from kdcore.report.documents import in_markdown
from kdcore.report.names import printable
from kdcore.report.reading import RunFiles
from kdcore.report.verdicts import own, shares
from kdcore.workspace import shapes
from kdcore.workspace.library import Library
from kdcore.workspace.workspace import Workspace

MODEL, LABELS, CARD, RECIPE, SCRIPT = "model.onnx", "labels.txt", "README.md", "recipe.json", "run.py"
MODES = {1: "L", 3: "RGB"}  # Pillow's, by channels
UNCHANGING = (1980, 1, 1, 0, 0, 0)  # the time of every file, so that the same variant gives the same bytes

_SCRIPT = Template('''"""Classifies a picture: python run.py PICTURE (needs numpy, pillow and onnxruntime)."""
import sys
from pathlib import Path
import numpy as np
import onnxruntime
from PIL import Image, ImageOps
HERE, SIZE, MODE, SEVERAL = Path(__file__).parent, ($width, $height), "$mode", $several
labels = (HERE / "labels.txt").read_text("utf-8").splitlines()
picture = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert(MODE)
pixels = np.asarray(ImageOps.fit(picture, SIZE, Image.Resampling.BILINEAR), np.float32) / 255
pixels = pixels.reshape(1, SIZE[1], SIZE[0], -1).transpose(0, 3, 1, 2)  # batch, channels, height, width
logits = onnxruntime.InferenceSession(HERE / "model.onnx").run(None, {"images": pixels})[0][0].astype(float)
shares = 1 / (1 + np.exp(-logits)) if SEVERAL else np.exp(logits - np.logaddexp.reduce(logits))
for place in np.flatnonzero(shares > 0.5) if SEVERAL else [shares.argmax()]:
    print(f"{labels[place]}: {shares[place]:.2%}")
''')

_CARD = Template("""# $variant of $run

An image classifier for the data set $data, made with kdcore. It takes $width x $height pixels and knows
$count classes.

## Run it

```
pip install numpy pillow onnxruntime
python run.py picture.png
```

## Measured

On $test held-out test images, which were not used for training or for any choice.

$measured

## Input and output

- `images`: float32 (batch, $channels, $height, $width), values from 0 to 1. The normalisation is in the file.
- `logits`: float32 (batch, $count), in the order of `labels.txt`. $activation turns them into probabilities.

## How it was made

$made

`recipe.json` is the whole experiment: `kdcore run recipe.json` makes it again.

## What to know

$notes
""")


def variant_zip(workspace: Workspace, run_id: str, variant: str) -> bytes:
    """The first seed's model of a run's variant, as the content of a .zip.

    Raises UnknownRun, Damaged, and RecipeError where there is no such variant, or it has no file, or a damaged one.
    """
    files = RunFiles(workspace, run_id)
    model = Library(workspace).find(run_id, variant)
    path = model.folder / MODEL
    kind = inputs.of(files.plan.dataset["shape"])
    if kind is not PICTURES:
        _refuse(f"its script reads pictures, and this model takes {kind.many}: download the ONNX file alone")
    if not path.is_file():
        _refuse(f"{variant} is a file of soft labels: there is no model to export")
    if reason := workspace.damage(model.key, [MODEL]):
        _refuse(f"{variant} is damaged ({reason}): resume {run_id} to make it again")
    content = {
        MODEL: path.read_bytes(),
        LABELS: "".join(f"{printable(name)}\n" for name in files.plan.dataset["classes"]).encode(),
        RECIPE: (json.dumps(files.recipe, indent=1, ensure_ascii=False) + "\n").encode(),
        CARD: _card(files, variant).encode(),
        SCRIPT: _script(files.plan.dataset).encode(),
    }
    return _zip(content)


def _refuse(message: str) -> None:
    raise RecipeError([Problem("variant", message)])


def _zip(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, UNCHANGING), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _script(dataset: Any) -> str:
    channels, height, width = dataset["shape"]
    if channels not in MODES:
        raise RecipeError([Problem("variant", f"pictures have 1 or 3 channels; this model takes {channels}")])
    several = bool(dataset.get("multilabel"))
    return _SCRIPT.substitute(width=width, height=height, mode=MODES[channels], several=several)


def _card(files: RunFiles, variant: str) -> str:
    data, workspace = files.plan.dataset, files.workspace
    rows = {row["variant"]: row for row in comparison.rows(workspace, [files.id])}
    row = rows[variant]
    channels, height, width = data["shape"]
    several = bool(data.get("multilabel"))
    return _CARD.substitute(
        variant=in_markdown(variant), run=in_markdown(shapes.meta(workspace.run(files.id))["name"]),
        data=in_markdown(data["name"]), width=width, height=height, channels=channels,
        count=len(data["classes"]), 
        test=f"{data['test']:,}", measured=_list(_measured(files, row)), made=_list(_made(files, rows, variant)),
        activation="A sigmoid of each" if several else "A softmax", notes=_list(_notes(files, row)),
    )  # fmt: skip


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _measured(files: RunFiles, row: comparison.Row) -> list[str]:
    """What the table says of the variant, a line each; what was not measured is left out."""
    measure = "Test accuracy" if row["measure"] == "accuracy" else "Mean average precision (mAP)"
    over = f", mean of {row['seeds']} seeds; this file is the first seed's" if row["seeds"] > 1 else ""
    lines = {
        measure: row["score"] is not None
        and f"{format.percent_interval(row['score'], row['score_low'], row['score_high'])}{over}",
        "Agreement with its teacher": row["agreement"] is not None and format.percent(row["agreement"]),
        "File": row["size_bytes"] and format.size(row["size_bytes"]),
        "Parameters": row["params"] and format.count(row["params"]),
        "MACs for one image": row["macs"] and format.count(row["macs"]),
    }
    found = [f"{name}: {value}" for name, value in lines.items() if value]
    verdict = own(comparison.verdicts(files.workspace, files.id)).get(row["variant"])
    return [*found, f"{in_markdown(verdict.words)}."] if verdict else found


def _made(files: RunFiles, rows: dict[str, comparison.Row], variant: str) -> list[str]:
    """The variant after those that it came from, and where."""
    chain = [variant]
    while (parent := rows[chain[0]]["parent"]) in rows:
        chain.insert(0, parent)
    steps = ", then ".join(in_markdown(name) for name in chain)
    environment = files.result.get("environment", {})
    found = [f"Steps: {steps}", shares(files.plan.dataset)]
    if summary := environment.get("summary"):
        found.append(f"Machine: {in_markdown(str(summary))}")
    versions = environment.get("versions", {})
    named = [f"{name} {versions[name]}" for name in ("torch", "onnx", "onnxruntime") if name in versions]
    return [*found, f"Versions: {in_markdown(', '.join(named))}"] if named else found


def _notes(files: RunFiles, row: comparison.Row) -> list[str]:
    hidden = files.plan.dataset["hidden"]
    sentences = [
        "The figures hold for the data set's own test images. Other pictures may look different, and be harder.",
        "Always test a model on your own pictures before you rely on it.",
    ]
    if hidden:
        sentences.append(f"The student never saw these classes in training: {in_markdown(', '.join(hidden))}.")
    return [*sentences, in_markdown(row["note"])] if row["note"] else sentences
