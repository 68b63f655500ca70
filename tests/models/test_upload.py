from __future__ import annotations

import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from kdcore import models
from kdcore.models import upload
from kdcore.models.upload import UploadError, read
from kdcore.registry import validate

torch.set_num_threads(1)

SHAPE = (1, 8, 8)
IMAGES = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))


def make(architecture: str | dict, classes: int = 5, shape: tuple[int, int, int] = SHAPE) -> tuple[nn.Module, dict]:
    torch.manual_seed(0)
    options, channels = validate("architecture", architecture), shape[0]
    about = (classes, shape, [0.3] * channels, [0.4] * channels)
    network = models.create(options, *about)
    network(torch.rand(8, *shape))
    return network.eval(), models.describe(options, *about)


@pytest.fixture(scope="module")
def made() -> tuple[nn.Module, dict]:
    return make({"architecture": "cnn", "width": 4})


@pytest.fixture
def here(monkeypatch) -> None:
    """Does the subprocess's work in this process: the same function without its limits, and in no time."""

    def convert(path: Path, target: Path, ema: bool) -> Path:
        upload._convert(path, target, ema)
        return target

    monkeypatch.setattr(upload, "_converted", convert)


def same(left: nn.Module, right: nn.Module) -> bool:
    with torch.no_grad():
        return torch.equal(left(IMAGES), right(IMAGES)) and not right.training


def test_a_safetensors_file_gives_the_same_network(made, tmp_path):
    network, document = made
    save_file(network.state_dict(), tmp_path / "file")
    assert same(network, read(tmp_path / "file", document))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "best_acc": 71.2, "state_dict": state},
        lambda state: {"model": state, "optimizer": {"lr": 0.1}},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}},
        lambda state: {"best_acc1": torch.tensor(71.2), "state_dict": state},
        lambda state: {"epoch": torch.tensor(3), "weights": state, "optimizer": {"state": {0: {"m": IMAGES}}}},
        lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"model.{name}": t for name, t in state.items()} | {"loss.weight": IMAGES}},
        lambda state: {name.replace("stage1.", "stage1.module."): tensor for name, tensor in state.items()},
        lambda state: {"n_averaged": torch.tensor(9)} | {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: state | {"stage1.total_ops": torch.zeros(1)},
        lambda state: {"model_ema": state},
    ],
    ids=[
        "plain",
        "state_dict",
        "model",
        "module",
        "nested",
        "a tensor beside",
        "another wrapper",
        "compiled",
        "Lightning",
        "parallel within",
        "averaged",
        "counted",
        "EMA alone",
    ],
)
def test_torchs_own_files_are_unwrapped(made, here, wrap, legacy, tmp_path):
    network, document = made
    torch.save(wrap(dict(network.state_dict())), tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    assert same(network, read(tmp_path / "a.pth", document))


@pytest.mark.parametrize("place", ["beside", "in the names", "in the names of safetensors"])
@pytest.mark.parametrize("ema", [False, True])
def test_the_running_mean_is_taken_when_it_is_asked_for(made, here, place, ema, tmp_path):
    network, document = made
    trained, mean = network.state_dict(), {name: tensor + 1 for name, tensor in network.state_dict().items()}
    both = {f"model.{name}": tensor for name, tensor in trained.items()}
    both |= {f"ema_model.module.{name}": tensor for name, tensor in mean.items()}
    path = tmp_path / "a.ckpt"
    if place == "in the names of safetensors":
        save_file(both, path)
    else:
        torch.save({"model": trained, "model_ema": mean} if place == "beside" else {"state_dict": both}, path)
    taken, held = upload.take(path, upload.Wanted(document, ema=ema))
    assert held.both
    torch.testing.assert_close(models.head(taken).bias.data, (mean if ema else trained)["head.bias"])


def test_a_misfit_is_told_by_the_files_own_names(made, here, tmp_path):
    torch.save({"state_dict": {f"model.net.{name}": IMAGES for name in ("conv1.weight", "fc.weight")}}, tmp_path / "a")
    with pytest.raises(UploadError, match=r"unknown: model\.net\.conv1\.weight, model\.net\.fc\.weight"):
        read(tmp_path / "a", made[1])


def test_what_old_or_other_programs_do_not_write_may_be_absent(made, here, tmp_path):
    network, document = made
    state = {
        name: tensor.half().float().bfloat16() if name == "head.bias" else tensor
        for name, tensor in network.state_dict().items()
        if not name.startswith("normalize") and not name.endswith("num_batches_tracked")
    }
    save_file(state, tmp_path / "a.safetensors")
    given = read(tmp_path / "a.safetensors", document)
    assert given.get_submodule("normalize").mean.item() == pytest.approx(0.3)
    assert models.head(given).bias.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(given(IMAGES), network(IMAGES), atol=1e-2, rtol=0)


def test_a_pickle_is_read_in_a_subprocess_within_its_limits(made, tmp_path):
    network, document = made
    torch.save(network.state_dict(), tmp_path / "good.pt")
    assert same(network, read(tmp_path / "good.pt", document))


def test_a_pickle_cannot_run_code(made, here, tmp_path):
    network, document = made

    class Trap:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'sprung'}",)

    torch.save({"state_dict": network.state_dict(), "note": Trap()}, tmp_path / "trap.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Trap(), protocol=2))
    for name in ("trap.pt", "raw.pt"):
        with pytest.raises(UploadError, match=r"more than tensors|damaged"):
            read(tmp_path / name, document)
    assert not (tmp_path / "sprung").exists()
    pickle.loads((tmp_path / "raw.pt").read_bytes())
    assert (tmp_path / "sprung").exists()  # it was a trap indeed


def test_a_whole_pickled_network_is_refused_with_what_to_save_instead(made, here, tmp_path):
    network, document = made
    torch.save(network, tmp_path / "whole.pt")
    with pytest.raises(UploadError, match=r"more than tensors.*torch\.save\(model\.state_dict\(\), path\)"):
        read(tmp_path / "whole.pt", document)


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_a_file_that_is_cut_short_is_told_as_such(made, here, keep, tmp_path):
    network, document = made
    torch.save(network.state_dict(), tmp_path / "a.pt")
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    for name in ("a.pt", "a.safetensors"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: int(keep * len(content))])
        with pytest.raises(UploadError, match="damaged or cut short"):
            read(tmp_path / name, document)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + b"0" * 40, b"hello", b"0"])
