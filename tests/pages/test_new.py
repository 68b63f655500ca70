"""New experiment: the form writes the Recipe, and says what is wrong where it is wrong."""

from __future__ import annotations

import json
import re

import pytest

from kdcore.jobs import api
from tests.pages.conftest import opened, runs, said


def recipe_of(app):
    """The Recipe as the page offers it to copy."""
    return json.loads(next(block.value for block in app.code if block.language == "json"))


def close(app):
    """Closes all sections: a closed one says its choice, and whether something is wrong in it."""
    for index in range(6):
        app.session_state[f"section_{index}"] = False
    app.run()


def test_it_begins_with_the_quickstart(empty):
    recipe = recipe_of(opened("new"))
    assert recipe["name"] == "My experiment"
    assert recipe["data"]["labels"] == 50


def test_a_change_is_in_the_recipe_and_in_the_sections_line(empty):
    app = opened("new")
    app.number_input(key="new.1.data.labels").set_value(80).run()
    assert recipe_of(app)["data"]["labels"] == 80
    close(app)
    assert any("digits, 80 labels" in one.label for one in app.expander)


def test_a_section_opens_and_its_values_are_in_the_recipe(empty):
    app = opened("new")
    app.session_state["section_3"] = True
    app.run().number_input(key="new.1.distill.temperature").set_value(9.0).run()
    assert recipe_of(app)["distill"]["temperature"] == 9
    close(app)
    assert any("temperature 9" in one.label for one in app.expander)


def test_a_problem_stands_at_its_field_and_nothing_can_be_started(empty):
    app = opened("new")
    app.number_input(key="new.1.data.labels").set_value(100_000).run()
    beside = [error.value for error in app.expander(key="section_0").error]
    assert len(beside) == 1
    assert "100" in beside[0]
    close(app)
    assert app.expander(key="section_0").icon == ":material/error:"
    assert next(button for button in app.button if button.label == "Start").disabled


def test_a_hidden_class_is_chosen_from_those_there_are(empty):
    app = opened("new")
    picker = app.multiselect(key="new.1.data.hide_classes")
    assert picker.options == [str(digit) for digit in range(10)]
    picker.set_value(["3"]).run()
    assert recipe_of(app)["data"]["hide_classes"] == ["3"]


def test_the_cost_is_told_before_anything_runs(empty):
    words = said(opened("new"))
    assert "smaller** than its teacher" in words
    assert "fewer MACs" in words


def test_start_queues_what_the_form_says(empty):
    app = opened("new")
    app.text_input(key="new.1.name").set_value("Of my own").run()
    next(button for button in app.button if button.label == "Start").click().run()
    (row,) = runs(empty)
    assert (row.name, row.state, row.preset) == ("Of my own", "queued", None)
    assert [title.value for title in app.title] == ["Runs"]


def test_an_estimate_comes_with_experience(full):
    assert re.search(r"(about|[\d.]+ (s |min )?to) [\d.]+ (s|min)", said(opened("new")))


@pytest.mark.parametrize("name", ["", "x" * 121])
def test_a_name_must_have_a_length(empty, name):
    app = opened("new")
    app.text_input(key="new.1.name").set_value(name).run()
    assert app.error


def test_a_duplicate_opens_in_the_form(full):
    quickstart = runs(full)[-1]
    app = opened("runs", run=quickstart.id)
    app.button(key="duplicate").click().run()
    recipe = recipe_of(app)
    assert recipe["name"] == "Quickstart (copy)"
    assert recipe["compress"] == api.recipe(full, quickstart.id).document()["compress"]


def test_what_somebody_has_decides_what_the_form_asks_for(full):
    app = opened("new")
    app.segmented_control(key="new.1.start.nothing").set_value("model").run()
    close(app)
    assert [one.label.split(" · ")[0] for one in app.expander if one.label.startswith("**")] == [
        "**1 Data**", "**2 Trained model**", "**3 Compress**", "**4 Fine-tuning**", "**5 Measure**",
    ]  # fmt: skip
    assert "choose a finished model" in said(app)
    app.session_state["section_1"] = True
    app.run()
    offers = next(one for one in app.selectbox if one.label == "Model")
    offers.select_index(2).run()
    recipe = recipe_of(app)
    assert recipe["start"] == "model"
    assert recipe["distill"]["hard_weight"] == 0
    assert recipe["teacher"]["source"]["teacher"] == "earlier"
    (table,) = (one.value for one in app.table if any("Original model" in name for name in one.value.columns))
    assert "–" not in set(table.iloc[:, 0])
    assert not next(button for button in app.button if button.label == "Start").disabled
