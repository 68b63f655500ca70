"""Who is let into a class, under which name, and how a browser is known again."""

from __future__ import annotations

import stat

import pytest

from kdcore.files import Damaged, write_json
from kdcore.workspace import people, settings
from kdcore.workspace.people import NotAdmitted
from kdcore.workspace.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "workspace")


def admitted(workspace, name, back="", code=None):
    return people.admit(workspace, code or people.codes(workspace).code, name, back)


def test_only_the_owner_of_the_workspace_reads_the_codes(workspace):
    codes = people.codes(workspace)
    path = workspace.root / "people" / "codes.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    assert people.codes(workspace) == codes
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("code", ["", "short", "SAME-SAME-SAME"])
def test_codes_that_are_easily_guessed_let_nobody_in(workspace, code):
    people.codes(workspace)
    write_json(workspace.root / "people" / "codes.json", {"code": code, "manage": "SAME-SAME-SAME"})
    with pytest.raises(Damaged, match="at least 8"):
        admitted(workspace, "Ana", code=code)


def test_the_code_says_what_somebody_may_do(workspace):
    codes = people.codes(workspace)
    ana = admitted(workspace, "Ana", code=f" {codes.code.lower().replace('-', '')} ").person
    assert (ana.role, admitted(workspace, "Prof", code=codes.manage).person.role) == ("launch", "manage")
    settings.write(workspace, people={"role": "look"})
    assert people.find(workspace, ana.id).role == "look"
    people.set_role(workspace, ana.id, "launch")
    assert people.find(workspace, ana.id).role == "launch"


@pytest.mark.parametrize("code", ["", "-", "WRONGCODE", "x" * 10_000, "\0", "\ud800"])
def test_a_wrong_code_is_a_guess(workspace, code):
    people.codes(workspace)
    with pytest.raises(NotAdmitted) as refused:
        people.admit(workspace, code, "Ana")
    assert refused.value.guessed
    assert not people.everybody(workspace)


def test_two_people_of_one_name_are_two(workspace):
    first, second, third = (admitted(workspace, name) for name in ("Ana", "ANA", "Ａna"))
    assert [one.person.name for one in (first, second, third)] == ["Ana", "ANA (2)", "Ａna (3)"]
    assert [one.namesake for one in (first, second, third)] == [False, True, True]
    assert people.own(workspace, first.person) != people.own(workspace, second.person)


def test_another_browser_is_the_same_person_with_their_own_code(workspace):
    first = admitted(workspace, "Ana")
    own = people.back(workspace, first.person.id)
    second = admitted(workspace, "ana", own.lower())
    assert second.person == first.person
    for name, back in (("Ana", "WRONG-CODE"), ("Ben", own)):
        with pytest.raises(NotAdmitted) as refused:
            admitted(workspace, name, back)
        assert refused.value.guessed
    for token in (first.token, second.token):
        assert people.by_token(workspace, token) == first.person
    people.forget(workspace, first.token)
    assert people.by_token(workspace, first.token) is None
    assert people.by_token(workspace, second.token) == first.person


@pytest.mark.parametrize("token", ["", ".", "../../x.y", "0" * 12, f"{'0' * 12}.x", "a.b.c", "\0"])
def test_no_other_token_is_anybodys(workspace, token):
    admitted(workspace, "Ana")
    assert people.by_token(workspace, token) is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  Ana \n\t Ruiz\0\x1b[31m ", "Ana Ruiz [31m"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\u202eevil\u200b", "evil"),
        ("李雷", "李雷"),
    ],
)
def test_a_name_is_one_line_and_never_a_path(workspace, name, kept):
    person = admitted(workspace, name).person
    assert person.name == kept
    assert people.own(workspace, person).parent == workspace.root / "people"
    assert sorted(path.name for path in workspace.root.parent.iterdir()) == ["workspace"]


@pytest.mark.parametrize("name", ["", " \n", "\0\u200b", "...", "x" * 61, "a" * 10_000])
def test_names_that_cannot_be_shown_are_refused(workspace, name):
    with pytest.raises(NotAdmitted) as refused:
        admitted(workspace, name)
    assert not refused.value.guessed


def test_a_provider_says_who_somebody_is(workspace):
    settings.write(workspace, people={"managers": ["Prof@Example.org"]})
    ana = people.enter(workspace, "https://id 1", "Ana", "ana@example.org")
    assert people.enter(workspace, "https://id 1", "Ana", "ana@example.org") == ana
    assert people.enter(workspace, "https://id 2", "Ana", "").name == "Ana (2)"
    assert people.enter(workspace, "https://id 3", "\0", "prof@example.org").role == "manage"
