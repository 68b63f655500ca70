import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.files import Damaged
from kdcore.workspace.events import EventLog, history, read
from tests.damage.corpus import EVENT_DAMAGES

KEY = "a" * 64
ROW = '{"epoch": %d, "step": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": null, "val_accuracy": null}'


def told(path):
    return [event["progress"] for event in read(path).events if event["type"] == "session"]


def test_events_are_read_once_from_where_the_last_reading_ended(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log("stage", stage=KEY, state="running")
    first = read(path)
    log("stage", stage=KEY, state="done")
    second = read(path, first.offset)
    assert [event["state"] for event in first.events + second.events] == ["running", "done"]


@given(st.binary(max_size=60))
def test_a_torn_or_foreign_line_spoils_no_other(tmp_path_factory, garbage):
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    log = EventLog(path)
    log("session", progress=0.25)
    log.close()
    with path.open("ab") as file:
        file.write(garbage)
    EventLog(path)("session", progress=0.75)
    assert told(path)[0] == 0.25
    assert told(path)[-1] == 0.75


@pytest.mark.parametrize("damage", EVENT_DAMAGES)
def test_what_makes_no_sense_spoils_no_other_line(tmp_path, damage):
    path = tmp_path / "events.jsonl"
    EventLog(path)("session", progress=0.25)
    EVENT_DAMAGES[damage](path)
    if not path.is_dir():
        EventLog(path)("session", progress=0.75)
        assert told(path)[-1] == 0.75
    else:
        with pytest.raises(Damaged):
            read(path)


def test_lines_that_make_no_sense_are_counted_and_those_of_later_versions_are_not(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log("session", progress="much")
    log("session")
    log("surprise", from_a="later version")
    log("session", progress=0.5)
    found = read(path)
    assert (len(found.events), found.skipped) == (1, 2)


def test_half_a_line_waits_for_its_other_half(tmp_path):
    path = tmp_path / "events.jsonl"
    whole = '{"type": "session", "progress": 0.5}\n'
    path.write_text(whole + '{"type": "ses')
    found = read(path)
    assert len(found.events) == 1
    assert found.offset == len(whole)


def test_a_history_is_read_up_to_what_is_safe(tmp_path):
    path = tmp_path / "history.jsonl"
    first, second = ROW % 1, ROW % 2
    path.write_text(f'{first}\n{second}\n{{"epoch": 3}}\n{{"epo')
    assert [row["epoch"] for row in history(path)] == [1, 2]
    assert [row["epoch"] for row in history(path, len(first) + 1)] == [1]
    assert history(tmp_path / "none") == []
