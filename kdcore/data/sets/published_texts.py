"""Published sets of texts: a row each, and the function that reads what its authors put where."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, create_model, field_validator

from kdcore import hub
from kdcore.data.published import publish
from kdcore.data.texts import table
from kdcore.data.texts.build import Labelled, divided, raw, tokenizer_option, tokenizer_stamp
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options

GITHUB = "https://raw.githubusercontent.com/"
SENTIMENTS = {"0": "negative", "1": "positive"}
TOPICS = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}


class Read(NamedTuple):
    """Training and test texts, and what a person should know of how they were read."""

    train: Labelled
    test: Labelled
    notes: tuple[str, ...] = ()


class Published(NamedTuple):
    """A set of texts. `longest`: tokens after which a text is cut, unless chosen otherwise.

    `read`: from the paths of `files` to the texts of each split.
    """

    name: str
    description: str
    source: str
    title: str
    longest: int
    files: tuple[Remote, ...]
    read: Callable[..., Read]


class PublishedTexts(Options):
    """How the texts are split into tokens."""

    tokenizer: str = tokenizer_option(next(iter(hub.PACKAGES)))

    @field_validator("tokenizer")
    @classmethod
    def _place(cls, tokenizer: str) -> str:
        return hub.name_or_path(tokenizer)


class Tables(Fetch):
    """The authors' tables; they are tokenised again where a folder's tokenizer changes."""

    def stamp(self, options: Options) -> str:
        assert isinstance(options, PublishedTexts)
        return tokenizer_stamp(options.tokenizer)


def _sentiments(train: Path, test: Path) -> Read:
    """The training and test sentences that are not neutral; the authors' development sentences are left out."""
    return Read(_lines(train, SENTIMENTS), _lines(test, SENTIMENTS))


def _lines(path: Path, names: dict[str, str]) -> Labelled:
    pairs = [line.rsplit("\t", 1) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return Labelled([text for text, _ in pairs], [names[label] for _, label in pairs])


def _news(train: Path, test: Path) -> Read:
    """Title and description of each article, joined; a backslash, which stands for a new line, becomes a space."""
    return Read(_articles(train), _articles(test))


def _articles(path: Path) -> Labelled:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(f"{title} {text}", TOPICS[topic]) for topic, title, text in csv.reader(file)]
    return Labelled([" ".join(text.replace("\\n", " ").replace("\\", " ").split()) for text, _ in rows],
                    [topic for _, topic in rows])  # fmt: skip


def _intents(train: Path, test: Path) -> Read:
    """The authors' questions of each split, with their intents."""
    return Read(_questions(train), _questions(test))


def _questions(path: Path) -> Labelled:
    return table.read(path, "text", "category")[0]


def _messages(path: Path) -> Read:
    """Each different message once: its author split nothing, and a copy in both splits would be known beforehand."""
    pairs = [tuple(line.split("\t", 1)) for line in path.read_text("utf-8").splitlines() if line.strip()]
    kinds = {text: kind for kind, text in reversed(pairs)}
    copies = len(pairs) - len(kinds)
    notes = (f"{copies:,} copies of messages were left out",) if copies else ()
    return Read(*divided(Labelled(list(kinds), list(kinds.values())), 0.2), notes)


def _at(place: str, path: str, size: int, md5: str) -> Remote:
    return Remote(path.rpartition("/")[2], (f"{GITHUB}{place}/{path}",), size, md5)


FILMS = "clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2"
NEWS = "mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"
BANKING = "PolyAI-LDN/task-specific-datasets/57ec275d8078af65b7731c2a98be812d844a6d6b/banking_data"
MESSAGES = "justmarkham/pycon-2016-tutorial/5339710562cc46c4a32a369d63f1e8751a18a54e/data"
TABLE = (
    Published(
        "sst2",
        "Sentences of film reviews, positive or negative, 6,920 for training and 1,821 for testing",
        "R. Socher et al. 2013, Recursive deep models for semantic compositionality; github.com/clairett/"
        "pytorch-sentiment-classification",
        "SST-2",
        64,
        (
            _at(FILMS, "train.tsv", 720_259, "c6150a821d5effe356ec872c2b95855c"),
            _at(FILMS, "test.tsv", 188_749, "f8f49ee1b37ec68b0e8977fbe33761e2"),
        ),
        _sentiments,
    ),
    Published(
        "ag_news",
        "Title and first lines of news articles, four topics, 120,000 for training and 7,600 for testing",
        "X. Zhang, J. Zhao, Y. LeCun 2015, Character-level convolutional networks for text classification",
        "AG News",
        128,
        (
            _at(NEWS, "train.csv", 29_470_338, "b1a00f826fdfbd249f79597b59e1dc12"),
            _at(NEWS, "test.csv", 1_857_427, "d52ea96a97a2d943681189a97654912d"),
        ),
        _news,
    ),
    Published(
        "banking77",
        "Questions of a bank's customers, 77 intents, 10,003 for training and 3,080 for testing",
        "I. Casanueva et al. 2020, Efficient intent detection with dual sentence encoders; CC BY 4.0",
        "Banking77",
        64,
        (
            _at(BANKING, "train.csv", 839_073, "cec64185f4197906aabce0781ef9a19b"),
            _at(BANKING, "test.csv", 239_961, "8dcd9dc31b686c75ec1f24bf23c140cb"),
        ),
        _intents,
    ),
    Published(
        "sms_spam",
        "Text messages, spam or not (ham), 5,574 of which the copies are left out; a fixed fifth is for testing",
        "T. Almeida, J. Gomez Hidalgo, A. Yamakami 2011, Contributions to the study of SMS spam filtering; CC BY 4.0",
        "SMS Spam",
        128,
        (_at(MESSAGES, "sms.tsv", 477_907, "1949b64a224790d01335c2bf8a0e48b2"),),
        _messages,
    ),
)


def _options(known: Published) -> type[Options]:
    longest: Any = Field(known.longest, ge=2, le=512, description="Tokens after which a text is cut.")
    return create_model(
        known.name.title().replace("_", ""), __base__=PublishedTexts, __doc__=PublishedTexts.__doc__,
        longest=(int, longest),
    )  # fmt: skip


def _add(known: Published) -> None:
    def read(options: Any, work: Work) -> RawImages:
        train, test, notes = known.read(*(work.raw / file.name for file in known.files))
        return raw(train, test, options.longest, options.tokenizer, notes=notes)

    publish(known, _options(known), Tables(known.title, *known.files), read)


for known in TABLE:
    _add(known)
