"""A teacher out of an ONNX classifier of texts, with the tokenizer that it was trained with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from kdcore import hub
from kdcore.data.types import Dataset
from kdcore.distill import foreign
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source, file_at, refuse
from kdcore.distill.traits import TeacherTraits
from kdcore.export import external_onnx
from kdcore.inputs.wordpiece import WordPieces
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register

VERSION = 1  # of the judgement: raise it when the same file is judged otherwise
WHAT = "an ONNX text classifier (.onnx)"
TOKENIZER = "data.source.tokenizer"
DOUBT = (
    "Does it count the classes in another order, or was it trained for other labels? Give class_order, or set anyway "
    "to use it as it is",
    "class_order",
)


class OnnxText(Options):
    """Options of an ONNX classifier of texts."""

    path: str = Field(
        "",
        max_length=1000,
        description=f"Path of {WHAT} on this machine. Inputs int64 (batch, length): input_ids, and attention_mask and "
        "token_type_ids where it has them; output (batch, K). Both axes dynamic.",
    )
    tokenizer: str = Field(
        "",
        max_length=1000,
        description="The tokenizer that it was trained with: a Hugging Face folder, or a name on its hub. Empty: "
        "tokenizer.json beside the file.",
    )
    outputs: Literal["logits", "probabilities", "sigmoid"] = Field(
        "logits",
        description="Its output: logits, probabilities that sum to 1 (softmax), or one probability per class "
        "(sigmoid). Probabilities are converted back to logits.",
    )
    class_order: tuple[str, ...] = Field(
        (),
        max_length=100_000,
        description="This data set's class names in the order of the network's outputs. Empty: as the file, or "
        "config.json beside its tokenizer, says; else the data set's order.",
    )
    anyway: bool = Field(
        False, title="Use anyway",
        description="Use it even if it is no better than chance on this data set's texts.",
    )  # fmt: skip

    @field_validator("tokenizer")
    @classmethod
    def _place(cls, tokenizer: str) -> str:
        return hub.name_or_path(tokenizer)


@register(
    "teacher",
    "onnx_text",
    "An ONNX text classifier with its tokenizer, of which only the outputs are used",
    options=OnnxText,
    traits=TeacherTraits(stage="ONNX text classifier", uploaded=True, reads=("text",)),
)
class OnnxTextTeacher(Source[OnnxText]):
    """The file, checked as hostile input, with its conversions built in: measured and timed as our own files are."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher | None:
        options = self.options
        if dataset.kind.read_as not in TeacherTraits.of(options).reads:
            return None  # which is refused at its field
        place, content = file_at(options.path, WHAT, external_onnx.MOST_BYTES)
        folder = self._tokenizer(place, dataset)
        judged = self._judged(place, content, dataset, _labels(folder))
        if judged.look:
            foreign.question(judged.look, options, dataset, place.name, DOUBT)
        note = f"An ONNX file ({place.name}), not trained here."
        if judged.order and not options.class_order:
            note += " Its own class names define their order."
        return ExternalTeacher(
            content, place, "answers", closed=judged.closed,
            spec={"outputs": options.outputs} | foreign.reordered(dataset, judged.order),
            params=judged.params, macs=judged.macs, note=note,
        )  # fmt: skip

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        return foreign.adopted(content, self._wanted(dataset), scratch)

    def _tokenizer(self, place: Path, dataset: Dataset) -> Path:
        """The folder of its tokenizer, which must be the data set's. Raises RecipeError."""
        texts: Any = dataset.train_images
        asked, ours = self.options.tokenizer, texts.tokenizer
        if not asked and not (place.parent / hub.TOKENIZER).is_file():
            refuse("tokenizer", f"give the tokenizer that {place.name} was trained with: a folder with {hub.TOKENIZER}")
        try:
            folder = hub.fetched(asked) if asked else place.parent
            theirs = WordPieces.of_folder(folder, ours.longest)
        except hub.BadFolder as error:
            refuse("tokenizer", str(error))
        if theirs.digest != ours.digest:
            name = asked or str(folder)
            message = f"{place.name} reads the tokens of {name}, and the texts are split otherwise: set it to {name}"
            raise RecipeError([Problem(TOKENIZER, message, changes=((TOKENIZER, name),))])
        return folder

    def _judged(self, place: Path, content: str, dataset: Dataset, labels: str) -> external_onnx.Judged:
        """What the subprocess says of this file. Raises RecipeError."""
        wanted = self._wanted(dataset)
        if not self.options.class_order:
            wanted = wanted._replace(names=dataset.classes, labels=labels)

        return foreign.judged_file(place, ["onnx text", VERSION, content], wanted, dataset)

    def _wanted(self, dataset: Dataset) -> external_onnx.WantedTexts:
        _, length, longest, vocabulary, _ = dataset.shape
        return external_onnx.WantedTexts(
            vocabulary, longest, length, len(dataset.classes), self.options.outputs,
            order=foreign.order(self.options.class_order, dataset),
        )  # fmt: skip


def _labels(folder: Path) -> str:
    """What config.json beside the tokenizer calls the classes, as JSON; empty where it does not say."""
    try:
        return json.dumps(hub.document(folder, hub.CONFIG).get("id2label", ""))
    except hub.BadFolder:
        return ""
