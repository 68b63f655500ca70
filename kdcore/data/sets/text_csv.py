"""A person's own texts: a CSV or TSV with a column of texts and one of labels."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from kdcore import hub
from kdcore.data.texts import table
from kdcore.data.texts.build import Labelled, divided, raw, tokenizer_option, tokenizer_stamp
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Work
from kdcore.paths import absolute
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register

FIELD = "data.source.path"
TABLE = "a .csv or .tsv with texts and labels"


class TextCsv(Options):
    """Where the table is, and which of its columns are read."""

    path: str = Field("", description="A .csv or .tsv in UTF-8 whose first line names the columns.")
    text: str = Field("text", min_length=1, max_length=80, description="Name of the column of texts.")
    label: str = Field("label", min_length=1, max_length=80, description="Name of the column of labels.")
    longest: int = Field(128, ge=2, le=512, description="Tokens after which a text is cut; characters are tokens.")
    tokenizer: str = tokenizer_option()
    test_path: str = Field("", description="A second table with the texts for testing. Empty: a share of the first.")
    test_share: float = Field(0.2, ge=0.05, le=0.5, description="Share used for testing, without a second table.")

    @field_validator("path", "test_path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    @field_validator("tokenizer")
    @classmethod
    def _place(cls, tokenizer: str) -> str:
        return hub.name_or_path(tokenizer)


class OwnTexts(Fetch):
    """A person's own table: nothing is downloaded, but reading it may take time."""

    def title(self, options: Options) -> str:
        return Path(_options(options).path).name

    def stamp(self, options: Options) -> str:
        """Size and time of the tables."""
        chosen = _options(options)
        if not chosen.path:
            raise RecipeError([Problem(FIELD, "choose the .csv or .tsv with your texts")])
        stamps = [_stamp(path, field) for field, path in _tables(chosen).items()]
        return " ".join(filter(None, [*stamps, tokenizer_stamp(chosen.tokenizer)]))


def _options(options: Options) -> TextCsv:
    assert isinstance(options, TextCsv)
    return options


def _tables(options: TextCsv) -> dict[str, Path]:
    """The tables by the options that name them."""
    asked = {"path": options.path, "test_path": options.test_path}
    return {field: Path(path) for field, path in asked.items() if path}


def _stamp(path: Path, field: str) -> str:
    try:
        found = path.stat()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): give {TABLE}"
        raise RecipeError([Problem(f"data.source.{field}", message)]) from None
    return f"{found.st_size}-{found.st_mtime_ns}"


@register(
    "dataset",
    "text_csv",
    "Your own texts: a .csv or .tsv with the columns text and label",
    options=TextCsv,
    traits=DatasetTraits(fetch=OwnTexts("Your texts")),
)
def text_csv(options: TextCsv, work: Work) -> RawImages:
    """The texts in the order of the table. Raises RecipeError."""
    found = {field: _read(path, options, field) for field, path in _tables(options).items()}
    train, left_out = found["path"]
    if "test_path" in found:
        test, more = found["test_path"]
        left_out += more
        _same_classes(train, test, Path(options.test_path))
    else:
        train, test = divided(train, options.test_share)
    notes = (f"{left_out:,} rows without a text or a label were left out",) if left_out else ()
    return raw(train, test, options.longest, options.tokenizer, name=Path(options.path).stem, notes=notes)


def _read(path: Path, options: TextCsv, field: str) -> tuple[Labelled, int]:
    try:
        return table.read(path, options.text, options.label)
    except table.Refused as error:
        raise RecipeError([Problem(f"data.source.{field}", f"{path.name}: {error}")]) from None
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}): give {TABLE}"
        raise RecipeError([Problem(f"data.source.{field}", message)]) from None


def _same_classes(train: Labelled, test: Labelled, path: Path) -> None:
    if unknown := sorted(set(test.labels) - set(train.labels)):
        message = f"{path.name}: the label {unknown[0]!r} is not in the training table"
        raise RecipeError([Problem("data.source.test_path", message)])
