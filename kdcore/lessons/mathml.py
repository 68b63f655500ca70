r"""Formulas for a page without a network: the LaTeX that lessons use, as MathML, which every browser draws.

Groups, \frac, \sqrt, \mathrm, \text, \left and \right, sub- and superscripts, and the commands in SYMBOLS.

    >>> mathml("x^2")
    '<math display="block"><msup><mi>x</mi><mn>2</mn></msup></math>'
"""

from __future__ import annotations

import re
from html import escape

SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "lambda": "λ", "mu": "μ", "sigma": "σ", "tau": "τ", "Delta": "Δ",
    "pi": "π",
    "sum": "∑", "cdot": "·", "times": "×", "approx": "≈", "le": "≤", "ge": "≥", "to": "→", "infty": "∞", "in": "∈",
    "|": "‖", "log": "log", "exp": "exp", "max": "max", "min": "min", "lfloor": "⌊", "rceil": "⌉", "pm": "±",
    "nabla": "∇", "propto": "∝", "neq": "≠", "odot": "⊙", "partial": "∂", "quad": "\u2003", "qquad": "\u2003\u2003",
    ",": "\u2009", ";": "\u2005", "%": "%", "{": "{", "}": "}", "ldots": "…",
}  # fmt: skip
NAMED = {"log", "exp", "max", "min"}
WORDS = re.compile(r"\\(?:mathrm|text)\{([^}]*)\}")
TOKEN = re.compile(r"\\(?:mathrm|text)\{[^}]*\}|\\[A-Za-z]+|\\.|[{}^_]|\d+(?:\.\d+)?|[A-Za-z]|\S")


def mathml(latex: str) -> str:
    """The formula as a block of MathML. Raises ValueError for a command that is not known."""
    tokens = TOKEN.findall(latex)
    return f'<math display="block">{_row(tokens)}</math>'


def _row(tokens: list[str]) -> str:
    """Everything up to the closing brace or the end."""
    made: list[str] = []
    while tokens and tokens[0] != "}":
        if tokens[0] in "^_":
            made.append(_scripts(made.pop() if made else "<mi></mi>", tokens))
        else:
            made.append(_atom(tokens))
    if tokens:
        tokens.pop(0)
    return "".join(made)


def _scripts(base: str, tokens: list[str]) -> str:
    found: dict[str, str] = {}
    while tokens and tokens[0] in "^_":
        kind = tokens.pop(0)
        found[kind] = _atom(tokens)
    if len(found) == 2:
        return f"<msubsup>{base}{found['_']}{found['^']}</msubsup>"
    kind, script = next(iter(found.items()))
    tag = "msup" if kind == "^" else "msub"
    return f"<{tag}>{base}{script}</{tag}>"


def _atom(tokens: list[str]) -> str:
    token = tokens.pop(0)
    if token == "{":
        return f"<mrow>{_row(tokens)}</mrow>"
    if words := WORDS.fullmatch(token):
        return f"<mtext>{escape(words[1])}</mtext>"
    if token.startswith("\\"):
        return _command(token[1:], tokens)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    return f"<mi>{token}</mi>" if token.isalpha() else f"<mo>{escape(token)}</mo>"


def _command(name: str, tokens: list[str]) -> str:
    match name:
        case "frac":
            return f"<mfrac>{_atom(tokens)}{_atom(tokens)}</mfrac>"
        case "hat":
            return f"<mover>{_atom(tokens)}<mo>^</mo></mover>"
        case "sqrt":
            return f"<msqrt>{_atom(tokens)}</msqrt>"
        case "left" | "right":
            return _atom(tokens)
    return _symbol(name)


def _symbol(name: str) -> str:
    if name not in SYMBOLS:
        raise ValueError(f"the command \\{name} is not known here")
    tag = "mi" if name in NAMED or SYMBOLS[name].isalpha() else "mo"
    return f"<{tag}>{SYMBOLS[name]}</{tag}>"
