"""What the gauntlet does with each damage and each hostile input: in a copy of a workspace of real runs, by the real
commands, and by a real worker where something is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from kdcore.cli.main import main
from kdcore.files import read_json, write_json
from kdcore.jobs import api
from kdcore.jobs.doctor import Check
from kdcore.workspace.state import state
from kdcore.workspace.workspace import Workspace
from tests.small import small

QUICK = ("seeds=[0]", "controls=[]", 'compress=[{"step": "int8"}]', "measure.timing_seconds=0", "train.steps=10")
KILLED_AFTER = 2  # checkpoints


class Found(NamedTuple):
    """What a trial found. `traceback`: the first one's last line. None: the question does not arise."""

    traceback: str | None = None
    hidden: bool | None = None
    ended: bool | None = None
    wrong: bool | None = None


class Answer(NamedTuple):
    code: int
    out: str
    err: str
    traceback: str | None


class Place(NamedTuple):
    """A workspace with a run that stays whole and one that is damaged.

    `rows`: what `show --json` says of either before. `weights`: digests of all models' weights when they are finished.
    """

    root: Path
    whole: str
    broken: str
    rows: dict[str, Any]
    weights: dict[str, str]


def ask(*arguments: str) -> Answer:
    """Runs one command of the command line in this process; its dispatcher stays away."""
    out, err = io.StringIO(), io.StringIO()
    told = None
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        patch.object(api, "ensure_dispatcher", lambda workspace: None),
        patch("kdcore.jobs.doctor._libraries", lambda: Check("libraries", True, "not looked at")),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException as problem:
            code, told = 1, _last(problem)
    return Answer(code, out.getvalue(), err.getvalue(), told)


def _last(problem: BaseException) -> str:
    try:
        return traceback.format_exception_only(problem)[-1].strip()[:200]
    except Exception:  # the repr of what is nested deep
        return type(problem).__name__


def rows(run_id: str) -> Any:
    """The variants of a run as `show --json` tells them; None where it tells none."""
    answer = ask("show", run_id, "--json")
    if answer.code or answer.traceback:
        return None
    return [_short(row) for row in json.loads(answer.out)["variants"]]


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("variant", "accuracy", "size_bytes", "model_key")}


# Workers


def _work(root: Path, run_id: str, killed_after: int | None) -> None:
    from kdcore.jobs.worker import work
    from kdcore.train import checkpoint

    os.environ["KDCORE_HOME"] = str(root)
    written, write = [0], checkpoint.write

    def counted(*arguments: Any) -> None:
        write(*arguments)
        written[0] += 1
        if written[0] == killed_after:
            os._exit(9)

    with patch.object(checkpoint, "write", counted):
        os._exit(work(Workspace(root), run_id))


def carry_out(root: Path, run_id: str, killed_after: int | None = None) -> str:
    """The run's state after a worker of its own has ended, which is killed after so many checkpoints."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kdcore.jobs.tasks", "kdcore.jobs.worker", "kdcore.report.comparison"])
    worker = context.Process(target=_work, args=(root, run_id, killed_after))
    worker.start()
    folder = Workspace(root).run(run_id)
    about = {"attempt": 1, "turn": read_json(folder / "meta.json")["turn"], "process": worker.pid}
    about |= {"host": socket.gethostname(), "started": time.time()}
    write_json(folder / "status.json", about)  # as the dispatcher does
    worker.join()
    return state(Workspace(root).run(run_id))


def weights(root: Path) -> dict[str, str]:
    """The SHA-256 of each finished model's weights, or of its file where it has none, by key."""
    found = {}
    for done in sorted(root.glob("models/*/done.json")):
        tensors = done.with_name("model.safetensors")
        file = tensors if tensors.is_file() else done.with_name("model.onnx")
        found[done.parent.name] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "gone"
    return found


# Workspaces


