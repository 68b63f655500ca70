"""What people bring, asked about in the form: a teacher's normalisation, and folders that may be splits."""

import io
import re
import zipfile

import pytest

from kdcore import models
from kdcore.data.normalisations import USUAL, Normalisation
from kdcore.registry import validate
from tests.owners import digits, export, trained
from tests.pages.test_data import pictures

pytestmark = pytest.mark.browser


@pytest.mark.slow
def test_a_teachers_normalisation_is_asked_for_and_found(tab, full, tmp_path):
    dataset, options = digits(), validate("architecture", "mlp")
    network = models.create(options, 10, (1, 8, 8), [0.0], [1.0])
    mean, std = (sum(part) / 3 for part in USUAL["imagenet"])
    owner = trained(network, dataset, dataset.train_labels, Normalisation((mean,), (std,)))
    theirs = export(owner, tmp_path / "theirs.onnx", (1, 8, 8))
    visitor = tab(full).open("new")
    page = visitor.page
    page.get_by_text("2 Teacher").click()
    page.get_by_label("Teacher", exact=True).click()
    page.get_by_role("option", name=re.compile("ONNX classifier")).click()
    page.get_by_text("Upload an ONNX classifier").wait_for()
    page.locator("input[type=file]").last.set_input_files(theirs)
    page.get_by_text("Use that?").first.wait_for()
    page.get_by_role("button", name="Use the suggestion").click()
    page.get_by_text("Use that?").first.wait_for(state="detached")
    page.get_by_role("button", name="Start", disabled=False).wait_for()
    visitor.settled().check()


@pytest.mark.slow
def test_folders_that_may_be_splits_are_asked_about(tab, full):
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(pictures())) as few, zipfile.ZipFile(packed, "w") as archive:
        for day in ("day1", "day2"):
            for name in few.namelist():
                archive.writestr(f"{day}/{name}", few.read(name))
    visitor = tab(full).open("new")
    visitor.send_pictures("days.zip", packed.getvalue())
    visitor.page.get_by_text("are they splits or classes?").first.wait_for()
    visitor.settled().check()
