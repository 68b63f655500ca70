"""The installed libraries against the allowed ranges and the lock."""

from packaging.requirements import Requirement

from kdcore.jobs import doctor, versions

HERE = {"torch": "2.15.0+cpu", "numpy": "2.4.6", "torch-pruning": "1.6.1"}


def wanted(*lines):
    return [Requirement(line) for line in lines]


def test_a_version_outside_the_range_and_a_missing_library_are_named():
    found = versions.differences(wanted("numpy>=2.5,<3", "torch>=2.11,<3", "onnx<2", "Torch_Pruning>=1.6"), HERE)
    assert [(one.name, one.installed) for one in found] == [("numpy", "2.4.6"), ("onnx", None)]


def test_the_build_for_a_cpu_is_the_version_of_the_lock():
    assert versions.differences(wanted("torch==2.15.0"), HERE) == []


def test_the_lock_names_every_direct_dependency_within_its_range():
    pins = {one.name: one for one in versions.locked()}
    for one in versions.allowed():
        pin = next(iter(pins[one.name].specifier))
        assert one.specifier.contains(pin.version), f"{one} is not what the lock has: run `make upgrade`"


def test_the_lock_leaves_out_what_is_for_other_systems(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "CHECKOUT", tmp_path)
    text = "a==1 ; sys_platform == 'nowhere' \\\n    --hash=sha256:0\nb==2 \\\n    --hash=sha256:1\n    # via c==3\n"
    (tmp_path / "requirements.txt").write_text(text)
    assert [str(one) for one in versions.locked()] == ["b==2"]


def test_doctor_finds_a_version_that_is_not_allowed_and_only_mentions_one_that_is(monkeypatch):
    monkeypatch.setattr(versions, "allowed", lambda: wanted("numpy>=2,<3"))
    monkeypatch.setattr(versions, "locked", lambda: wanted("numpy==2.4.0"))
    monkeypatch.setattr(versions, "installed", lambda: HERE)
    check = doctor._versions()
    assert check.ok
    assert "numpy 2.4.6 (==2.4.0)" in check.found
    monkeypatch.setattr(versions, "allowed", lambda: wanted("numpy>=3"))
    check = doctor._versions()
    assert not check.ok
    assert "numpy 2.4.6 (>=3)" in check.found


def test_doctor_says_when_libraries_take_too_long_to_load(monkeypatch):
    monkeypatch.setattr(doctor, "LOAD_SECONDS", 0.01)
    found = doctor._libraries()
    assert not found.ok
    assert "less busy" in found.found
