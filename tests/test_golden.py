import json

import pytest

from tests import golden


def test_every_entry_computes_what_its_version_says():
    kept, found = json.loads(golden.PATH.read_text()), golden.current()
    for name, values in found.items():
        assert name in kept, f"{name} is new: run `python -m tests.golden`"
        assert values == pytest.approx(kept[name], rel=2e-3), (
            f"{name} computes something else than it did: bump the version, then run `python -m tests.golden`"
        )
    assert set(kept) == set(found), "run `python -m tests.golden`: it keeps entries that are gone"