def make(folder: Path) -> tuple[Place, Place]:
    """Two places: one where both runs are done, and one where a run's worker was killed while its teacher trained."""
    finished, cut = folder / "finished", folder / "cut"
    with _home(finished):
        here = Workspace(finished).ensure()
        whole = api.submit(here, small(*QUICK, "name=Whole", "teacher.train.steps=30"))
        assert carry_out(finished, whole) == "done"
        shutil.copytree(finished, cut)
        recipe = small(*QUICK, "name=Broken", "teacher.train.steps=200")
        broken = api.submit(here, recipe)
        assert carry_out(finished, broken) == "done"
        ask("runs")
        place = Place(finished, whole, broken, {one: rows(one) for one in (whole, broken)}, weights(finished))
    with _home(cut):
        killed = api.submit(Workspace(cut), recipe)
        carry_out(cut, killed, KILLED_AFTER)
        ask("runs")
    told = {whole: place.rows[whole], killed: place.rows[broken]}
    return place, place._replace(root=cut, broken=killed, rows=told)


@contextlib.contextmanager
def _home(root: Path) -> Iterator[None]:
    with patch.dict(os.environ, {"KDCORE_HOME": str(root)}):
        yield


@contextlib.contextmanager
def copied(place: Place) -> Iterator[Place]:
    """A copy of the place as the workspace of this process."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a page's thread may still write
        root = Path(folder) / "workspace"
        shutil.copytree(place.root, root, symlinks=True)
        with _home(root):
            yield place._replace(root=root)


# Trials of damage

Change = Callable[[Path], Any]


def _looked(place: Place) -> tuple[list[Answer], bool]:
    """The commands that somebody would try, and whether the whole run is hidden by the damaged one."""
    commands = (
        ("runs",), ("show", place.broken), ("compare", place.broken), ("doctor",), ("reindex",), ("gc",),
        ("show", place.whole), ("compare", place.whole),
    )  # fmt: skip
    answers = [ask(*command) for command in commands]
    listed = ask("runs", "--json")
    states = {} if listed.code else {row["id"]: row["state"] for row in json.loads(listed.out)}
    hidden = states.get(place.whole) != "done" or rows(place.whole) != place.rows[place.whole]
    return [*answers, listed], hidden


def _first(answers: list[Answer]) -> str | None:
    return next((answer.traceback for answer in answers if answer.traceback), None)


def _wrong(place: Place) -> bool:
    """Whether a row of the damaged run shows other numbers than before, and nothing says that something is wrong."""
    answer = ask("show", place.broken, "--json")
    if answer.code or answer.traceback or answer.err:
        return False
    known = {row["variant"]: row for row in place.rows[place.broken]}
    told = [
        {name: row.get(name) for name in known.get(row["variant"], row)} for row in json.loads(answer.out)["variants"]
    ]
    return any(row != known.get(row["variant"]) for row in told)


def of_run(place: Place, file: str, damage: Change) -> Found:
    """A file of the run's folder is damaged; at the end the run is deleted."""
    with copied(place) as here:
        damage(here.root / "runs" / here.broken / file)
        wrong = _wrong(here)
        answers, hidden = _looked(here)
        answers += [ask("delete", here.broken), ask("runs"), ask("gc")]
        return Found(_first(answers), hidden, None, wrong)


def of_index(place: Place, damage: Change) -> Found:
    with copied(place) as here:
        damage(here.root / "index.sqlite")
        answers, hidden = _looked(here)
        both = rows(here.whole) == here.rows[here.whole] and rows(here.broken) == here.rows[here.broken]
        return Found(_first(answers), hidden, None, not both)


def of_folder(place: Place, name: str, damage: Change) -> Found:
    """Something that is no run of ours stands among the runs."""
    with copied(place) as here:
        path = here.root / "runs" / name
        damage(path)
        answers, hidden = _looked(here)
        answers += [ask(command, name) for command in ("show", "resume", "cancel", "delete")]
        return Found(_first(answers), hidden, None, not Path("/etc").is_dir())


def of_model(place: Place, file: str, damage: Change) -> Found:
    """A file of the teacher of a finished run is damaged; then its recipe is run once more."""
    with copied(place) as here:
        damage(here.root / "models" / here.rows[here.broken][0]["model_key"] / file)
        wrong = _wrong(here)
        answers, hidden = _looked(here)
        return _again(here, answers, hidden, wrong)


def of_checkpoint(place: Place, file: str, damage: Change) -> Found:
    """A file of a killed training is damaged: `file` with a * means the one of that kind."""
    with copied(place) as here:
        (checkpoint,) = (here.root / "models").glob("*/checkpoint")
        (path,) = checkpoint.parent.glob(file)
        damage(path)
        answers, hidden = _looked(here)
        return _again(here, answers, hidden, False)


