"""Where things are kept, in a checkout and from an installed wheel."""

from pathlib import Path

from kdcore import paths


def test_a_checkout_keeps_its_workspace_and_opens_its_own_dashboard(monkeypatch):
    monkeypatch.delenv("KDCORE_HOME", raising=False)
    assert paths.home() == paths.CHECKOUT / "workspace"
    assert paths.dashboard() == paths.CHECKOUT / "app.py"


def test_a_wheel_keeps_nothing_beside_the_package(tmp_path, monkeypatch):
    monkeypatch.delenv("KDCORE_HOME", raising=False)
    monkeypatch.setattr(paths, "PACKED", tmp_path)
    assert paths.home() == Path.home() / ".local" / "share" / "kdcore"
    assert paths.dashboard() == tmp_path / "app.py"


def test_the_environment_names_other_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path / "w"))
    monkeypatch.delenv("KDCORE_DATA", raising=False)
    assert (paths.home(), paths.data_home()) == (tmp_path / "w", tmp_path / "w" / "data")
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "d"))
    assert paths.data_home() == tmp_path / "d"
