"""Home and System."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

import kdcore.presets
from kdcore import machine, registry
from kdcore.jobs import api
from kdcore.presets import preset, presets
from kdcore.report.names import WORD_JOINER
from kdcore.workspace import settings
from pages.shared.text import ago, plain
from tests.pages.conftest import opened, runs, said
from tests.small import small


def test_a_card_a_preset(empty):
    shown = []
    for group in dict.fromkeys(one.group for one in presets()):
        app = opened("home", group=group)
        shown += [card.value for card in app.subheader]
        for known in presets():
            assert (known.look_for in said(app)) == (known.group == group)
    assert sorted(shown) == sorted(preset.title for preset in presets())
    assert opened("home").subheader[0].value == "Quickstart"


def test_one_click_starts_the_quickstart_and_goes_to_it(empty):
    app = opened("home")
    app.button(key="start_quickstart").click().run()
    (row,) = runs(empty)
    assert (row.preset, row.state) == ("quickstart", "queued")
    assert app.title[0].value == "Runs"
    assert app.header[0].value == "Quickstart"


def test_what_wants_a_gpu_says_so_first_and_can_be_seen_in_the_form(empty, monkeypatch):
    monkeypatch.setattr(machine, "gpus", tuple)
    app = opened("home", group="papers")
    app.button(key="start_reproduce-the-paper").click().run()
    assert not runs(empty)
    assert "No GPU was found" in said(app)
    assert "Its data set is missing" in said(app)
    app.button(key="consider_form").click().run()
    assert app.title[0].value == "New experiment"
    assert app.text_input[0].value == "Reproduce the paper"


def test_what_wants_a_gpu_can_be_started_without_one(empty, monkeypatch):
    wanting = replace(preset("quickstart"), name="wanting", wants="a GPU: minutes")
    monkeypatch.setattr(machine, "gpus", tuple)
    monkeypatch.setattr(kdcore.presets, "presets", lambda: (wanting,))
    app = opened("home")
    app.button(key="start_wanting").click().run()
    assert not runs(empty)
    app.button(key="consider_start").click().run()
    assert [row.preset for row in runs(empty)] == ["wanting"]


def test_the_last_result_is_on_the_card_and_in_the_list(full):
    words = said(opened("home"))
    assert "last result: int8" in words
    assert "**Unseen**" in words


def test_a_run_is_opened_from_the_list(full):
    run = runs(full)[-1]
    app = opened("home")
    app.button(key=f"open_{run.id}").click().run()
    assert app.header[0].value == run.name


def test_the_system_tells_versions_and_disk(full):
    app = opened("system")
    values = {str(key): str(value) for table in app.table for key, value in table.value.iloc[:, 0].items()}
    assert values["torch"] == machine.versions()["torch"]
    assert "model" in values["Models"]


def test_the_system_names_plug_ins_and_those_left_out(empty, monkeypatch):
    monkeypatch.setattr(registry, "failures", lambda: [registry.Failure("broken.py", "ImportError: *no* such module")])
    monkeypatch.setattr(registry, "plugged", lambda: {"mine.py": [registry.entry("method", "kd")]})
    app = opened("system")
    assert "*no* such module" in said(app)
    assert "method kd" in [str(value) for table in app.table for value in table.value.iloc[:, 0]]


def test_the_queue_is_reordered(empty):
    first, second = (api.submit(empty, small(f"name={name}"), None) for name in ("First", "Second"))
    assert api.queue(empty).runs == [first, second]
    app = opened("system")
    app.button(key=f"Earlier_{second}").click().run()
    assert api.queue(empty).runs == [second, first]
    assert app.button(key=f"Earlier_{second}").disabled


def test_the_clean_up_removes_what_no_run_names(full):
    for row in runs(full):
        api.delete(full, row.id)
    app = opened("system")
    app.button(key="collect").click().run()
    assert not list(full.models.iterdir())
    assert "There is nothing to clean up" in said(app)


def test_the_clean_up_takes_what_a_killed_writer_left(empty):
    left = empty.root / f".thing.json.{2**22 + 1}-0a1b2c3d"
    left.write_text("half of a th")
    os.utime(left, times=(time.time() - 7200,) * 2)
    app = opened("system")
    app.button(key="collect").click().run()
    assert not left.exists()
    assert "There is nothing to clean up" in said(app)


def test_a_webhook_is_taken_tested_and_never_shown_again(empty):
    app = opened("system")
    app.text_input(key="webhook").set_value("ftp://127.0.0.1/T0K3N").run()
    assert "must begin with http" in said(app)
    assert app.button(key="webhook_test").disabled
    app.text_input(key="webhook").set_value("http://127.0.0.1:1/T0K3N").run()
    assert "a message goes to **127.0.0.1**" in said(app)
    assert app.text_input(key="webhook").value == ""
    app.button(key="webhook_test").click().run()
    assert "Not delivered: Test" in said(app)
    assert "T0K3N" not in said(app)
    app.button(key="webhook_remove").click().run()
    assert app.button(key="webhook_test").disabled


@pytest.mark.parametrize("text", ["a*b", "[x](http://evil)", "$x$", "<script>", ":red[x]", "`code`", "# head"])
def test_other_peoples_words_are_shown_as_they_are(text):
    escaped = plain(text)
    assert escaped.replace("\\", "").replace(WORD_JOINER, "") == text
    assert all(escaped[index - 1] == "\\" for index, mark in enumerate(escaped) if mark in "*[]<>$`#:")


def test_times_ago(monkeypatch):
    monkeypatch.setattr("pages.shared.text.time.time", lambda: 100_000.0)
    assert [ago(moment) for moment in (99_999, 99_000, 90_000, 10_000, None)] == [
        "just now", "16 minutes ago", "2 hours ago", "1 day ago", "",
    ]  # fmt: skip


def test_what_asks_for_a_persons_own_says_what_and_opens_the_form_at_it(empty):
    app = opened("home", group="lessons")
    app.button(key="start_make-resnet18-small").click().run()
    assert not runs(empty)
    assert "one folder for each of some of ImageNet's classes" in said(app)
    assert not [button for button in app.button if button.key == "consider_start"]
    app.button(key="consider_form").click().run()
    assert app.title[0].value == "New experiment"
    assert any("choose the folder" in error.value for error in app.expander(key="section_0").error)


def test_the_launcher_and_its_options_are_chosen_on_system(empty):
    app = opened("system")
    app.selectbox(key="launcher").select("slurm").run()
    app.text_input(key="launcher_options").set_value("gpus=many").run()
    assert "gpus" in app.error[0].value
    app.text_input(key="launcher_options").set_value("partition=big gpus=2").run()
    assert not app.error
    known = settings.read(empty).launcher
    assert (known.launcher, known.partition, known.gpus) == ("slurm", "big", 2)


def test_the_number_of_workers_is_chosen_on_system_and_given_back_to_the_default(empty):
    app = opened("system")
    workers = app.selectbox(key="slots")
    assert workers.format_func(workers.value).startswith("Default")
    workers.select(3).run()
    assert settings.read(empty).slots == 3
    app.selectbox(key="slots").select(0).run()
    assert settings.read(empty).slots is None
    assert not app.exception
