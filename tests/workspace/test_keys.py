import pytest

from kdcore.workspace import keys

SPEC = {"kind": "train", "train": {"steps": 3}}


def key(**changes):
    parts = {"spec": SPEC, "inputs": ["", "a"], "fingerprint": "f", "seed": 0, "entries": {"method:kd": 1}} | changes
    return keys.stage_key(parts.pop("spec"), **parts)


def test_a_key_does_not_depend_on_the_order_of_fields():
    assert key(spec=dict(reversed(SPEC.items()))) == key()


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"fingerprint": "g"}, {"inputs": ["a", ""]}, {"entries": {"method:kd": 2}}, {"spec": {"kind": "x"}}],
)
def test_a_key_depends_on_everything_that_a_model_depends_on(change):
    assert key(**change) != key()


def test_the_version_of_the_loop_is_in_the_key(monkeypatch):
    before = key()
    monkeypatch.setattr(keys, "LOOP", keys.LOOP + 1)
    assert key() != before


def test_canonical_json_refuses_what_has_no_one_text():
    with pytest.raises(ValueError):
        keys.canonical(float("nan"))
