"""What a search may vary, generated from the registries; and the Recipe of one choice of it. No torch, no Optuna.

Settings are a flat mapping, as `{"student.width": 12, "with.low_rank": True, "low_rank.share": 0.4, "last": "int8"}`.
They come from asking for one value after the other, since some questions only arise from earlier answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, permutations
from typing import Any, NamedTuple

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.distill.traits import MethodTraits
from kdcore.models.traits import ArchitectureTraits
from kdcore.plan.rules import steps as order
from kdcore.recipe import Recipe, parse
from kdcore.registry import Searched
from kdcore.search.groups import Groups
from kdcore.search.request import Search

Settings = dict[str, Any]
Ask = Callable[[str, Searched], Any]

NOTHING = "nothing"  # the last step of a chain that ends with a step of another kind, or has none
STUDENT, METHOD, FINETUNE = "student", "distill", "finetune"
SHARE = Searched("share", 0.1, 1.0, log=True)  # of the student's training steps
ALIKE, BY_SENSITIVITY = "alike", "by sensitivity"
LAYERS = Searched("layers", choices=(ALIKE, BY_SENSITIVITY))
RATE = Searched("learning_rate", 0.001, 0.02, log=True)
ORDER = " > "  # between the names of steps that follow each other
MOST_SHRINKING = 2  # steps before the last one


class Knob(NamedTuple):
    """An option that sets a model's size alone, uniformly over the layers; `fixed`: the settings beside it."""

    name: str
    searched: Searched
    fixed: Settings


