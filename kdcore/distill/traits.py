"""What other parts ask of a method, a scheme or a kind of teacher; some of a method only its options decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from kdcore.inputs import EVERY
from kdcore.registry import Options, Searched, Traits

Labels = Literal["one", "many", "both"]


def _fits(options: Any, student: Options, teacher: Options) -> None:
    return None


@dataclass(frozen=True)
class MethodTraits(Traits):
    """`family`: under which it is offered. `label`: its row's name, which begins with "student". `role`: of its row.

    `short`: its name beside others, as in "KD + DIST"; by default the label without "student, ".
    `teacher`: whether it needs one. `answers`: whether it wants the teacher's answers in every step; by default those
    that need a teacher do. `taps`: whether it wants features. `inside`: whether it looks into the teacher for more than
    answers; by default those with taps do, and those of weights. `maps`: whether it compares feature maps.
    `tokens`: whether its features are those of a text's tokens. `blocks`: whether they are those of single blocks of a
    transformer. `unfit`: by its options and those of student and teacher, why it cannot match the two; None where it
    can. `writes`: whether it lets the student write on, as language models do. `mixup`: whether it takes mixed images.
    `pulls`: whether its loss moves single weights of the student. `standardize`: whether it can standardize logits.
    `labels`: whether it is made for one label an image, for many, or for both.
    `borrows`: for a student that is deployed with its teacher's classifier, how many times narrower inside the
    projector to it is. `parts`: the options of the methods that it combines.
    `hidden`: whether forms and catalogs leave it out; a Recipe may name it all the same.
    `search`: the options that a search varies.
    `formula`: its loss in LaTeX, in the symbols of the page Reference. `helps`: when to choose it, in a few words.
    """

    kind: ClassVar[str] = "method"

    family: str
    label: str
    role: str
    short: str = ""
    teacher: bool = True
    answers: bool | None = None
    taps: bool = False
    inside: bool | None = None
    maps: bool = False
    tokens: bool = False
    blocks: bool = False
    unfit: Callable[[Any, Options, Options], str | None] = _fits
    writes: bool = False
    pulls: bool = False
    mixup: bool = True
    standardize: bool = False
    labels: Labels = "one"
    borrows: int | None = None
    parts: tuple[Options, ...] = ()
    hidden: bool = False
    search: tuple[Searched, ...] = ()
    formula: str = ""
    helps: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """The kinds of input (`kdcore.inputs`) on which it works: features of texts have no fixed length. All of them
        for a combination without options: its parts say."""
        if not isinstance(self.parts, tuple):
            return EVERY
        if self.tokens or self.writes:
            return ("text",) if self.tokens else ("passages",)
        return ("pictures",) if self.taps else EVERY


@dataclass(frozen=True)
class SchemeTraits(Traits):
    """`label`: what it adds to the name of the student's row."""

    kind: ClassVar[str] = "scheme"

    label: str = ""


@dataclass(frozen=True)
class TeacherTraits(Traits):
    """`stage`: what its stage is called. `model`: whether it is a model of the workspace. `uploaded`: whether a person
    brings it as a file. `architecture`: whether the Recipe's `teacher.model` says what network it is. `reads`: the
    kinds of input (`kdcore.inputs`) that it can take."""

    kind: ClassVar[str] = "teacher"

    stage: str
    model: bool = False
    uploaded: bool = False
    architecture: bool = False
    reads: tuple[str, ...] = ("pictures",)


def short(options: Options) -> str:
    """The method's name in a list of several: "KD", "DIST"."""
    traits = MethodTraits.of(options)
    return traits.short or traits.label.removeprefix("student, ")


def parts(options: Options) -> tuple[Options, ...]:
    """The methods that these options stand for: those of a combination, or the one itself."""
    return MethodTraits.of(options).parts or (options,)


def part_traits(options: Options) -> list[MethodTraits]:
    """The traits of each of the `parts`."""
    return [MethodTraits.of(part) for part in parts(options)]


def asks(options: Options) -> bool:
    """Whether the method wants the teacher's answers in every step, and does not only begin from its weights."""
    return any(part.teacher if part.answers is None else part.answers for part in part_traits(options))


def looks_inside(options: Options) -> bool:
    """Whether the method wants the teacher's features or weights, and not its answers alone."""
    return any(
        part.taps or part.family == "weights" if part.inside is None else part.inside for part in part_traits(options)
    )


def taps_teacher(options: Options) -> bool:
    """Whether the method wants features of the teacher, which must then be asked with its layers as they are."""
    return any(part.taps and part.inside is not False for part in part_traits(options))


def takes(options: Options, labels: Literal["one", "many"]) -> bool:
    """Whether the method works with one label an image, or with many."""
    return all(part.labels in (labels, "both") for part in part_traits(options))