def test_a_file_of_another_kind_is_refused(made, content, tmp_path):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(UploadError, match="neither safetensors nor written by torch"):
        read(tmp_path / "a.pt", made[1])


def test_an_empty_file_and_a_zip_of_pictures_are_refused(made, here, tmp_path):
    (tmp_path / "empty.pt").touch()
    with pytest.raises(UploadError, match="empty"):
        read(tmp_path / "empty.pt", made[1])
    with zipfile.ZipFile(tmp_path / "pictures.pt", "w") as file:
        file.writestr("cat.png", b"0" * 100)
    with pytest.raises(UploadError, match="damaged or cut short"):
        read(tmp_path / "pictures.pt", made[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [([1, 2], "contains a list"), ({"epoch": 3, "encoder": {}}, "'epoch', 'encoder', but no tensors"), ({}, "nothing")],
)
def test_a_file_without_tensors_by_name_says_what_it_holds(made, here, content, message, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UploadError, match=message):
        read(tmp_path / "a.pt", made[1])


def test_numbers_that_are_not_finite_are_refused_by_name(made, tmp_path):
    network, document = made
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state["stage1.conv.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(UploadError, match=r"'stage1\.conv\.weight' contains values that are not finite"):
        read(tmp_path / "a.safetensors", document)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensor: tensor.to(torch.complex64), "type C64|type complex64"),
        (lambda tensor: tensor.to(torch.float8_e4m3fn), "type F8_E4M3|type float8_e4m3fn"),
        (lambda tensor: tensor.to(torch.int8), "type I8"),
        (lambda tensor: tensor.double() + 1e300, "not finite"),
    ],
    ids=["complex", "float8", "int8", "beyond float32"],
)
def test_numbers_of_another_kind_are_refused_by_name(made, here, tmp_path, change, message, suffix):
    network, document = made
    state = dict(network.state_dict())
    state["stage1.conv.weight"] = change(state["stage1.conv.weight"])
    (save_file if suffix == ".safetensors" else torch.save)(state, tmp_path / f"a{suffix}")
    with pytest.raises(UploadError, match=rf"'stage1\.conv\.weight' .*({message})"):
        read(tmp_path / f"a{suffix}", document)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("normalize.std", 0.0, "standard deviation that is not above zero"),
        ("normalize.std", -0.4, "standard deviation that is not above zero"),
        ("stage1.norm.running_var", -1.0, "negative variance"),
    ],
)
def test_a_spread_that_makes_no_sense_is_refused_by_name(made, tmp_path, name, value, message):
    network, document = made
    state = {place: tensor.clone() for place, tensor in network.state_dict().items()}
    state[name].fill_(value)
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(UploadError, match=f"'{name}' contains a {message}"):
        read(tmp_path / "a.safetensors", document)


