"""SST-2: sentences of film reviews, positive or negative."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from kdcore import hub
from kdcore.data.texts.build import Labelled, raw, tokenizer_option, tokenizer_stamp
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options, register

PLACE = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/"
    "457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/"
)
TRAIN = Remote("train.tsv", (f"{PLACE}train.tsv",), 720_259, "c6150a821d5effe356ec872c2b95855c")
TEST = Remote("test.tsv", (f"{PLACE}test.tsv",), 188_749, "f8f49ee1b37ec68b0e8977fbe33761e2")
CLASSES = {"0": "negative", "1": "positive"}


class Sst2(Options):
    """How the sentences are split."""

    longest: int = Field(64, ge=2, le=512, description="Tokens after which a sentence is cut.")
    tokenizer: str = tokenizer_option(next(iter(hub.PACKAGES)))

    @field_validator("tokenizer")
    @classmethod
    def _place(cls, tokenizer: str) -> str:
        return hub.name_or_path(tokenizer)


class Sentences(Fetch):
    """The authors' tables; they are tokenised again where a folder's tokenizer changes."""

    def stamp(self, options: Options) -> str:
        assert isinstance(options, Sst2)
        return tokenizer_stamp(options.tokenizer)


@register(
    "dataset",
    "sst2",
    "Sentences of film reviews, positive or negative, 6,920 for training and 1,821 for testing",
    source="Socher et al. 2013, Recursive deep models for semantic compositionality; github.com/clairett/"
    "pytorch-sentiment-classification",
    options=Sst2,
    traits=DatasetTraits(fetch=Sentences("SST-2", TRAIN, TEST)),
)
def sst2(options: Sst2, work: Work) -> RawImages:
    """The authors' training and test sentences that are not neutral; their development sentences are left out."""
    train, test = (_read(work.raw / file.name) for file in (TRAIN, TEST))
    return raw(train, test, options.longest, options.tokenizer)


def _read(path: Path) -> Labelled:
    pairs = [line.rsplit("\t", 1) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return Labelled([text for text, _ in pairs], [CLASSES[label] for _, label in pairs])
