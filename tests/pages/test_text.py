"""Names of other people in Markdown and in charts."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from markdown_it import MarkdownIt
from plotly.io import from_json

from kdcore.figures.links import without_links
from pages.shared.text import plain

HOSTILE = [
    "http://evil.example",
    "www.evil.example/path",
    "me@evil.example",
    "[x](http://evil.example)",
    "<http://evil.example>",
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ ~~gone~~ `code` $x$",
    "# title",
    "- item",
    "1. item",
    "+ item",
    "a\n\n# title",
    "      code",
    "a\n---",
    "> quote",
    "&lt;b&gt;",
    "![x](http://evil.example/a.png)",
]


def drawn(text):
    """The types of what Markdown makes of it beside one paragraph of text, and the text."""
    parser = MarkdownIt("gfm-like", {"linkify": False})
    block, inline, _ = [*parser.parse(text), *[None] * 3][:3]
    assert block.type == "paragraph_open", block.type
    kinds = {token.type for token in inline.children} - {"text", "text_special"}
    return kinds, "".join(token.content for token in inline.children)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_and_nothing_else(name):
    kinds, text = drawn(plain(name))
    assert not kinds
    assert " ".join(text.replace("\u2060", "").split()) == " ".join(name.split())
    assert "://" not in text  # what makes links of addresses looks at the text when it is done
    assert "www." not in text


def test_a_chart_has_no_links_out():
    figure = go.Figure(go.Bar(x=["<a href='http://evil.example'>cat</a>", "a < b", "dog<br>2"], y=[1, 2, 3]))
    drawn = from_json(without_links(figure.to_json()))
    assert list(drawn.data[0].x) == ["&lt;a href='http://evil.example'>cat</a>", "a < b", "dog<br>2"]
