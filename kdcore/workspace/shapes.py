"""The shapes of a run's documents, and of what is measured of a model later. A file's content is used only once it has the shape that its reader relies on.

Fields that are not named here are left as they are: a later version may tell more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from kdcore.files import Damaged, read_json

Key = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Moment = Annotated[float, Field(ge=0, lt=9e9)]  # Unix seconds, up to the last year that pandas knows
Seconds = Annotated[float, Field(ge=0, lt=9e9)]
Share = Annotated[float, Field(ge=0, lt=1.01)]  # sums of shares are rounded
Request = Literal["run", "stop", "cancel", "delete"]


class Kind(NamedTuple):
    """A kind of run that has no Recipe: what it is in words, and the class that measures, loaded in the worker.

    `makes`: whether its models are its own, not those of other runs.
    """

    description: str
    task: str
    makes: bool = False


KINDS = {  # by the field of the run's recipe.json that says the kind
    "bench": Kind("a timing session", "kdcore.jobs.tasks:Bench"),
    "sensitivity": Kind("a measurement of layers", "kdcore.jobs.tasks:Sensitivity"),
    "robustness": Kind("a measurement of robustness", "kdcore.jobs.tasks:Robustness"),
    "layer_times": Kind("a profile of layers", "kdcore.jobs.tasks:LayerTimes"),
    "python": Kind("made by a person's own code in Python", "kdcore.jobs.tasks:Python", makes=True),
    "search": Kind("a search", "kdcore.search.task:Searching"),
}


class Meta(TypedDict):
    """What the jobs API writes about a run in meta.json. Of a class: `owner`, the id of a person, and `round`, in which
    round of turns the run comes; without one in the first."""

    name: str
    requested: Request
    turn: Count
    created: Moment
    order: NotRequired[Moment]
    notes: NotRequired[str]
    tags: NotRequired[list[str]]
    preset: NotRequired[str | None]
    code: NotRequired[int]
    owner: NotRequired[str]
    round: NotRequired[Count]


def place(meta: Meta) -> tuple[int, float]:
    """What runs are sorted by in the queue: the round of turns, then when they were submitted."""
    return meta.get("round", 0), meta.get("order", 0.0)


def placed(meta: dict[str, Any], place: tuple[int, float]) -> dict[str, Any]:
    """The meta.json of a run that is moved to this place."""
    moved = meta | {"order": place[1]}
    return moved | {"round": place[0]} if place[0] or "round" in meta else moved


class Silence(TypedDict):
    """Since when the worker does not respond, and its last heartbeat (ns)."""

    since: Moment
    heartbeat: int | None


class Status(TypedDict):
    """What the dispatcher writes about the present attempt in status.json.

    The worker is a `process` of `host`, or a `job` of a `launcher`, which was launched from there, on the cluster at
    `address`. `condition`: what that says of it. `epochs`: how many the run had finished when it was launched.
    """

    turn: Count
    attempt: Count
    process: NotRequired[Annotated[int, Field(ge=1, lt=2**31)]]
    host: str
    started: Moment
    launcher: NotRequired[str]
    job: NotRequired[Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")]]
    address: NotRequired[str]
    condition: NotRequired[str]
    epochs: NotRequired[Count]
    silent: NotRequired[Silence | None]


class Summary(TypedDict, total=False):
    """The last variant of a run against its teacher."""

    variant: str | None
    measure: str | None
    accuracy: float | None
    score: float | None
    bits: float | None
    smaller: float | None
    faster: float | None
    differs: bool | None
    busy: bool


class Built(TypedDict):
    """A stage that a run has finished, or found."""

    stage: str
    key: Key
    reused: bool
    seconds: Seconds


class Remedy(TypedDict):
    """The one change to a Recipe with which it would go on."""

    path: str
    value: Any


class Result(TypedDict):
    """What the worker writes at the end in result.json."""

    state: Literal["done", "failed", "cancelled"]
    turn: Count
    error: NotRequired[str | None]
    remedy: NotRequired[Remedy | None]
    started: NotRequired[Moment | None]
    finished: NotRequired[Moment | None]
    stages: NotRequired[list[Built]]
    session: NotRequired[str | None]
    environment: NotRequired[dict[str, Any]]
    summary: NotRequired[Summary]


class Margin(TypedDict, total=False):
    margin: float


class Asked(TypedDict, total=False):
    """What recipe.json must be for a report; `kdcore.recipe.parse` says whether it can run."""

    name: str
    measure: Margin
    sweep: dict[str, list[Any]]
    bench: list[str]
    robustness: list[str]
    sensitivity: dict[str, str]
    layer_times: list[dict[str, str]]
    python: list[str]
    search: dict[str, Any]


class Kernel(TypedDict):
    """A part of a file that ran: the layer with weights that it computes, if any, and its median time a batch."""

    layer: str | None
    operator: str
    ms: Annotated[float, Field(ge=0, lt=9e9)]


class LayerTimes(TypedDict):
    """What ONNX Runtime's profiler found, in the order in which the kernels run, on one thread."""

    batch: Count
    kernels: list[Kernel]


