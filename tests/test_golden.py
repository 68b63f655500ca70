import pytest

from tests import golden

KEPT = golden.kept()


@pytest.mark.parametrize("name", golden.names())
def test_every_entry_computes_what_its_version_says(name):
    key, command = golden.key(name), f"`python -m tests.golden {name}`"
    assert key in KEPT, f"tests/golden.json has no numbers of {key}: run {command}"
    assert golden.measure(name) == pytest.approx(KEPT[key], **golden.TOLERANCE), (
        f"{name} computes something else than it did: bump the version, then run {command}"
    )


def test_only_what_there_is_has_numbers():
    gone = KEPT.keys() - {golden.key(name) for name in golden.names()}
    assert not gone, "run `python -m tests.golden`, which drops what is gone"


def test_numbers_are_written_by_name_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "PATH", tmp_path / "golden.json")
    golden.PATH.write_text('{"dataset:digits:1": [1.0], "step:half:1": [2.0], "method:none:1": [3.0]}')
    golden.write(["dataset:digits"])
    assert golden.kept() == {"dataset:digits:1": KEPT["dataset:digits:1"], "step:half:1": [2.0]}
