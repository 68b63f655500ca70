"""What other parts ask of a compression step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from kdcore.registry import Options, Searched, Traits


def _nothing(*_: Any) -> None:
    return None


def any_graph(_: Any) -> Mapping[str, str]:
    """The trait `graph` of a step that an ONNX file alone is enough for, whatever its options."""
    return {}


@dataclass(frozen=True)
class StepTraits(Traits):
    """`variant`: the role of its row, such as "pruned". `stage`: what its stage is called. `label`: its row's name.

    `faster`: whether the network computes faster after it, and `why` not, or what else is worth knowing.
    `final`: whether it makes the file that is kept, so that no step can follow.
    `passes`: images through the network beside its training, for the estimate of time.
    `looks`: training images that it looks at, at most, beside its training.
    `refuses`: by (architecture, names of the steps before), why it cannot work on such a student; None where it can.
    `undone_by`: by a later step's name, why that cannot follow; None where it can.
    `search`: the options that a search varies, none where it is taken as it is; None: searches leave the step out.
    `coded`: whether it makes the entropy-coded file smaller, and not the one that runs.
    `reads`: the kinds of input (`kdcore.inputs`) whose networks it works on.
    `graph`: by options, which of them an ONNX file alone cannot do, and why; None where the step needs the network
    itself, of which such a file has only the graph.
    `formula`: what it does to weights, in LaTeX. `helps`: when to choose it, in a sentence or two.
    """

    kind: ClassVar[str] = "step"

    variant: str
    stage: str
    label: str
    faster: bool
    why: str = ""
    final: bool = False
    passes: int = 0
    looks: int = 0
    refuses: Callable[[Options, Sequence[str]], str | None] = _nothing
    undone_by: Callable[[str], str | None] = _nothing
    search: tuple[Searched, ...] | None = None
    coded: bool = False
    reads: tuple[str, ...] = ("pictures",)
    graph: Callable[[Any], Mapping[str, str]] | None = None
    formula: str = ""
    helps: str = ""
