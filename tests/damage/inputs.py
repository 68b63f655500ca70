"""Hostile inputs by kind and name: what a person, a link or a file may hand in. No torch until one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.damage.corpus import DEEP

ESCAPES = "\x1b[31m\x1b]8;;http://evil.example\x07"

RECIPES: dict[str, str] = {  # the text of a recipe's file
    "a number": "5",
    "no": "false",
    "nothing": "null",
    "a list in a list": "[[]]",
    "a superscript": '"²"',
    "empty": "",
    "half a document": '{"name": "a',
    "no number": '{"train": {"learning_rate": NaN}}',
    "endless": '{"train": {"learning_rate": 1e999}}',
    "lists nested deep": "[" * DEEP + "]" * DEEP,
    "fields nested deep": '{"data": ' * DEEP + "1" + "}" * DEEP,
    "a sweep nested deep": '{"sweep": {"train.epochs": [' + "[" * 900 + "]" * 900 + "]}}",
    "5,000 digits": '{"seeds": [' + "9" * 5000 + "]}",
    "beyond 64 bits": '{"seeds": [18446744073709551616]}',
    "400 digits": '{"train": {"learning_rate": ' + "1" + "0" * 400 + "}}",
    "half a character": '{"name": "\\ud800"}',
    "a key that is half a character": '{"sweep": {"\\ud800": [1]}}',
    "a name that is a list": '{"distill": {"method": ["kd"]}}',
    "escapes in a name of an entry": '{"distill": {"method": "\\u001b[31m\\u0007"}}',
    "a path of superscripts": '{"compress": [{"step": "int8"}], "sweep": {"compress.²": [1]}}',
    "a path that leads nowhere": '{"sweep": {"train.epochs.x": [1]}}',
    "a million points": '{"sweep": {"distill.temperature": [' + "1," * 999_999 + "1]}}",
    "a schema to come": '{"schema": 9}',
    "no character of a path": '{"data": {"source": {"dataset": "folder", "path": "a\\u0000b"}}}',
    "a user who is not there": '{"data": {"source": {"dataset": "folder", "path": "~nobody-here/x"}}}',
    "a file that is a folder": '{"teacher": {"source": {"teacher": "onnx_file", "path": "/"}}}',
    "a file of a long name": '{"teacher": {"source": {"teacher": "weights_file", "path": "' + "a" * 500 + '"}}}',
    "a run that is a path": '{"teacher": {"source": {"teacher": "earlier", "model": "../../etc"}}}',
}

ASSIGNMENTS: dict[str, str] = {  # of --set
    "no assignment": "²",
    "a superscript": "seeds.²=1",
    "5,000 digits as a place": f"seeds.{'9' * 5000}=1",
    "5,000 digits": f"train.steps={'9' * 5000}",
    "nested deep": f"data={'[' * DEEP}",
    "a path nested deep": "a" + ".a" * 5000 + "=1",
    "a negative place": "seeds.-1=1",
    "no number": "train.learning_rate=NaN",
    "escapes": f"distill.method={ESCAPES}",
    "half a character": "name=\ud800",
}

NAMES: dict[str, str] = {
    "colours and bells": f"red{ESCAPES}",
    "control characters of 8 bits": "clear\x9b2J",
    "line breaks": "one\r\ntwo\n\n# three",
    "right to left": "abc\u202egnp.exe",
    "a web address": "https://evil.example/login",
    "an address of a web server": "www.evil.example",
    "an address of mail": "me@evil.example",
    "a link": "[x](http://evil.example) <http://evil.example>",
    "HTML": "<img src=x onerror=alert(1)><a href='http://evil.example'>x</a>",
    "a formula": '=HYPERLINK("http://evil.example")',
    "a formula with a plus": "+1+cmd|' /C calc'!A0",
    "a command of LaTeX": "\\input{/etc/passwd}",
    "markup of the terminal": "[bold red]x[/] [link=http://evil.example]y[/link]",
    "a directive": ":red[x] :material/home: $x$",
}

PARAMETERS = ("²", "٣", "9" * 5000, "-1", "nan", "../../etc/passwd\x00", ESCAPES, "**[x](http://evil.example)**")
LINKS: dict[str, tuple[str, ...]] = {  # the parameters that each page reads
    "home": (),
    "new": (),
    "runs": ("run",),
    "compare": ("runs", "baseline"),
    "soft_targets": ("run", "variant", "image", "T"),
    "layers": ("run", "run_b", "variant", "variant_b", "layer", "by", "what", "step"),
    "trust": ("run", "variants", "variant", "against", "calibration", "corruption", "changed"),
    "system": (),
}

State = dict[str, Any]  # tensors by name


def _each(change: Callable[[Any], Any], only: str = "conv.weight") -> Callable[[State], State]:
    return lambda state: {name: change(value) if name.endswith(only) else value for name, value in state.items()}


def _cast(kind: str) -> Callable[[State], State]:
    def cast(value: Any) -> Any:
        import torch

        return value.to(getattr(torch, kind))

    return _each(cast)


def _filled(number: float, only: str = "conv.weight") -> Callable[[State], State]:
    return _each(lambda value: value.clone().fill_(number), only)


WEIGHTS: dict[str, Callable[[State], State]] = {
    "complex": _cast("complex64"),
    "float8": _cast("float8_e4m3fn"),
    "whole numbers": _cast("int8"),
    "yes and no": _cast("bool"),
    "1e38": _filled(1e38, "weight"),
    "beyond float32": _each(lambda value: value.double() + 1e300),
    "infinity": _filled(float("inf")),
    "not a number": _filled(float("nan")),
    "a standard deviation of zero": _filled(0.0, "normalize.std"),
    "a variance below zero": _filled(-1.0, "running_var"),
    "a tensor is missing": lambda state: dict(list(state.items())[1:-1]),
    "a tensor too many": lambda state: state | {ESCAPES: next(iter(state.values())).clone()},
    "another shape": _each(lambda value: value[:1].clone()),
}


def _model(nodes: list[Any], weights: dict[str, Any], functions: tuple[Any, ...] = ()) -> bytes:
    """An ONNX file for images (n, 1, 8, 8) and ten classes."""
    from onnx import TensorProto, helper, numpy_helper

    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("bomb", 1)]
    graph = helper.make_graph(nodes, "g", [images], [scores], initializers)
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    return bytes(made.SerializeToString())


def _linear() -> tuple[list[Any], dict[str, Any]]:
    """Gives "z"."""
    import numpy as np
    from onnx import helper

    weight = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    return [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"])], {"w": weight}


def _loop() -> bytes:
    import numpy as np
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Add", ["sum", "sum"], ["more"])],
        "body",
        [value("i", TensorProto.INT64, []), value("on", TensorProto.BOOL, []), value("sum", TensorProto.FLOAT, None)],
        [value("still", TensorProto.BOOL, []), value("more", TensorProto.FLOAT, None)],
    )
    nodes, weights = _linear()
    nodes.append(helper.make_node("Loop", ["trips", "yes", "z"], ["y"], body=body))
    return _model(nodes, weights | {"trips": np.array(2**60), "yes": np.array(True)})


def _bomb() -> bytes:
    from onnx import helper

    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("bomb", 1)]
    functions = []
    for level in range(40):
        kind, domain = ("Relu", "") if level == 39 else (f"f{level + 1}", "bomb")
        inner = [helper.make_node(kind, [a], [b], domain=domain) for a, b in (("x", "m"), ("m", "y"))]
        functions.append(helper.make_function("bomb", f"f{level}", ["x"], ["y"], inner, opsets))
    nodes, weights = _linear()
    return _model([*nodes, helper.make_node("f0", ["z"], ["y"], domain="bomb")], weights, tuple(functions))


def _chain(count: int) -> bytes:
    from onnx import helper

    nodes, weights = _linear()
    names = ["z", *(f"a{number}" for number in range(count)), "y"]
    nodes += [helper.make_node("Tanh", [a], [b]) for a, b in pairwise(names)]
    return _model(nodes, weights)


def _costly(size: int, times: int) -> bytes:
    """Squares a matrix of zeros many times, and adds their sum: of 2**17 a side it asks for 64 GB."""
    import numpy as np
    from onnx import helper

    nodes, weights = _linear()
    nodes += [helper.make_node("ConstantOfShape", ["size"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(times)]
    nodes += [helper.make_node("ReduceSum", [f"m{times}"], ["none"]), helper.make_node("Add", ["z", "none"], ["y"])]
    return _model(nodes, weights | {"size": np.array([size, size])})


def _scaled(number: float) -> bytes:
    import numpy as np
    from onnx import helper

    nodes, weights = _linear()
    return _model([*nodes, helper.make_node("Mul", ["z", "s"], ["y"])], weights | {"s": np.float32(number)})


def _own_operator() -> bytes:
    from onnx import helper

    nodes, weights = _linear()
    return _model([*nodes, helper.make_node("Own", ["z"], ["y"], domain="bomb")], weights)


ONNX: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "garbage": lambda: b"garbage" * 500,
    "cut to half": lambda: (whole := _chain(3))[: len(whole) // 2],
    "a loop without end": _loop,
    "a function bomb": _bomb,
    "100,000 nodes": lambda: _chain(100_000),
    "an operator of its own": _own_operator,
    "minutes of work": lambda: _costly(2000, 400),
    "64 GB": lambda: _costly(2**17, 1),
    "not a number": lambda: _scaled(float("nan")),
    "infinity": lambda: _scaled(float("inf")),
}


def _outside(path: Path) -> None:
    path.symlink_to("/etc", target_is_directory=True)


def _round(path: Path) -> None:
    path.symlink_to(path.name)


FOLDERS: dict[str, tuple[str, Callable[[Path], Any]]] = {  # the name of something among the runs, and what makes it
    "a link out": ("260101-000000-aaaaaa", _outside),
    "a link to nothing": ("260101-000000-bbbbbb", lambda path: path.symlink_to("/nowhere")),
    "a link to itself": ("260101-000000-cccccc", _round),
    "a file": ("260101-000000-dddddd", lambda path: path.write_text("x")),
    "an empty folder": ("260101-000000-eeeeee", Path.mkdir),
    "a name with spaces": ("My run", Path.mkdir),
    "a name with escapes": ("\x1b[31mred\x07", Path.mkdir),
    "a name of two lines": ("one\ntwo", Path.mkdir),
    "a name that is an option": ("--all", Path.mkdir),
    "a hidden folder": (".trash", Path.mkdir),
    "a name that is no text": ("\udcff\udcfe", Path.mkdir),
}
