import json

import pytest

from kdcore.report import names

HOSTILE = "a\x1b]8;;http://x\x07b\x9b31m\nc\u202ed\u2028e\ud800f\x00"


def test_a_name_takes_one_line_and_moves_no_cursor():
    assert names.printable(HOSTILE) == "a ]8;;http://x b 31m c d e f "
    assert names.printable("Zürich 東京 👩‍🔬 −1 %") == "Zürich 東京 👩‍🔬 −1 %"


def test_a_document_is_escaped_and_reads_back_the_same():
    text = names.document({"name": HOSTILE, "ü": 1})
    assert not set(text) & (set(HOSTILE) - set("abcdefghtpx]8;/:31m\n"))
    assert text.encode()
    assert json.loads(text) == {"name": HOSTILE, "ü": 1}


@pytest.mark.parametrize("address", ["http://evil.example", "HTTPS://a.b/c", "www.evil.example", "me@evil.example"])
def test_an_address_is_no_link_and_looks_the_same(address):
    broken = names.unlinked(f"see {address} now")
    assert address not in broken
    assert broken.replace(names.WORD_JOINER, "") == f"see {address} now"
