import json

import pytest

from kdcore import json_input


def nested(depth, made=0, wrap=lambda inner: [inner]):
    for _ in range(depth):
        made = wrap(made)
    return made


@pytest.mark.parametrize(
    ("text", "words"), [("[" * 100_000, "within each other"), ("9" * 5000, "64 bits"), ('{"a":', "is not JSON")]
)
def test_what_cannot_be_read_is_told_in_words(text, words):
    with pytest.raises(json_input.BadJson, match=words):
        json_input.read(text)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"seeds": [0, 2**64]}, "seeds.1"),
        ({"seeds": [10**5000]}, "seeds.0"),
        ({"data": nested(100_000)}, "data.0.0"),
        (nested(100_000, wrap=lambda inner: {"a": inner}), "a.a.a"),
        ({"name": "\ud800"}, "name"),
        ({"\ud800": 1}, "\\ud800"),
    ],
    ids=["beyond 64 bits", "thousands of digits", "lists", "objects", "text", "key"],
)
def test_what_no_field_accepts_is_found_at_its_place(document, path):
    assert json_input.fault(document).path == path


@pytest.mark.parametrize("document", [5, None, "²", {"name": "Zürich 😀", "seeds": [2**64 - 1]}, nested(32)])
def test_everything_else_is_left_to_the_fields(document):
    assert json_input.fault(document) is None
    assert json_input.read(json.dumps(document)) == document
