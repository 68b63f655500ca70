"""Pages that open without a network."""

from __future__ import annotations

import plotly.graph_objects as go
from markupsafe import Markup

from kdcore.figures.offline import drawn, page


def test_text_is_escaped_and_keeps_its_lines_and_nothing_else(tmp_path):
    template = tmp_path / "page.html"
    template.write_text("<p>{{ name }}</p><pre>{{ recipe }}</pre>{{ html }}", "utf-8")
    made = page(template, name="<b>x</b>\x1b[31m", recipe='{\n  "a": 1\n}', html=Markup("<hr>"))
    assert made == "<p>&lt;b&gt;x&lt;/b&gt; [31m</p><pre>{\n  &#34;a&#34;: 1\n}</pre><hr>"


def test_a_figure_stands_below_its_title_and_asks_nothing_of_others():
    title, html = drawn(go.Figure(layout={"title": {"text": "A <a href='http://evil.example'>title</a>"}}))
    assert title.startswith("A ")
    assert "evil.example" not in html
    assert "src=" not in html
    assert '"showSendToCloud": false' in html, "a button would offer to upload the chart"
