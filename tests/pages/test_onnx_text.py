"""The form with an ONNX text classifier as the teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdcore.data.fetch import fetch
from kdcore.registry import validate
from tests import films, folders
from tests.pages.conftest import said
from tests.pages.test_gpt2_run import again, form, put
from tests.pages.test_new import recipe_of

pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")


def test_it_is_chosen_with_its_tokenizer_and_another_one_is_put_right_at_a_click(empty, tmp_path):
    owner = folders.folder(tmp_path / "owner")
    other = folders.folder(tmp_path / "other", words=folders.tokenizer([*films.WORDS[:-1], "yes"]))
    path = str(films.classifier(owner / "model.onnx"))
    source = films.source(tmp_path, other) | {"longest": 128}  # as the form has it
    for tokenizer in (owner, other):
        fetch(validate("dataset", source | {"tokenizer": str(tokenizer)}))
    app = form()
    put(app, "data.source.dataset", "text_csv")
    for option in ("path", "tokenizer"):
        put(app, f"data.source.{option}", source[option])
    again(app).button(key="new.1.data.source.suggestion").click().run()  # networks and steps for texts
    again(app)
    put(app, "teacher.source.teacher", "onnx_text")
    assert "choose the file: an ONNX text classifier" in said(app)
    put(app, "teacher.source.path", path)
    assert f"reads the tokens of {owner}" in said(app)
    mend = next(button for button in app.button if button.label == "Use the suggestion")
    mend.click().run()
    assert not app.exception
    recipe = recipe_of(app)
    assert Path(recipe["data"]["source"]["tokenizer"]) == owner
    chosen = recipe["teacher"]["source"]
    assert (chosen["teacher"], chosen["path"]) == ("onnx_text", path)
    assert [step["step"] for step in recipe["compress"]] == ["int8"]
    assert "reads the tokens of" not in said(app)
    assert "The student is trained on" in said(app)
    assert "the teacher on" not in said(app)
