import json
import subprocess
import sys

import pytest

from kdcore import files
from kdcore.files import Damaged, held, lock, read_json, replacing, write_json


def test_a_write_that_fails_leaves_the_old_text(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    with pytest.raises(FileNotFoundError), replacing(path) as temporary:
        temporary.write_text("half")
        read_json(tmp_path / "missing.json")
    assert read_json(path)["a"] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", '{"schema": 99}', "\xff"])
def test_what_cannot_be_read_is_said_to_be_damaged(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Damaged):
        read_json(path)
    assert read_json(tmp_path / "missing.json", None) is None


def test_a_lock_is_free_once_its_holder_is_killed(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import time; from filelock import FileLock;"
        f"held = FileLock({str(path)!r}); held.acquire(); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    assert held(path)
    holder.kill()
    with lock(path):
        pass
    holder.wait()
    assert not held(path)


def test_documents_are_readable_text(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Überraschung"})
    assert "Überraschung" in (tmp_path / "a.json").read_text("utf-8")
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["schema"] == 1


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    files.require_locks(tmp_path / "good")
    monkeypatch.setattr(files, "held", lambda path: False)  # as where everybody is granted every lock
    with pytest.raises(files.NoLocks, match="does not honour locks"):
        files.require_locks(tmp_path / "bad")
    assert not list(tmp_path.glob("*/.locks*"))
