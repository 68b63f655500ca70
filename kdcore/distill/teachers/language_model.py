"""A published language model out of a Hugging Face folder, as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcore import hub, models, registry
from kdcore.data.types import Dataset
from kdcore.distill.source import ExternalTeacher, Find, LoadedTeacher, Source
from kdcore.distill.traits import TeacherTraits
from kdcore.models.traits import ArchitectureTraits
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register

FIELD = "teacher.model"


class LanguageModel(Options):
    """A published language model has its folder among the options of its network: teacher.model."""


@register(
    "teacher",
    "language_model",
    "A published language model (GPT-2) from its folder, as it is",
    options=LanguageModel,
    traits=TeacherTraits(stage="published language model", architecture=True, uploaded=True, reads=("passages",)),
)
class LanguageModelTeacher(Source[LanguageModel]):
    """The network of the folder, for the tokens that the text keeps."""

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher | None:
        if dataset.kind.read_as not in TeacherTraits.of(self.options).reads:
            return None  # which is refused at its field
        if (name := registry.entry_of("architecture", architecture).name) != "gpt2":
            raise _refusal("architecture", f"{name} is no published language model: choose gpt2")
        if not (weights := getattr(architecture, "weights", "")):
            raise _refusal("weights", "give the folder of the language model")
        traits = ArchitectureTraits.of(architecture)
        for option, reason in traits.unfit(architecture, dataset.shape).items():
            raise _refusal(option, reason)
        try:
            folder = hub.fetched(weights)
            content, planned = hub.digest(folder), traits.pinned(architecture)
        except hub.BadFolder as error:
            raise _refusal("weights", str(error)) from None
        model = planned.model_dump(mode="json")
        return ExternalTeacher(
            content, folder / hub.WEIGHTS, "features", spec={"model": model}, architecture=model,
            note=f"{Path(weights).name} as published, not trained here.",
        )  # fmt: skip

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        options = registry.validate("architecture", architecture)
        return LoadedTeacher(network=models.create(options, len(dataset.classes), dataset.shape, [], []))


def _refusal(option: str, message: str) -> RecipeError:
    return RecipeError([Problem(f"{FIELD}.{option}", message)])
