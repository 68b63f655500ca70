"""Downloading and preparing: progress, kills, several processes, wrong files, no network."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from filelock import FileLock

from kdcore import registry
from kdcore.cli import main
from kdcore.data import dataset, download, places, prepare
from kdcore.data.dataset import NotFetched
from kdcore.data.download import FetchFailed
from kdcore.data.fetch import fetch, here, status
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, Progress, RawImages, Remote
from kdcore.paths import CHECKOUT

CONTENT = np.random.RandomState(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at /file.bin, with ranges; `ends_after` cuts the next answer short."""

    ends_after: int | None = None
    ranges = True
    asked: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        self.server.asked.append(self.headers["Range"])
        if self.path != "/file.bin":
            self.send_error(404)
            return
        start = 0
        if self.server.ranges and (asked := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")):
            start = int(asked[1])
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end, self.server.ends_after = self.server.ends_after, None
        with contextlib.suppress(OSError):
            self.wfile.write(CONTENT[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def remote(server, tmp_path, monkeypatch):
    """A data set "far" whose one file the server has; its images are the file's first bytes."""
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    registry.entries("dataset")

    def register(**changes: object):
        url = f"http://127.0.0.1:{server.server_port}/file.bin"
        file = Remote("file.bin", (url,), len(CONTENT), hashlib.md5(CONTENT).hexdigest())._replace(**changes)

        def far(options, work) -> RawImages:
            images = np.frombuffer((work.raw / "file.bin").read_bytes()[:96], np.uint8).reshape(8, 2, 2, 3)
            return RawImages(images[:4], np.array([0, 1, 0, 1]), images[4:], np.array([0, 1, 0, 1]), ("a", "b"))

        registry._entries.pop(("dataset", "far"), None)
        registry.register("dataset", "far", "For tests", traits=DatasetTraits(fetch=Fetch("Far away", file)))(far)
        return registry.validate("dataset", "far")

    yield register
    registry._entries.pop(("dataset", "far"), None)


def test_a_page_that_loads_is_told_what_to_do_and_nothing_is_downloaded(remote, server, tmp_path):
    source = remote()
    with pytest.raises(NotFetched) as caught:
        dataset.load(source)
    (problem,) = caught.value.problems
    assert problem.field == "data.source"
    assert problem.message == (
        "Far away is not on this machine yet (0.3 MB): fetch it with `python -m kdcore fetch far`, or press Download"
    )
    assert (caught.value.source, caught.value.title, caught.value.download_bytes) == (source, "Far away", 300_000)
    assert status(source) == ("missing", "Far away", 300_000, None, "")
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_the_command_that_is_told_names_the_options():
    with pytest.raises(NotFetched) as caught:
        dataset.load(registry.validate("dataset", {"dataset": "cifar10", "classes": 5}))
    assert caught.value.command == """python -m kdcore fetch '{"dataset": "cifar10", "classes": 5}'"""


def test_fetch_downloads_prepares_and_tells_how_far_it_is(remote, tmp_path):
    source, seen = remote(), []
    made = fetch(source, seen.append)
    assert made.train_images.tobytes() == CONTENT[:48]
    assert dataset.load(source).fingerprint == made.fingerprint
    assert status(source).state == "ready"
    assert seen[0] == Progress("downloading file.bin", 0, 300_000, "bytes")
    assert seen[-1] == Progress("downloading file.bin", 300_000, 300_000, "bytes")
    left = sorted(path.name for path in (tmp_path / "far").iterdir() if not path.name.endswith(".lock"))
    assert left == [places.place(source).name, "raw"]
    assert here("far") == {"prepared": [{}], "download_bytes": 0, "here": "yes"}


def test_a_second_fetch_asks_nobody(remote, server):
    source = remote()
    fetch(source)
    server.asked.clear()
    fetch(source, lambda progress: pytest.fail("there was nothing to do"))
    assert server.asked == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_it_ended(remote, server, ranges):
    source = remote()
    server.ends_after, server.ranges = 100_000, ranges
    with pytest.raises(FetchFailed, match=r"file.bin could not be downloaded .*100000 of 300000 bytes"):
        fetch(source)
    assert status(source).state == "failed"
    assert fetch(source).train_images.tobytes() == CONTENT[:48]
    assert server.asked == [None, "bytes=100000-"]


def test_a_part_that_is_wrong_is_thrown_away(remote, server):
    source = remote()
    raw = places.raw_folder(source)
    raw.mkdir(parents=True)
    (raw / "file.bin.part").write_bytes(b"something else" * 10)
    assert fetch(source).train_images.tobytes() == CONTENT[:48]
    (raw / "file.bin").rename(raw / "file.bin.part")  # complete, but not renamed before the kill
    assert fetch(remote(bytes=1)).train_images.tobytes() == CONTENT[:48]


def test_what_is_not_the_expected_file_is_not_taken(remote, tmp_path):
    source = remote(md5="0" * 32)
    with pytest.raises(FetchFailed, match="the download is not the expected file"):
        fetch(source)
    assert list((tmp_path / "far" / "raw").iterdir()) == []


def test_without_a_network_the_message_says_where_to_put_which_file(remote, tmp_path):
    source = remote(urls=("http://127.0.0.1:9/main/file.bin", "http://127.0.0.1:8/file.bin"))
    with pytest.raises(FetchFailed) as caught:
        fetch(source)
    message = str(caught.value)
    assert f"put this into {tmp_path / 'far' / 'raw'}: file.bin from http://127.0.0.1:9/main/file.bin" in message
    assert all(f"127.0.0.1:{port}: [Errno" in message for port in (9, 8))
    assert status(source) == ("failed", "Far away", 300_000, None, message)
    (tmp_path / "far" / "raw" / "file.bin").write_bytes(CONTENT)
    with pytest.raises(NotFetched, match=r"is not prepared yet \(nothing to download\).*or press Prepare"):
        dataset.load(source)
    assert fetch(source).test_images.tobytes() == CONTENT[48:96]


def test_a_wrong_file_put_there_by_hand_is_named_and_stays(remote, tmp_path):
    source = remote()
    raw = tmp_path / "far" / "raw"
    raw.mkdir(parents=True)
    (raw / "file.bin").write_bytes(b"wrong")
    with pytest.raises(FetchFailed, match=r"raw/file.bin is not the expected file .*delete it and fetch again"):
        fetch(source)
    assert (raw / "file.bin").read_bytes() == b"wrong"


def test_a_full_disk_is_told_before_the_download(remote, server, monkeypatch):
    monkeypatch.setattr(download, "SPARE_BYTES", 2**60)
    with pytest.raises(FetchFailed, match="set KDCORE_DATA to a folder on a larger disk"):
        fetch(remote())
    assert server.asked == []


def test_what_cannot_be_prepared_is_told_and_leaves_nothing_half_done(remote, monkeypatch, tmp_path):
    source = remote()
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_info", lambda *_: (_ for _ in ()).throw(OSError("No space left on device")))
        with pytest.raises(FetchFailed, match="Far away could not be prepared: No space left"):
            fetch(source)
    assert status(source).message == "Far away could not be prepared: No space left on device"
    assert [path.name for path in (tmp_path / "far").iterdir() if path.is_dir()] == ["raw"]
    assert fetch(source).classes == ("a", "b")


def test_who_comes_while_another_fetches_waits_and_sees_its_progress(remote, server):
    source, seen = remote(), []
    folder = places.place(source)
    folder.parent.mkdir(parents=True)
    holder = FileLock(folder.with_name(f".{folder.name}.lock"))
    holder.acquire()
    note = {"schema": 1, "progress": Progress("downloading file.bin", 7, 9, "bytes")._asdict()}
    folder.with_name(f"{folder.name}.fetching.json").write_text(json.dumps(note))
    assert status(source) == ("fetching", "Far away", 300_000, Progress("downloading file.bin", 7, 9, "bytes"), "")
    loaded = []
    waiting = threading.Thread(target=lambda: loaded.append(fetch(source, seen.append)))
    waiting.start()
    for _ in range(1000):
        if not seen:
            time.sleep(0.01)
    assert seen[0] == Progress("downloading file.bin", 7, 9, "bytes")
    assert server.asked == []
    holder.release()
    waiting.join(20)
    assert loaded[0].classes == ("a", "b")


def test_two_at_once_download_once(remote, server):
    source, loaded = remote(), []
    threads = [threading.Thread(target=lambda: loaded.append(fetch(source))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({one.fingerprint for one in loaded}) == 1
    assert server.asked == [None]


KILLED = """
import sys
from kdcore import registry
from kdcore.data.sets import folder
from kdcore.data.fetch import fetch
fetch(registry.validate("dataset", {"dataset": "folder", "path": sys.argv[1]}), lambda p: print(p.done, flush=True))
"""


def test_a_fetch_that_is_killed_leaves_missing_and_the_next_one_cleans_up(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))
    path = pictures({f"{name}/{n}.png": (n, 200) for name in "ab" for n in range(50)})
    source = registry.validate("dataset", {"dataset": "folder", "path": str(path), "size": 8})
    command = [sys.executable, "-c", KILLED.replace("sys.argv[1]}", 'sys.argv[1], "size": 8}'), str(path)]
    with subprocess.Popen(command, cwd=CHECKOUT, env=os.environ, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert status(source).state == "fetching"
        process.kill()
    assert status(source).state == "missing"
    assert len(prepare.leftovers(places.place(source))) == 1
    assert len(fetch(source).train_labels) == 80
    assert prepare.leftovers(places.place(source)) == []


def test_the_command_line_fetches_and_says_what_it_has(remote, capsys, monkeypatch):
    remote()
    assert main.main(["fetch", "far", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"name": "far", "classes": 2, "shape": [3, 2, 2], "train": 4, "test": 4}.items() <= told.items()
    assert main.main(["fetch", "far"]) == 0
    assert capsys.readouterr().out == "far: 4 training and 4 test examples, 2 classes\n"
    assert main.main(["datasets", "--json"]) == 0
    found = {known["name"]: known for known in json.loads(capsys.readouterr().out)}
    assert (found["far"]["here"], found["digits"]["here"]) == ("yes", "yes")
    assert found["cifar10"] | {"here": "170 MB to download", "download_bytes": 170_498_071} == found["cifar10"]


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        ("nothing", 2, "there is no dataset 'nothing'; there are: "),
        ('{"dataset": "cifar10", "classes": 11}', 2, "less than or equal to 10"),
        ('{"dataset": ', 2, "is not JSON"),
        ("folder", 2, "data.source.path: choose the folder or the .zip"),
        ("far", 1, "Without a network, put this into"),
    ],
)
def test_bad_input_and_failures_are_one_line(remote, capsys, wanted, code, words):
    remote(urls=("http://127.0.0.1:9/file.bin",))
    assert main.main(["fetch", wanted]) == code
    printed = capsys.readouterr()
    assert words in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