class Space:
    """`train_steps`: optimizer steps of the Recipe's training; fine-tuning takes a share of them. `layers`: names the
    layers of the network that a Recipe makes, in their order. `groups`: by step, those of the layers that may
    differ; where there are none, all layers are treated alike."""

    def __init__(
        self,
        search: Search,
        train_steps: int,
        layers: Callable[[Recipe], Sequence[str]] = lambda recipe: (),
        groups: Mapping[str, Groups] | None = None,
    ):
        self.search, self.base, self.train_steps, self.layers = search, search.recipe, train_steps, layers
        self.groups = groups or {}
        names = [entry.name for entry in registry.entries("step") if self._fits(StepTraits.named(entry.name))]
        self.shrinking = [name for name in names if not StepTraits.named(name).final]
        final = [name for name in names if StepTraits.named(name).final]
        self.last = [name for name in final if StepTraits.named(name).coded] if search.coded else [NOTHING, *final]
        chosen = [step.model_dump(mode="json") for step in self.base.compress]
        self._steps = {name: registry.validate("step", name).model_dump(mode="json") for name in names}
        self._steps |= {step["step"]: step for step in reversed(chosen) if step["step"] in names}

    def _fits(self, traits: StepTraits) -> bool:
        return traits.search is not None and (self.search.coded or not traits.coded)

    def settings(self, ask: Ask) -> Settings:
        """Asks for each value that there is to choose."""
        found: Settings = {}

        def choose(name: str, searched: Searched) -> Any:
            found[name] = _rounded(ask(name, searched))
            return found[name]

        if self.base.start == "train":
            for prefix, options, traits in self._networks():
                for searched in traits.search:
                    choose(f"{prefix}.{searched.option}", _widened(searched, options))
        chosen = [name for name in self.shrinking if choose(f"with.{name}", Searched(name, choices=(False, True)))]
        if len(chosen) > 1 and len(orders := self._orders(chosen)) > 1:
            choose(_order_of(chosen), Searched("order", choices=tuple(orders)))
        chosen.append(choose("last", Searched("last", choices=tuple(self.last))))
        for name in (name for name in chosen if name != NOTHING):
            apart = name in self.groups and choose(f"{name}.{LAYERS.option}", LAYERS) == BY_SENSITIVITY
            for searched in _searched_of(name):
                for option in self._options(name, searched) if apart else [searched.option]:
                    choose(f"{name}.{option}", searched)
        if any("finetune" in self._steps.get(name, ()) for name in chosen):
            for searched in (SHARE, RATE):
                choose(f"{FINETUNE}.{searched.option}", searched)
        return found

    def _options(self, name: str, searched: Searched) -> list[str]:
        """What an option is called where the groups of layers differ: one for each, if it takes a value by layer."""
        return [f"{searched.option}.{group}" for group in self.groups[name].names] if searched.by_layer else [
            searched.option
        ]  # fmt: skip

    def by_layer(self) -> list[tuple[str, Searched]]:
        """The steps whose layers may differ, with the option that then has a value for each."""
        return [(name, one) for name in (*self.shrinking, *self.last) for one in _searched_of(name) if one.by_layer]

    def apart(self, name: str, values: Mapping[str, float], last: str) -> Settings:
        """The settings of this step alone, before the `last`, with these values of the groups of layers."""
        [option] = [one.option for one in _searched_of(name) if one.by_layer]
        given: Settings = {f"{name}.{option}.{group}": value for group, value in values.items()}
        given[f"{name}.{LAYERS.option}"] = BY_SENSITIVITY
        own = self._own([name, last] if name != last else [name])
        return self.settings(lambda asked, searched: given[asked] if asked in given else own(asked, searched))

    def _networks(self) -> list[tuple[str, Any, Any]]:
        student, method = self.base.student.model, self.base.distill
        return [(STUDENT, student, ArchitectureTraits.of(student)), (METHOD, method, MethodTraits.of(method))]

    def _orders(self, chosen: Sequence[str]) -> list[str]:
        """Those in which the plan's rules let these steps follow each other."""
        made = ([registry.validate("step", name) for name in names] for names in permutations(chosen))
        accepted = [
            steps for steps in made if not list(order.problems(self.base.model_copy(update={"compress": steps})))
        ]
        return [ORDER.join(registry.entry_of("step", step).name for step in steps) for steps in accepted]

    def chain(self, settings: Mapping[str, Any]) -> list[str]:
        """The names of the steps, in their order."""
        chosen = [name for name in self.shrinking if settings.get(f"with.{name}")]
        if len(chosen) > 1:
            known = self._orders(chosen)
            chosen = settings.get(_order_of(chosen), known[0] if known else ORDER.join(chosen)).split(ORDER)
        last = settings.get("last", NOTHING)
        return [*chosen, *([last] if last != NOTHING else [])]

    def recipe(self, settings: Mapping[str, Any], *, whole: bool = False, effort: float = 1.0) -> Recipe:
        """The Recipe of these settings: of one seed with nothing beside the chain, or the `whole` experiment.

        `effort`: the share of its training steps. Raises RecipeError.
        """
        document = self.base.document()
        if effort < 1:
            document["train"] |= {"steps": max(1, round(effort * self.train_steps)), "epochs": None}
        if not whole:
            document |= {"seeds": [self.base.seeds[0]], "controls": [], "compress_seeds": "first"}
            document["measure"] |= {"timing_seconds": 0.0, "robustness": False}
        for name, value in settings.items():
            part, _, option = name.partition(".")
            if part == STUDENT:
                document["student"]["model"][option] = value
            elif part == METHOD:
                document["distill"][option] = value
        document["compress"] = []
        for name in self.chain(settings):
            step = self._step(name, settings, partial(self._by_group, name, document))
            if effort < 1 and "finetune" in step:
                steps = step["finetune"]["steps"]
                step["finetune"] = step["finetune"] | {"steps": max(min(1, steps), round(effort * steps))}
            document["compress"] = [*document["compress"], step]
        return parse(document)

    def _by_group(self, name: str, document: Mapping[str, Any]) -> dict[str, str]:
        """The group of each layer of the network that this Recipe makes."""
        return self.groups[name].among(self.layers(parse(document)))

    def _step(self, name: str, settings: Mapping[str, Any], by_group: Callable[[], dict[str, str]]) -> dict[str, Any]:
        options = self._steps[name] | ({"policy": {}} if "policy" in self._steps[name] else {})
        apart = settings.get(f"{name}.{LAYERS.option}") == BY_SENSITIVITY
        for searched in _searched_of(name):
            option = f"{name}.{searched.option}"
            if apart and searched.by_layer:
                of = {layer: settings[f"{option}.{group}"] for layer, group in by_group().items()}
                options[searched.by_layer] = of
            options[searched.option] = settings.get(option, options[searched.option])
        if "finetune" in options and f"{FINETUNE}.share" in settings:
            steps = max(1, round(settings[f"{FINETUNE}.share"] * self.train_steps))
            rate = settings[f"{FINETUNE}.learning_rate"]
            options["finetune"] = options["finetune"] | {"steps": steps, "learning_rate": rate}
        return options

    def label(self, settings: Mapping[str, Any]) -> str:
        """A candidate in a few words: "width 12, pruned 40 %, int8"."""
        sizes = [f"{name.partition('.')[2]} {value:g}" if isinstance(value, int | float) else str(value)
                 for name, value in settings.items() if name.startswith(f"{STUDENT}.")]  # fmt: skip
        steps = [registry.validate("step", self._named(name, settings)) for name in self.chain(settings)]
        return ", ".join([*sizes, *(StepTraits.of(step).label for step in steps)]) or "the original"

    def _named(self, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The step as its label needs it: groups stand for their layers."""
        return self._step(name, settings, lambda: {group: group for group in self.groups[name].names})

    def about(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """What a table says of a candidate."""
        return {"label": self.label(settings), "role": self.role(settings)}

    def role(self, settings: Mapping[str, Any]) -> str:
        """What kind of variant a candidate is: its last step's, or a distilled student's."""
        chain = self.chain(settings)
        return StepTraits.named(chain[-1]).variant if chain else "distilled"

    def as_asked(self) -> Settings | None:
        """The settings of the Recipe as it is; None where its chain is not one of the space."""
        names = [registry.entry_of("step", step).name for step in self.base.compress]
        settings = self.settings(self._own(names))
        return settings if self.chain(settings) == names else None

    def _own(self, names: Sequence[str]) -> Ask:
        """Answers with the Recipe's own values, for a chain of these steps."""
        options = {STUDENT: self.base.student.model.model_dump(), METHOD: self.base.distill.model_dump(), **self._steps}

        def own(name: str, searched: Searched) -> Any:
            part, _, option = name.partition(".")
            if part == "with":
                return option in names
            if name == "last":
                return names[-1] if names and names[-1] in self.last else self.last[0]
            if part == FINETUNE:
                return self._finetuning(names)[option]
            if option == LAYERS.option:
                return ALIKE
            if searched.option == "order":
                asked = ORDER.join(one for one in names if one in self.shrinking)
                return asked if asked in searched.choices else searched.choices[0]
            return options.get(part, {}).get(option, _first(searched))

        return own

    def _finetuning(self, names: Sequence[str]) -> dict[str, float]:
        known = [self._steps[name]["finetune"] for name in names if "finetune" in self._steps.get(name, ())]
        mine = known[0] if known else {"steps": self.train_steps, "learning_rate": RATE.low}
        share = mine["steps"] / self.train_steps
        return {"share": _within(share, SHARE), "learning_rate": _within(mine["learning_rate"], RATE)}

    def corners(self) -> Iterator[Settings]:
        """The smallest candidates of each chain."""
        for count in range(min(MOST_SHRINKING, len(self.shrinking)) + 1):
            for names in combinations(self.shrinking, count):
                for last in self.last:
                    yield self.settings(_smallest(names, last))

    def knobs(self) -> Iterator[Knob]:
        """What a person would turn: one method at a time, the same for all layers, alone or before int8."""
        for last in self.usual_lasts():
            for name in self._sizing():
                names = [name.partition(".")[0], last]
                yield Knob(name, self._searched(name), self.settings(self._own(names)))
        for last in self.last:
            for searched in _searched_of(last):
                if searched.smallest is not None and not searched.choices:
                    yield Knob(f"{last}.{searched.option}", searched, self.settings(self._own([last])))

    def usual_lasts(self) -> list[str]:
        """The last steps that a person would take, whatever comes before them."""
        return self.last if self.search.coded else [last for last in (NOTHING, "int8") if last in self.last]

    def _sizing(self) -> list[str]:
        parts = [(STUDENT, ArchitectureTraits.of(self.base.student.model))] if self.base.start == "train" else []
        sized = [(part, traits.search) for part, traits in parts]
        sized += [(name, _searched_of(name)) for name in self.shrinking]
        return [
            f"{part}.{one.option}"
            for part, searched in sized
            for one in [one for one in searched if one.smallest is not None and not one.choices][:1]
        ]

    def _searched(self, name: str) -> Searched:
        part, _, option = name.partition(".")
        if part == STUDENT:
            found = ArchitectureTraits.of(self.base.student.model).search
            return next(_widened(one, self.base.student.model) for one in found if one.option == option)
        return next(one for one in _searched_of(part) if one.option == option)


def _searched_of(step: str) -> tuple[Searched, ...]:
    return StepTraits.named(step).search or () if step != NOTHING else ()


def _order_of(names: Sequence[str]) -> str:
    return f"order of {' and '.join(sorted(names))}"


def _widened(searched: Searched, options: Any) -> Searched:
    """A range that has the Recipe's own value in it."""
    own = getattr(options, searched.option)
    if searched.choices:
        return searched if own in searched.choices else replace(searched, choices=(*searched.choices, own))
    return replace(searched, low=min(searched.low, own), high=max(searched.high, own))


def _within(value: float, searched: Searched) -> float:
    return min(max(value, searched.low), searched.high)


def _first(searched: Searched) -> Any:
    return searched.choices[0] if searched.choices else searched.low


def _smallest(names: Sequence[str], last: str) -> Ask:
    def answer(name: str, searched: Searched) -> Any:
        part, _, option = name.partition(".")
        if part == "with":
            return option in names
        if name == "last":
            return last
        return _first(searched) if searched.smallest is None else searched.smallest

    return answer


def _rounded(value: Any) -> Any:
    """Three significant digits: nobody reads more, and equal candidates are found to be equal."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
