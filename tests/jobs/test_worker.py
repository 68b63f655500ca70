"""How a worker tells why a run failed."""

from __future__ import annotations

import pytest

from kdcore.compress.step import CompressError
from kdcore.execute.teachers import GoneTeacher
from kdcore.problems import explained


def failure(work):
    try:
        work()
    except Exception as error:
        return explained(error)
    return pytest.fail("nothing failed")


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda: {}["size"], "KeyError: 'size'"),
        ([].pop, "IndexError"),
        (lambda: next(iter([])), "StopIteration"),
    ],
)
def test_a_bare_key_is_never_the_message(work, kind):
    told = failure(work)
    assert told.startswith(f"a fault in the program ({kind}")
    assert "test_worker.py, line" in told
    assert told.endswith("log.txt has it all")


@pytest.mark.parametrize("error", [CompressError("no two layers"), GoneTeacher("resume it"), RuntimeError("too large")])
def test_a_message_in_words_stays_as_it_is(error):
    assert explained(error) == str(error)
