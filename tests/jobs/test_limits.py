"""Several people at one workspace: whose run it is, what each may do and use, and whose turn it is."""

from __future__ import annotations

import pytest

from kdcore.files import read_json, write_json
from kdcore.jobs import api, limits
from kdcore.jobs.dispatcher import pending
from kdcore.jobs.limits import Used
from kdcore.workspace import access, gc, settings
from kdcore.workspace.access import OPERATOR, Person, Refused
from kdcore.workspace.settings import People
from kdcore.workspace.workspace import Workspace
from tests.small import small

ANA, BEN, CARL = (Person(f"{number:012x}", name, "launch") for number, name in enumerate(("Ana", "Ben", "Carl"), 1))
PROF = Person("f" * 12, "Prof", "manage")
RECIPE = small()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setattr(access, "_identify", access._identify)
    return Workspace(tmp_path / "workspace").ensure()


def acts(person):
    access.identify(lambda: person)


def submitted(workspace, person):
    acts(person)
    return api.submit(workspace, RECIPE)


def finish(workspace, run_id):
    write_json(workspace.run(run_id) / "result.json", {"state": "done", "turn": 1, "started": 1.0, "finished": 2.0})


def test_only_the_owner_and_who_manages_change_a_run(workspace):
    run = submitted(workspace, ANA)
    assert read_json(workspace.run(run) / "meta.json")["owner"] == ANA.id
    changes = (
        lambda: api.request(workspace, run, "cancel"),
        lambda: api.request(workspace, run, "run"),
        lambda: api.rename(workspace, run, "Mine"),
        lambda: api.annotate(workspace, run, notes="x"),
        lambda: api.delete(workspace, run),
    )
    before = read_json(workspace.run(run) / "meta.json")
    for other in (BEN, ANA._replace(role="look"), access.VISITOR):
        acts(other)
        for change in changes:
            with pytest.raises(Refused):
                change()
    assert read_json(workspace.run(run) / "meta.json") == before
    for who, name in ((ANA, "Ana's"), (PROF, "Prof's"), (OPERATOR, "the machine's")):
        acts(who)
        api.rename(workspace, run, name)
    acts(ANA)
    api.delete(workspace, run)
    acts(BEN)
    with pytest.raises(Refused):
        api.restore(workspace, run)
    acts(ANA)
    api.restore(workspace, run)


def test_only_who_manages_changes_what_is_everybodys(workspace):
    run = submitted(workspace, ANA)
    for change in (
        lambda: api.reorder(workspace, run, 0),
        lambda: settings.write(workspace, slots=2),
        lambda: gc.collect(workspace),
    ):
        acts(ANA)
        with pytest.raises(Refused):
            change()
        acts(PROF)
        change()


def test_who_looks_starts_nothing(workspace):
    with pytest.raises(Refused, match="may look"):
        submitted(workspace, ANA._replace(role="look"))
    assert workspace.run_ids() == []


def test_each_person_has_one_run_a_round(workspace):
    settings.write(workspace, people={"queued": None})
    who = {submitted(workspace, person): person.name[0] for person in (ANA, ANA, ANA, ANA, BEN, BEN, CARL)}

    def order():
        found = api.queue(workspace).runs
        assert [item.run_id for item in pending(workspace, {})] == found
        return "".join(who[run] for run in found)

    assert order() == "ABCABAA"
    finish(workspace, api.queue(workspace).runs[0])
    assert order() == "BCABAA"
    who[submitted(workspace, CARL)] = "C"  # who has had no turn for long does not make up for it
    assert order() == "BCABCAA"
    acts(PROF)
    api.reorder(workspace, api.queue(workspace).runs[-1], 0)
    assert order() == "ABCABCA"


def test_runs_without_an_owner_keep_their_order_and_their_file(workspace):
    runs = [submitted(workspace, OPERATOR) for _ in range(3)]
    assert api.queue(workspace).runs == runs
    assert not {"owner", "round"} & read_json(workspace.run(runs[0]) / "meta.json").keys()


def test_the_limit_on_queued_runs_is_each_persons_own(workspace):
    settings.write(workspace, people={"queued": 1})
    first = submitted(workspace, ANA)
    with pytest.raises(Refused, match="1 run in the queue, which is the limit"):
        submitted(workspace, ANA)
    submitted(workspace, BEN)
    submitted(workspace, PROF)
    submitted(workspace, PROF)
    finish(workspace, first)
    second = submitted(workspace, ANA)
    with pytest.raises(Refused):
        api.request(workspace, first, "run")  # which would queue it again
    assert second in api.queue(workspace).runs


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (Used(0, 7199, 0), ""),
        (Used(0, 7200, 0), "24 hours"),
        (Used(0, 0, 2 * 10**9), "uploads take 2.00 GB"),
        (Used(2, 7199, 2 * 10**9 - 1), ""),
    ],
)
def test_limits_say_what_is_used_up(now, said):
    refused = limits.over(People(), now)
    assert said in refused
    assert bool(said) == bool(refused)
    assert not limits.over(People(queued=None, hours=None, gigabytes=None), Used(10**6, 1e9, 10**15))


def test_disk_counts_runs_uploads_and_what_no_other_run_needs(workspace):
    run = submitted(workspace, ANA)
    key = workspace.plan(run).stages[0].key
    for path in (workspace.model(key) / "model.onnx", workspace.root / "people" / ANA.id / "uploads" / "x.zip"):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(10**6))
    assert 2 * 10**6 < limits.used(workspace, ANA.id).bytes < 2.2 * 10**6
    submitted(workspace, BEN)  # of the same Recipe
    assert 10**6 < limits.used(workspace, ANA.id).bytes < 1.2 * 10**6


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/etc/passwd", False),
        ("~/secret.onnx", False),
        ("../../secret.onnx", False),
        ("{root}/uploads/../people/codes.json", False),
        ("{root}/people/codes.json", False),
        ("{root}/people/000000000001/person.json", False),
        ("{root}/uploads/ab/model.onnx", True),
        ("{root}/people/000000000001/uploads/ab/model.onnx", True),
        ("", True),
    ],
)
def test_a_class_reads_only_what_was_uploaded(workspace, path, allowed):
    document = {
        "name": "/any",
        "teacher": {"source": {"source": "onnx_file", "path": path.format(root=workspace.root)}},
    }
    for person, free in ((ANA, allowed), (PROF, True), (OPERATOR, True)):
        acts(person)
        assert (limits.outside(workspace, document) == "") is free
