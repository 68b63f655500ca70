import pytest

from kdcore.report.processor import WITH, WITHOUT, computes_int8, int8_words


@pytest.mark.parametrize("flags", [["avx2", "avx512_vnni"], ["avx2", "avx_vnni"]])
def test_vnni_is_named_with_what_it_gains(flags):
    assert "has VNNI" in int8_words(flags)
    assert f"{WITH:g}×" in int8_words(flags)


def test_its_absence_is_named_with_what_int8_gains_then():
    words = int8_words(["avx2", "avx512f"])
    assert "no VNNI" in words
    assert f"{WITHOUT:g}× as fast" in words


@pytest.mark.parametrize("flags", [[], ["asimd"]])
def test_nothing_is_said_of_processors_that_were_not_measured(flags):
    assert int8_words(flags) == ""


@pytest.mark.parametrize(
    ("stage", "note", "found"),
    [
        ("quantize", "", True),
        ("prune and quantize", "It computes in int8, zeros included.", True),
        ("quantize", "It converts the weights to fp32.", False),
        ("prune", "", False),
    ],
)
def test_which_rows_compute_in_int8(stage, note, found):
    assert computes_int8(stage, note) is found