class Weighed(TypedDict):
    """A model of a search. `label`: in a few words. `accuracy`: on validation images; `test_accuracy` only at the end."""

    label: str
    role: NotRequired[str]
    settings: dict[str, Any]
    key: NotRequired[Key]
    keys: NotRequired[list[Key]]
    recipe: NotRequired[dict[str, Any]]
    size_bytes: NotRequired[Count | None]
    coded_bytes: NotRequired[Count | None]
    macs: NotRequired[Count | None]
    params: NotRequired[Count | None]
    accuracy: NotRequired[Share]
    lost: NotRequired[float]
    latency_ms: NotRequired[Seconds]
    batch_ms: NotRequired[Seconds]
    memory_mb: NotRequired[Seconds | None]
    test_accuracy: NotRequired[Share | None]
    layers: NotRequired[list[dict[str, Any]]]


class Trial(Weighed):
    """A candidate of a search. Beyond: its size or the like, known before training, is beyond a limit; `why` says how.

    Stopped: by successive halving, after the training that `accuracy` is of.
    """

    number: Count
    state: Literal["trained", "stopped", "beyond", "failed"]
    why: NotRequired[str]
    seconds: NotRequired[Seconds]


class Conclusion(TypedDict):
    """The end of a search. `looks`: how often it has looked at the test images. `words`: the outcome in a sentence."""

    words: str
    winner: Weighed | None
    nearest: Weighed | None
    control: Weighed | None
    looks: Annotated[int, Field(ge=1, lt=2**31)]
    reference: NotRequired[dict[str, Any]]
    control_trials: NotRequired[Count]
    verdict: NotRequired[dict[str, Any] | None]


class SearchFound(TypedDict):
    """What a search has found so far, in search.json. `target`: trials to train; `spent`: seconds of them; `building`: models
    that are being made; `measured`: the model whose layer sensitivity it began from, and what that was made of."""

    reference: dict[str, Any]
    target: Count
    spent: Seconds
    trials: list[Trial]
    best: Count | None
    words: str
    importances: dict[str, float]
    final: NotRequired[Conclusion | None]
    building: NotRequired[list[Key]]
    measured: NotRequired[list[Key]]


class Slot(TypedDict):
    """A run that has this slot. `helps`: a further worker there builds stages for the one that holds the run."""

    slot: Count
    run: str
    helps: bool


class Serving(TypedDict):
    """What the dispatcher writes about itself."""

    process: Annotated[int, Field(ge=1, lt=2**31)]
    started: Moment
    slots: NotRequired[list[Slot]]


LAYER_TIMES = "layer-times.json"  # beside the model
SEARCH = "search.json"  # in the folder of a search's run
BUILDING = "building"  # beside it, a file of the models of each further worker
TRIED = ("trained", "stopped")  # the states of a search's trials that count

validator = cache(TypeAdapter)  # made when it is first needed: that takes milliseconds


def meta(folder: Path) -> Meta:
    """The meta.json of the run in `folder`. Raises Damaged, as do the others here."""
    return _read(folder / "meta.json", Meta)


def status(folder: Path) -> Status | None:
    """None before the run's first attempt."""
    return _read(folder / "status.json", Status, None)


def result(folder: Path) -> Result | None:
    """None until the run has ended once."""
    return _read(folder / "result.json", Result, None)


def asked(folder: Path) -> Asked:
    document: Asked = _read(folder / "recipe.json", Asked)
    if not document.keys() & KINDS.keys() and "margin" not in document.get("measure", {}):
        raise Damaged(folder / "recipe.json", "is invalid: it contains no experiment")
    return document


def search(folder: Path) -> SearchFound | None:
    """What the search in `folder` has found; None before its first trial."""
    return _read(folder / SEARCH, SearchFound, None)


def kind(document: Mapping[str, Any]) -> str | None:
    """Which of KINDS a run's recipe.json asks for; None where it is a Recipe."""
    return next((name for name in KINDS if name in document), None)


def serving(root: Path) -> Serving | None:
    """None where no dispatcher has served the workspace in `root` yet."""
    return _read(root / "dispatcher.json", Serving, None)


def layer_times(model: Path) -> LayerTimes | None:
    """The profile of the model in this folder; None where there is none."""
    return _read(model / LAYER_TIMES, LayerTimes, None)


def misshapen(path: Path, error: ValidationError) -> Damaged:
    """What pydantic found wrong, as Damaged: the first field, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the document"
    return Damaged(path, f"is invalid: {where}: {first['msg']}")


def _read(path: Path, shape: Any, default: Any = ...) -> Any:
    """A document that has this shape. Raises Damaged also where the file is missing and there is no default."""
    try:
        document = read_json(path)
    except FileNotFoundError:
        if default is ...:
            raise Damaged(path, "is missing") from None
        return default
    try:
        validator(shape).validate_python(document, strict=True)
    except ValidationError as error:
        raise misshapen(path, error) from None
    return document