@pytest.mark.parametrize(
    ("wanted", "classes", "message"),
    [
        ({"architecture": "resnet", "depth": 14}, 5, r"depth 14.*tensors missing: stage1\.1\.conv1\.weight, .* more$"),
        ({"architecture": "resnet", "depth": 8, "width": 2}, 5,
         r"of another shape: .*stem\.conv\.weight \(16, 1, 3, 3\), not \(32, 1, 3, 3\)"),
        ({"architecture": "resnet", "depth": 8}, 7, r"for 5 classes, and this data set has 7"),
        ({"architecture": "cnn"}, 5, r"missing: .*stage1\.conv\.weight.*; unknown: stage1\.0\.conv1\.weight"),
    ],
)  # fmt: skip
def test_weights_of_other_options_are_told_by_the_first_tensors_that_differ(wanted, classes, message, tmp_path):
    save_file(make({"architecture": "resnet", "depth": 8})[0].state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(UploadError, match=message):
        read(tmp_path / "a.safetensors", make(wanted, classes)[1])


def test_torchvisions_own_names_are_understood(tmp_path):
    import torchvision

    torch.manual_seed(0)
    original = torchvision.models.get_model("shufflenet_v2_x0_5", num_classes=5).eval()
    options = validate(
        "architecture", {"architecture": "torchvision", "name": "shufflenet_v2_x0_5", "small_stem": "no"}
    )
    document = models.describe(options, 5, (3, 64, 64), [0.0] * 3, [1.0] * 3)
    save_file(original.state_dict(), tmp_path / "a.safetensors")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(read(tmp_path / "a.safetensors", document)(images), original(images))


def test_the_subprocess_is_ended_when_it_takes_too_long(made, monkeypatch, tmp_path):
    monkeypatch.setattr(upload, "TIMEOUT_SECONDS", 0.05)
    torch.save({}, tmp_path / "a.pt")
    with pytest.raises(UploadError, match=r"longer than 0\.05 s"):
        read(tmp_path / "a.pt", made[1])


def test_the_subprocess_cannot_take_all_memory(made, tmp_path):
    """A file of some kilobytes whose tensor unpacks to gigabytes: every place of it is the same number."""
    torch.save({"big": torch.zeros(1).expand(2**31)}, tmp_path / "bomb.pt")
    assert (tmp_path / "bomb.pt").stat().st_size < 10_000
    with pytest.raises(UploadError, match="memory"):
        read(tmp_path / "bomb.pt", made[1])


def test_the_limits_are_set_before_anything_is_read(tmp_path):
    code = "from kdcore.models.upload import _limit; _limit(0); bytearray(4 * 2**30)"
    done = subprocess.run([os.sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr
