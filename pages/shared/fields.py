"""One field of the form: what it takes, read off its pydantic field, and the widget for it."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from kdcore import registry
from pages.shared import draft

SEGMENTS = 4  # more choices than this go into a list that opens


SECTIONS = {  # of the form, by the first part of a field's path
    "data": "Data",
    "teacher": "Teacher",
    "student": "Student",
    "train": "Student",
    "scheme": "Distil",
    "distill": "Distil",
    "controls": "Distil",
    "compress": "Compress",
    "compress_seeds": "Compress",
    "seeds": "Measure",
    "measure": "Measure",
    "sweep": "Measure",
}


PLAIN = {  # labels of fields whose names are not clear
    "temperature": "Temperature (T)",
    "finetune": "Fine-tuning",
    "ema": "Moving average of the weights (EMA)",
    "lora": "LoRA (rank)",
    "clip_norm": "Gradient clipping (max norm)",
    "decay_all": "Weight decay on biases and norms",
    "warmup": "Warm-up",
    "patience": "Early stopping (patience)",
    "nesterov": "Nesterov momentum",
    "test_curve": "Test accuracy after each epoch",
    "margin": "Margin (points)",
    "timing_seconds": "Timing (seconds)",
    "compress_seeds": "Seeds to compress",
    "transfer": "Use unlabelled examples",
}


LOWEST = (annotated_types.Ge, "ge", "at least"), (annotated_types.Gt, "gt", "more than")
HIGHEST = (annotated_types.Le, "le", "at most"), (annotated_types.Lt, "lt", "less than")


class Kind(NamedTuple):
    """What a field takes: a plain type, and whether it may be empty, is a list, or is a choice from a registry."""

    base: Any
    optional: bool
    many: bool
    registry: str | None


def kind_of(field: FieldInfo) -> Kind:
    """What the field's annotation asks for."""
    base, optional, many = field.annotation, False, False
    if get_origin(base) in (Union, types.UnionType):
        base, optional = next(part for part in get_args(base) if part is not type(None)), True
    chosen = _registry_of(field.metadata)
    if get_origin(base) is tuple:
        base, many = get_args(base)[0], True
        if get_origin(base) is Annotated:
            base, *metadata = get_args(base)
            chosen = chosen or _registry_of(metadata)
    return Kind(dict if get_origin(base) is dict else base, optional, many, chosen)


def is_plain(kind: Kind) -> bool:
    """Whether one widget holds the value."""
    nested = isinstance(kind.base, type) and issubclass(kind.base, (BaseModel, dict))
    return not nested and kind.registry is None


def _registry_of(metadata: Sequence[Any]) -> str | None:
    for one in metadata:
        arguments = getattr(getattr(one, "func", None), "args", ())
        if isinstance(one, BeforeValidator) and arguments and arguments[0] in registry.PACKAGES:
            return arguments[0]
    return None


def control(field: FieldInfo, kind: Kind, path: str, known: Sequence[str]) -> None:
    """The widget for a field of a plain type, with the field's description and bounds as its help."""
    key, name = draft.key(path), field.title or label(path)
    value = draft.at(draft.get(), path)
    about: dict[str, Any] = {"key": key, "help": field.description, "on_change": _take, "args": (path, key, kind)}
    if kind.many and known:
        st.multiselect(name, known, [one for one in value if one in known], **about)
    elif kind.many:
        st.text_input(f"{name} (comma-separated)", ", ".join(map(str, value)), **about)
    elif kind.base is dict:
        written = ", ".join(f"{of}: {number}" for of, number in value.items())
        st.text_input(f"{name} (name: number, comma-separated)", written, **about)
    else:
        _single(field, kind, name, value, about)


def _single(field: FieldInfo, kind: Kind, name: str, value: Any, about: dict[str, Any]) -> None:
    """The widget for one value."""
    if kind.base is bool:
        st.toggle(name, value, **about)
    elif get_origin(kind.base) is Literal:
        pick(name, list(get_args(kind.base)), value, **about)
    elif kind.base in (int, float):
        _number(field, kind, name, value, about)
    else:
        st.text_input(name, value, **about)


