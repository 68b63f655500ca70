from hypothesis import given
from hypothesis import strategies as st

from kdcore.workspace.events import EventLog, history, read


def test_events_are_read_once_from_where_the_last_reading_ended(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log("stage", stage="a", state="running")
    first, offset = read(path)
    log("stage", stage="a", state="done")
    second, _ = read(path, offset)
    assert [event["state"] for event in first + second] == ["running", "done"]


@given(st.binary(max_size=60))
def test_a_torn_or_foreign_line_spoils_no_other(tmp_path_factory, garbage):
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    log = EventLog(path)
    log("one")
    log.close()
    with path.open("ab") as file:
        file.write(garbage)
    EventLog(path)("two")
    kinds = [event["type"] for event in read(path)[0]]
    assert kinds[0] == "one"
    assert kinds[-1] == "two"


def test_half_a_line_waits_for_its_other_half(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"type": "one"}\n{"type": "tw')
    events, offset = read(path)
    assert [event["type"] for event in events] == ["one"]
    assert offset == 16


def test_a_history_is_read_up_to_what_is_safe(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert history(path) == [{"epoch": 1}, {"epoch": 2}]
    assert history(path, 13) == [{"epoch": 1}]
    assert history(tmp_path / "none") == []
