from __future__ import annotations

import plotly.graph_objects as go
import pytest

from kdcore import registry
from kdcore.figures import style


def test_roles_differ_in_colour_or_symbol():
    looks = [(look.colour, look.symbol) for look in style.ROLES.values()]
    assert len(set(looks)) == len(looks)


@pytest.mark.parametrize("role", style.ROLES)
def test_plotly_knows_every_symbol_and_colour(role):
    look = style.look(role)
    go.Scatter(marker={"symbol": look.symbol, "color": look.colour})


def test_what_shares_a_colour_is_told_apart_where_there_are_no_symbols():
    """In lines by their dashes, in bars by their hatching."""
    for told in (style.dash, style.hatching):
        looks = [(look.colour, told(role)) for role, look in style.ROLES.items()]
        assert len(set(looks)) == len(looks)


def test_every_method_has_a_look():
    roles = {entry.traits.role for entry in registry.entries("method")}
    assert {"distilled", "hard_labels", "smoothed"} <= roles <= style.ROLES.keys()


def test_an_unknown_role_has_a_look_of_its_own():
    assert style.look("no such role") == style.UNKNOWN
    assert style.UNKNOWN.symbol not in {look.symbol for look in style.ROLES.values()}


def test_tint_is_the_colour_with_an_opacity():
    assert style.tint("#0072B2", 0.5) == "rgba(0, 114, 178, 0.5)"


def test_a_figure_leaves_background_and_fonts_to_the_page():
    layout = style.figure([], "What to see", x={"title": "Steps"}, y={"title": "Loss"}).layout
    assert (layout.paper_bgcolor, layout.plot_bgcolor) == (style.CLEAR, style.CLEAR)
    assert layout.font.color is None
    assert layout.title.text == "What to see"


def test_lines_of_one_colour_differ_in_their_dashes():
    roles = ["distilled"] * 6 + ["alone", "hard_labels", "alone"]
    looks = [(style.look(role).colour, dash) for role, dash in zip(roles, style.dashes(roles), strict=True)]
    assert len(set(looks)) == len(roles)
    assert style.dashes(["alone", "hard_labels"]) == [style.dash("alone"), style.dash("hard_labels")]