def pick(
    name: str,
    options: list[Any],
    chosen: Any,
    key: str,
    describe: Callable[[str], str] | None = None,
    **about: Any,
) -> None:
    """One of a few options, all to be seen; one of many in a list that opens, where each is described in a line."""
    about |= {"key": key, "format_func": lambda option: str(option).replace("_", " ")}
    if len(options) <= SEGMENTS and describe is None:
        st.segmented_control(name, options, default=chosen, required=True, **about)
    else:
        st.selectbox(name, options, options.index(chosen), **about | ({"format_func": describe} if describe else {}))


def _number(field: FieldInfo, kind: Kind, name: str, value: Any, about: dict[str, Any]) -> None:
    """A number as it was typed. The box has no bounds, is never whole and may be empty: it would keep back what does
    not fit, and the Recipe would go on with an older value. Validation says at the field what is wrong."""
    st.session_state.setdefault(about["key"], None if value is None else float(value))
    extra: Any = field.json_schema_extra or {}
    step = float(extra.get("step", 1)) if kind.base is int else _step(value)
    about["help"] = " ".join(filter(None, [field.description, _range(field)]))
    empty = _empty(field.description or "") if kind.optional else "a number"
    st.number_input(name, value=None, step=step, format="%s", placeholder=empty, **about)


def _range(field: FieldInfo) -> str:
    """The field's bounds in words: "From 0.02 to 0.5.", "More than 0, less than 1."."""
    found = {type(one): one for one in field.metadata}
    low = [f"{word} {getattr(found[kind], name)}" for kind, name, word in LOWEST if kind in found]
    high = [f"{word} {getattr(found[kind], name)}" for kind, name, word in HIGHEST if kind in found]
    said = ", ".join(low + high)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _empty(description: str) -> str:
    """What an empty number means, as the field's own description says it: "Empty: all."."""
    said = description.partition("Empty: ")[2]
    return re.split(r"[.,]| where", said)[0] or "none"


def _step(value: float | None) -> float:
    """The value's order of magnitude, at most 1."""
    return min(1.0, 10.0 ** math.floor(math.log10(abs(value)))) if value else 0.1


def label(path: str) -> str:
    """A field's name as a label: `learning_rate` reads "Learning rate"."""
    last = [part for part in path.split(".") if not part.isdigit()][-1]
    return PLAIN.get(last) or last.replace("_", " ").capitalize()


def place_of(field: str) -> str:
    """Where in the form a field is, as somebody finds it: `compress.0.ratio` is "Compress 1, ratio"."""
    first, *rest = field.removeprefix("sweep.").split(".")
    if first not in SECTIONS:
        return label(field)
    number = f" {int(rest[0]) + 1}" if first in ("compress", "controls") and rest else ""
    inner = [part for part in rest if not part.isdigit()] or [first]
    named, section = label(inner[-1]), SECTIONS[first]
    named = named[0].lower() + named[1:]
    return f"{section}{number}" if named == section.lower() else f"{section}{number}, {named}"


def _taken(value: Any, kind: Kind) -> Any:
    """A widget's value as the Recipe takes it. What is no number stays text, and validation says so."""
    if isinstance(value, list) or not (kind.many or kind.base is dict):
        whole = kind.base is int and isinstance(value, float) and value.is_integer()
        return int(value) if whole else value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if kind.base is dict:
        pairs = (part.partition(":")[::2] for part in parts)
        return {of.strip(): _number_or_text(one.strip()) for of, one in pairs}
    read: Callable[[str], Any] = _number_or_text if kind.base in (int, float) else str
    return [read(part) for part in parts]


def _number_or_text(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _take(path: str, key: str, kind: Kind) -> None:
    draft.put(draft.get(), path, _taken(st.session_state[key], kind))
