"""What a person asks of a search: limits, what to lose at most, what to make best, and how long it may take.

    >>> asked = parse({"recipe": {"name": "Mine"}, "at_most": {"size_bytes": 10_000}})
    >>> asked.best
    ('accuracy',)

No torch, no Optuna: pages and the command line check a search with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from kdcore.distill.traits import MethodTraits
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Part, Recipe
from kdcore.recipe import parse as parse_recipe

Goal = Literal["accuracy", "size", "latency"]
GOALS: dict[Goal, str] = {"accuracy": "Accuracy", "size": "Size", "latency": "Latency"}
HALVED, RUNGS = 3, 3  # of successive halving: one in three goes on; to a ninth, a third and all of the steps
TIMED = ("latency_ms", "batch_ms")  # the limits that need a stopwatch


class AtMost(Part):
    """The limits of a model. Empty: none."""

    size_bytes: int | None = Field(None, ge=1, lt=2**40, description="Bytes of the deployed file.")
    coded_bytes: int | None = Field(
        None, ge=1, lt=2**40, description="Bytes of the entropy-coded file, to store or send."
    )
    latency_ms: float | None = Field(
        None, gt=0, le=1e6, description="Latency of one example on one thread of this machine, in milliseconds."
    )
    batch_ms: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Time per example at batch 64 on one thread of this machine, in milliseconds: 0.5 ms are 2,000 "
        "examples per second.",
    )
    macs: int | None = Field(None, ge=1, lt=2**50, description="Multiply-accumulates (MACs) of one example.")
    params: int | None = Field(None, ge=1, lt=2**40, description="Parameters of the network.")
    memory_mb: float | None = Field(
        None, gt=0, le=1e7, description="Peak memory of a process that loads the model and runs one example, in MB."
    )

    @property
    def given(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return self.model_dump(exclude_none=True)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Search(Part):
    """A search. `recipe`: the experiment that is varied; its steps begin with the options that they have there."""

    recipe: Recipe
    at_most: AtMost = AtMost()
    lose_at_most: float | None = Field(
        1.0,
        ge=0,
        le=100,
        description="Largest loss of accuracy against the reference (the teacher or the original model), in points, on "
        "validation examples. Empty: any.",
    )
    best: Annotated[tuple[Goal, ...], BeforeValidator(_several)] = Field(
        ("accuracy",),
        min_length=1,
        max_length=2,
        description="What to make best within the limits. Two: their trade-off; the first chooses the winner.",
    )
    minutes: float | None = Field(
        10.0, gt=0, le=100_000, description="Time to search, in minutes. The last trial and the final measurement may "
        "take a little longer. Empty: no limit.",
    )  # fmt: skip
    trials: int = Field(30, ge=1, le=1000, description="Candidates to train (max).")
    effort: float = Field(
        1.0,
        ge=0.02,
        le=1,
        description="Share of the recipe's training steps for each candidate. Below 1, the best three are trained in "
        "full at the end; one of them wins.",
    )
    halving: bool = Field(
        False,
        description="Successive halving: each candidate begins with a ninth of its training steps. After a ninth and "
        "after a third, only the best third so far goes on, from the start with more steps.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the search. Networks are trained with the recipe's.")
    timing_seconds: float = Field(
        8.0, ge=0, le=600, description="Time budget of the final timing, in seconds. 0: no timing."
    )
    sampler: Literal["tpe", "random"] = Field(
        "tpe", description="How candidates are proposed: TPE (NSGA-II for two goals), or at random, to compare with."
    )

    @field_validator("recipe", mode="before")
    @classmethod
    def _a_recipe(cls, value: Any) -> Any:
        return value if isinstance(value, Recipe) else parse_recipe(value)

    @model_validator(mode="after")
    def _goals_differ(self) -> Search:
        if len(set(self.best)) < len(self.best):
            raise ValueError("best must not name the same goal twice")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """All limits by name, the points of accuracy that may be lost (`lost`) among them."""
        lost = {} if self.lose_at_most is None else {"lost": self.lose_at_most}
        return self.at_most.given | lost

    @property
    def limits_of_trials(self) -> dict[str, float]:
        """The limits that a candidate can be held to: after a part of the training its accuracy says nothing yet."""
        return self.limits if self.effort == 1 else self.at_most.given

    @property
    def rungs(self) -> tuple[float, ...]:
        """The shares of the training steps that a candidate is trained with, one after the other while it is good."""
        shares = [1 / HALVED**place for place in reversed(range(RUNGS))] if self.halving else [1.0]
        return tuple(share * self.effort for share in shares)

    @property
    def timed(self) -> bool:
        """Whether every candidate must be timed."""
        return "latency" in self.best or any(name in self.at_most.given for name in TIMED)

    @property
    def coded(self) -> bool:
        """Whether the entropy-coded file is what counts."""
        return self.at_most.coded_bytes is not None

    def document(self) -> dict[str, Any]:
        """What the run's recipe.json holds."""
        return {"name": self.recipe.name, "search": self.model_dump(mode="json", by_alias=True)}


def parse(document: Mapping[str, Any]) -> Search:
    """Raises RecipeError, which names every field that is wrong; those of the recipe begin with `recipe.`."""
    given = dict(document)
    problems: list[Problem] = []
    try:
        given["recipe"] = parse_recipe(given.get("recipe", {}))
    except RecipeError as error:
        problems = [one._replace(field=f"recipe.{one.field}".removesuffix(".recipe")) for one in error.problems]
        given["recipe"] = Recipe()
    try:
        search = Search.model_validate(given)
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors()]
    if problems:
        raise RecipeError(problems)
    if found := list(_contradictions(search)):
        raise RecipeError(found)
    return search


def _problem(detail: Any) -> Problem:
    field = ".".join(map(str, detail["loc"])) or "search"
    if detail["type"] == "extra_forbidden":
        return Problem(field, "there is no such field")
    given = detail.get("input")
    said = f"{given!r} is not accepted: " if isinstance(given, str | int | float | bool) else ""
    return Problem(field, said + detail["msg"].removeprefix("Value error, "))


def _contradictions(search: Search) -> list[Problem]:
    """What cannot be together, whatever candidates there are."""
    found = []
    recipe = search.recipe
    if search.timed and not search.timing_seconds:
        message = "0 means no timing, but a limit or a goal needs the latency: give it some seconds"
        found.append(Problem("timing_seconds", message))
    if not search.at_most.given and search.best == ("accuracy",):
        message = "without a limit the most accurate model is the largest: give a limit, or make size or latency best"
        found.append(Problem("at_most", message))
    if search.halving and search.best != ("accuracy",):
        message = "candidates are stopped early by their accuracy: make accuracy alone best, or leave halving out"
        found.append(Problem("halving", message))
    if search.lose_at_most is None and "accuracy" not in search.best:
        message = "the smallest or fastest model that may lose any accuracy is of no use: say how much it may lose"
        found.append(Problem("lose_at_most", message))
    if recipe.sweep:
        found.append(Problem("recipe.sweep", "a search varies values itself: take the sweep out"))
    for field, train in (("train", recipe.train), ("teacher.train", recipe.teacher.train)):
        if train.devices > 1:
            message = "a search trains many candidates, each on one device: set it to 1"
            found.append(Problem(f"recipe.{field}.devices", message))
    if recipe.start == "train" and MethodTraits.of(recipe.distill).borrows:
        message = "the student is deployed with its teacher's classifier, whose size a search cannot vary: choose kd"
        found.append(Problem("recipe.distill.method", message))
    return found
