"""Try it: a drawing, a picture or a test image, answered by every variant of a run."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from kdcore.export import runtime
from kdcore.files import read_json
from kdcore.report import format
from kdcore.tryout.answers import answers
from kdcore.tryout.manner import manner
from kdcore.tryout.prepare import drawn
from kdcore.tryout.strokes import strokes
from pages.shared import store
from pages.try_it.canvas import KEPT
from tests.pages.conftest import asked, opened, runs, said

ONE = [[[400, 300], [520, 180], [520, 820]]]


def drawing(sent, **query):
    """The page with these strokes on its canvas, which AppTest cannot draw."""
    app = opened("try_it", **query)
    app.session_state[KEPT] = sent
    return app.run()


def table(app):
    """What the page's table says, by the variants' names, without its Markdown."""
    assert not app.exception
    found = app.table[0].value.map(lambda words: re.sub(r":[a-z-]+\[|[*\\\]]", "", words))
    return found.rename(index=lambda words: words.partition("} ")[2].replace("\\", ""))


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def upload(app, content, name="picture.png"):
    return app.file_uploader[0].set_value((name, content, "image/png")).run()


def quickstart(full):
    return next(row for row in runs(full) if row.name == "Quickstart")


def test_before_anything_is_drawn_the_page_says_what_to_do(full):
    assert "Nothing is drawn yet" in said(opened("try_it"))


def test_every_variant_answers_a_drawing(full):
    app = drawing(ONE, run=quickstart(full).id)
    found = table(app)
    plan = store.plan(quickstart(full).id)
    assert list(found.index) == [variant.name for variant in plan.variants]
    seen = drawn(strokes(ONE), manner(store.pictures(plan.dataset["fingerprint"]).images)).image
    for variant in plan.variants:
        said_of_it = answers(runtime.session(full.model(variant.keys[0]) / "model.onnx"), seen[None], False)[0]
        assert found.loc[variant.name, "Answer"] == str(said_of_it.picked[0])
        assert found.loc[variant.name, "Confidence"] == format.percent(said_of_it.confidence)
    assert "8x8 pixels. Cropped, " in said(app)
    assert "One image is an anecdote" in said(app)
    assert " ms" not in said(app)  # one call is no measurement


def test_a_disagreement_with_the_teacher_is_said(full):
    app = drawing(ONE, run=quickstart(full).id)
    found = table(app)
    expected = np.where(found["Answer"] == found.loc["teacher", "Answer"], "agrees", "disagrees")
    assert list(found["Teacher"])[1:] == list(expected)[1:]


@pytest.mark.parametrize("image", [0, 7])
def test_a_test_image_gets_the_logits_that_were_recorded(full, image):
    run = quickstart(full)
    found = table(opened("try_it", run=run.id, input="test", image=str(image)))
    for variant in read_json(full.run(run.id) / "plan.json")["variants"]:
        recorded = np.load(full.model(variant["keys"][0]) / "logits.npz")["test"][image]
        shares = np.exp(recorded - recorded.max()) / np.exp(recorded - recorded.max()).sum()
        assert found.loc[variant["name"], "Answer"] == str(recorded.argmax())
        confidence = float(found.loc[variant["name"], "Confidence"].removesuffix(" %"))
        assert confidence == pytest.approx(100 * shares.max(), abs=0.06)  # rounded to 0.1


def test_an_uploaded_test_image_gets_the_same_answers(full):
    run = quickstart(full)
    pixels = store.pictures(store.plan(run.id).dataset["fingerprint"]).images[5]
    app = upload(opened("try_it", run=run.id, input="upload"), png(pixels[..., 0]))
    assert "Unchanged" in said(app)
    expected = table(opened("try_it", run=run.id, input="test", image="5"))
    assert table(app)["Confidence"].to_list() == expected["Confidence"].to_list()


@pytest.mark.parametrize("content", [b"no picture", png(np.eye(90, dtype=np.uint8))[:60]])
def test_a_hostile_upload_gets_one_message(full, content):
    app = upload(opened("try_it", input="upload"), content)
    assert len(app.error) == 1
    assert "cannot be read" in app.error[0].value
    assert not app.table
    assert not app.exception


def test_a_forged_drawing_gets_one_message(full):
    app = drawing([[["x", 1]]])
    assert "A point is" in said(app)
    assert not app.exception


def test_sliders_change_what_the_networks_see_and_the_charts_follow(full):
    app = drawing(ONE, run=quickstart(full).id)
    clean = table(app)["Confidence"].to_list()
    noise = next(slider for slider in app.slider if slider.label.startswith("Noise"))
    noise.set_value(60.0).run()
    assert table(app)["Confidence"].to_list() != clean
    for name in ("noise", "blur", "contrast", "rotation"):
        app.get_by_key("try_chart").set_value(name).run()
        assert not app.exception
        assert "Confidence in the answer that teacher gives" in said(app)
    app.button(key="try_reset").click().run()
    assert table(app)["Confidence"].to_list() == clean


def test_variants_are_in_the_address(full):
    app = drawing(ONE, run=quickstart(full).id, variants="teacher")
    assert list(table(app).index) == ["teacher"]
    app.multiselect[0].set_value(["teacher", "int8"]).run()
    assert asked(app, "variants") == ["teacher", "int8"]
    assert list(table(app).index) == ["teacher", "int8"]


def test_a_damaged_file_is_named_and_the_others_answer(full):
    run = quickstart(full)
    variants = {one["name"]: one["keys"][0] for one in read_json(full.run(run.id) / "plan.json")["variants"]}
    path = full.model(variants["int8"]) / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255  # of the same size
    path.write_bytes(content)
    app = drawing(ONE, run=run.id)
    assert "int8: its model is damaged" in app.warning[0].value.replace("\\", "")
    assert list(table(app).index) == [name for name in variants if name != "int8"]


def test_a_teacher_without_a_file_is_left_out(full):
    run = quickstart(full)
    key = read_json(full.run(run.id) / "plan.json")["variants"][0]["keys"][0]
    done = read_json(full.model(key) / "done.json")
    del done["files"]["model.onnx"]
    (full.model(key) / "done.json").write_text(json.dumps(done))
    (full.model(key) / "model.onnx").unlink()
    app = drawing(ONE, run=run.id)
    assert "cannot answer a new input" in said(app)
    assert "teacher" not in table(app).index


def test_images_with_several_labels(full, monkeypatch):
    """Each digit also holds the next one: the canvas is taken as it is, and an answer may be several classes."""
    known = store.pictures

    def several(fingerprint):
        found = known(fingerprint)
        hot = np.eye(10, dtype=np.uint8)[found.labels]
        return found._replace(labels=hot | np.roll(hot, 1, axis=1))

    monkeypatch.setattr(store, "pictures", several)
    run = quickstart(full)
    app = drawing(ONE, run=run.id)
    assert "Cropped" not in said(app)
    app = opened("try_it", run=run.id, input="test", image="0")
    key = read_json(full.run(run.id) / "plan.json")["variants"][0]["keys"][0]
    images = known(store.plan(run.id).dataset["fingerprint"]).images[:1]
    picked = answers(runtime.session(full.model(key) / "model.onnx"), images, True)[0].picked
    assert table(app).loc["teacher", "Answer"] == (", ".join(map(str, picked)) or "nothing")
    app.get_by_key("try_chart").set_value("noise").run()
    assert not app.exception
