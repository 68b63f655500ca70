"""Documents that stay beside a model, whatever became of them."""

import pytest

from kdcore.files import Damaged, write_json
from kdcore.workspace import shapes
from tests.damage.corpus import JSON_DAMAGES

PROFILE = {"batch": 64, "kernels": [{"layer": "head", "operator": "Gemm", "ms": 0.5}]}


@pytest.mark.parametrize("damage", JSON_DAMAGES)
def test_a_damaged_profile_is_named_or_gone_and_nothing_else(tmp_path, damage):
    write_json(tmp_path / shapes.LAYER_TIMES, PROFILE)
    assert shapes.layer_times(tmp_path)["kernels"] == PROFILE["kernels"]
    JSON_DAMAGES[damage](tmp_path / shapes.LAYER_TIMES)
    try:
        found = shapes.layer_times(tmp_path)
    except Damaged as error:
        assert shapes.LAYER_TIMES in str(error)
    else:
        assert found is None or all(kernel["ms"] >= 0 for kernel in found["kernels"])