def _again(here: Place, answers: list[Answer], hidden: bool, wrong: bool) -> Found:
    """The same recipe, resumed and as a new run: whether it ends, and with the weights and numbers of before."""
    answers.append(ask("resume", here.broken))
    states = [carry_out(here.root, here.broken)]
    fresh = api.submit(Workspace(here.root), api.recipe(Workspace(here.root), here.broken))
    states.append(carry_out(here.root, fresh))
    found = weights(here.root)
    wrong = wrong or any(found.get(key) != digest for key, digest in here.weights.items())
    return Found(_first(answers), hidden, states != ["done", "done"], wrong or rows(fresh) != here.rows[here.broken])


# Trials of inputs


def of_recipe(place: Place, text: str) -> Found:
    with copied(place) as here:
        path = here.root / "recipe.json"
        path.write_text(text, "utf-8")
        return _refused(ask("submit", str(path)), here)


def of_assignment(place: Place, assignment: str) -> Found:
    with copied(place) as here:
        return _refused(ask("submit", "quickstart", "--set", assignment), here)


def _refused(answer: Answer, here: Place) -> Found:
    """Wrong is what is taken in, or refused with something else than short lines."""
    lines = answer.err.splitlines()
    told = answer.code == 2 and lines and all(len(line) < 1000 and line.isprintable() for line in lines)
    return Found(answer.traceback, rows(here.whole) != here.rows[here.whole], None, not answer.traceback and not told)


def of_name(place: Place, name: str) -> Found:
    """Wrong is what reaches the terminal or a file as more than text."""
    with copied(place) as here:
        for run_id in (here.whole, here.broken):
            api.rename(Workspace(here.root), run_id, name)
        answers = [ask("runs"), ask("runs", "--json"), ask("show", here.whole)]
        answers += [
            ask("compare", here.whole, "--format", kind) for kind in ("csv", "markdown", "html", "latex", "json")
        ]
        text = "".join(answer.out + answer.err for answer in answers)
        return Found(_first(answers), None, None, not all(sign == "\n" or sign.isprintable() for sign in text))


def of_weights(place: Place, change: Callable[[dict[str, Any]], dict[str, Any]], suffix: str) -> Found:
    import torch
    from safetensors.torch import load_file, save_file

    from kdcore.data.dataset import load
    from kdcore.execute.file_teachers import NotFinite, check_answers
    from kdcore.models.upload import UploadError, read

    folder = place.root / "models" / place.rows[place.broken][0]["model_key"]
    state_dict = change(load_file(folder / "model.safetensors"))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"weights{suffix}"
        (save_file if suffix == ".safetensors" else torch.save)(state_dict, path)
        try:
            network = read(path, json.loads((folder / "architecture.json").read_text("utf-8")))
            dataset = load(small().data.source)
            check_answers(network, dataset.train_images, dataset.kind)
        except (UploadError, NotFinite):
            return Found(wrong=False)
        except Exception as problem:
            return Found(_last(problem))
    return Found(wrong=True)


def of_onnx(content: bytes) -> Found:
    from kdcore.export import external_onnx

    wanted = external_onnx.Wanted((1, 8, 8), 10, (0.3,), (0.4,), "0..1", "logits")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        path.write_bytes(content)
        try:
            external_onnx.adopt(path, wanted)
        except external_onnx.ForeignModel:
            return Found(wrong=False)
        except Exception as problem:
            return Found(_last(problem))
    return Found(wrong=True)


def of_link(place: Place, page: str, parameters: tuple[str, ...], value: str) -> Found:
    """A page is opened with hostile parameters: wrong is a page without its title."""
    from streamlit.logger import set_log_level
    from streamlit.testing.v1 import AppTest

    from kdcore.paths import CHECKOUT

    set_log_level("error")  # it warns that there is no browser
    with (
        copied(place),
        patch.object(api, "ensure_dispatcher", lambda workspace: None),
        patch("pages.shared.estimates.at_hand", lambda recipes: False),  # counting networks takes 20 s
    ):
        app = AppTest.from_file(str(CHECKOUT / "pages" / "navigation.py"), default_timeout=120).run()
        for name in parameters:
            app.query_params[name] = value
        app.switch_page(f"{page}/page.py").run()
    return Found(app.exception[0].message[:200] if app.exception else None, wrong=not app.title)
