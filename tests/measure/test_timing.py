from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore import models, registry
from kdcore.export import openvino_runtime, runtime
from kdcore.measure import timing
from kdcore.measure.peak_memory import peak_memory_mb
from tests import patience

DIGIT = (1, 8, 8)
SECONDS = {"teacher": 0.004, "student": 0.001, "int8": 0.0005}  # of one image; a batch of 64 takes 8 times as long


class Clock:
    """Time that passes when a model runs, and at no other moment; the thread has a core for `share` of it."""

    def __init__(self, share=1.0):
        self.now, self.share, self.calls = 0.0, share, []

    def perf_counter(self):
        return self.now

    def perf_counter_ns(self):
        return round(self.now * 1e9)

    def thread_time_ns(self):
        return round(self.now * self.share * 1e9)


class Model:
    def __init__(self, name, clock):
        self.name, self.clock = name, clock

    def get_inputs(self):
        return [SimpleNamespace(name="images")]

    def run(self, outputs, feed):
        batch = len(feed["images"])
        self.clock.calls.append((self, batch, feed["images"]))
        self.clock.now += SECONDS[self.name] * (1 if batch == 1 else batch / 8)

    def took(self, shape):
        """For token ids of this shape: as long as they are, where 24 take SECONDS."""
        self.clock.now += SECONDS[self.name] * shape[0] * shape[1] / 24


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    monkeypatch.setattr(timing, "_cpu_clock", made.thread_time_ns)
    monkeypatch.setattr(timing, "peak_memory_mb", lambda path, shape: 42.0)
    monkeypatch.setattr(runtime, "session", lambda path: Model(path, made))
    return made


def measure(seconds=10.0, **options):
    return timing.session({name: name for name in SECONDS}, "teacher", DIGIT, seconds=seconds, **options)


def test_ratios_are_those_of_the_models(clock):
    session = measure()
    for batch in (1, 64):
        assert timing.ratio(session, batch, "student", "teacher") == pytest.approx((4, 4, 4))
        assert timing.ratio(session, batch, "teacher", "int8") == pytest.approx((1 / 8, 1 / 8, 1 / 8))
        assert timing.aa_band(session, batch) == pytest.approx((1, 1))
    student = session["models"]["student"]
    assert student["peak_memory_mb"] == 42.0
    assert student["batches"]["64"]["wall_ms"] == pytest.approx(8)
    assert student["batches"]["64"]["wall_p90_ms"] == pytest.approx(8)
    assert student["batches"]["1"]["cpu_ms"] == pytest.approx(1)
    assert (session["reference"], session["noisy"], session["contention"]) == ("teacher", False, {"1": 1.0, "64": 1.0})
    json.dumps(session, allow_nan=False)


def test_every_round_runs_all_models_and_the_copy_of_the_reference(clock):
    session = measure()
    warm_ups = len(SECONDS) + 1
    models = {id(model): model.name for model, _, _ in clock.calls}
    assert Counter(models.values()) == {"teacher": 2, "student": 1, "int8": 1}
    for batch in (1, 64):
        runs = [id(model) for model, size, _ in clock.calls if size == batch]
        groups = [(model, len(list(group))) for model, group in itertools.groupby(runs)]
        assert [length for _, length in groups[:warm_ups]] == [timing.WARM_UPS] * warm_ups
        rounds = session["protocol"]["rounds"][str(batch)]
        told = session["protocol"]["calls"][str(batch)]
        assert set(told) == {*SECONDS, timing.COPY}
        assert all(timing.CALLS[0] <= calls <= timing.CALLS[1] for calls in told.values())
        in_a_round = sum(calls + timing.THROW_AWAY for calls in told.values())
        assert len(runs) == warm_ups * timing.WARM_UPS + rounds * in_a_round
        for start in range(warm_ups * timing.WARM_UPS, len(runs), in_a_round):
            turns = [model for model, _ in itertools.groupby(runs[start : start + in_a_round])]
            assert len(turns) == len(set(turns)) == warm_ups  # each once, all its calls in one turn
        assert len(session["aa"][str(batch)]["rounds_cpu_ms"]) == rounds


def test_the_order_changes_from_round_to_round_and_with_the_seed(clock):
    def order(seed):
        clock.calls.clear()
        measure(seed=seed)
        runs = [model.name for model, size, _ in clock.calls if size == 1][4 * timing.WARM_UPS :]
        return "".join(name[0] for name, _ in itertools.groupby(runs))

    first = order(0)
    assert first == order(0)
    assert first != order(1)
    assert len({first[at : at + 4] for at in range(0, 80, 4)}) > 5


def test_images_are_uniform_and_the_same_for_all(clock):
    measure()
    images = [given for _, size, given in clock.calls if size == 64]
    assert all(given is images[0] for given in images)
    assert images[0].shape == (64, *DIGIT)
    assert images[0].dtype == np.float32
    assert 0 <= images[0].min() < 0.01
    assert 0.99 < images[0].max() <= 1


def test_texts_are_timed_at_two_lengths_more_within_the_budget(clock, monkeypatch):
    monkeypatch.setattr(Model, "run", lambda self, outputs, feed: self.took(next(iter(feed.values())).shape))
    shape = ("text", 24, 128, 1000, "words")
    files = {name: name for name in SECONDS}
    session = timing.session(files, "teacher", shape, seconds=9.0, lengths=True)
    for name, seconds in SECONDS.items():
        for length in (16, 64):
            assert timing.at_length(session, length, name) == pytest.approx(1000 * seconds * length / 24)
        assert timing.milliseconds(session, 1, name) == pytest.approx(1000 * seconds)
    assert clock.now < 9.5
    assert timing.at_length(timing.session(files, "teacher", shape, seconds=1.0), 16, "int8") is None
    short = timing.session(files, "teacher", ("text", 9, 20, 1000, "words"), seconds=1.0, lengths=True)
    assert list(short["models"]["int8"]["lengths"]) == ["16"]


def test_pictures_have_one_size(clock):
    assert "lengths" not in measure(lengths=True)["models"]["teacher"]


@pytest.mark.parametrize("seconds", [5.0, 7.0, 9.0])
def test_the_budget_is_kept(clock, seconds):
    session = measure(seconds)
    rounds = session["protocol"]["rounds"]
    assert rounds["1"] == timing.MOST_ROUNDS
    assert timing.FEWEST_ROUNDS < rounds["64"] < timing.MOST_ROUNDS
    assert session["seconds"] == clock.now
    calls = session["protocol"]["calls"]["64"]
    one_round = sum((count + 1) * 8 * SECONDS.get(key, SECONDS["teacher"]) for key, count in calls.items())
    assert seconds - one_round <= session["seconds"] <= seconds
    assert session["protocol"]["budget_s"] == seconds


def test_too_small_a_budget_gets_the_fewest_rounds(clock):
    assert measure(0.0)["protocol"]["rounds"] == {"1": timing.FEWEST_ROUNDS, "64": timing.FEWEST_ROUNDS}


def test_a_batch_that_exceeds_the_budget_by_itself_is_left_out_and_told(clock, monkeypatch):
    for name in SECONDS:
        monkeypatch.setitem(SECONDS, name, 0.1)
    session = measure(0.5)  # 4 networks of 0.1 s an image, so 3.2 s for one pass of 64
    assert set(session["models"]["teacher"]["batches"]) == set(session["aa"]) == set(session["contention"]) == {"1"}
    assert session["left_out"]["64"].startswith("batches of 64 examples were left out")
    assert session["protocol"]["rounds"] == {"1": timing.LEAST_ROUNDS}
    assert clock.now < 6
    assert not [size for _, size, _ in clock.calls if size == 64]


@pytest.mark.parametrize("seconds", [20.0, 40.0])
def test_slow_networks_keep_to_a_budget_that_just_holds_them(clock, monkeypatch, seconds):
    for name in SECONDS:
        monkeypatch.setitem(SECONDS, name, 0.04)
    session = measure(seconds)
    assert session["left_out"] == {}
    assert session["protocol"]["rounds"]["64"] >= timing.LEAST_ROUNDS
    assert clock.now < 1.1 * seconds


def test_a_large_budget_is_not_used_up(clock):
    assert measure(1000.0)["protocol"]["rounds"] == {"1": timing.MOST_ROUNDS, "64": timing.MOST_ROUNDS}
    assert clock.now < 30
    assert measure(1000.0, most_rounds=7)["protocol"]["rounds"] == {"1": 7, "64": 7}


@pytest.mark.parametrize(("share", "noisy"), [(0.96, False), (0.94, True), (0.5, True)])
def test_a_busy_machine_is_told(clock, share, noisy):
    clock.share = share
    session = measure()
    assert session["contention"]["1"] == pytest.approx(share, abs=1e-3)
    assert session["noisy"] is noisy
    assert timing.ratio(session, 1, "student", "teacher").value == pytest.approx(4, rel=1e-3)


def test_progress_rises_to_one_at_most_a_few_times_a_second(clock):
    told = []
    measure(4.0, on_progress=lambda share: told.append((clock.now, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert len(told) >= 10
    assert all(later - earlier >= timing.TELL_SECONDS for (earlier, _), (later, _) in itertools.pairwise(told))


def test_a_session_ends_when_progress_raises(clock):
    class Cancelled(Exception):
        pass

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        measure(on_progress=cancel)


@pytest.fixture
def beside(clock, monkeypatch):
    """OpenVINO, which takes half as long for every file, and cannot read the file int8."""

    class Beside:
        def __init__(self, path):
            if path == "int8":
                raise runtime.UnreadableModel("too few bits")
            self.model = Model(path, clock)

        def ready(self, images):
            def call():
                self.model.run(None, {"images": images})
                clock.now -= SECONDS[self.model.name] / 2 * (1 if len(images) == 1 else len(images) / 8)

            return call

    monkeypatch.setattr(openvino_runtime, "installed", lambda: True)
    monkeypatch.setattr(openvino_runtime, "version", lambda: "1.0")
    monkeypatch.setattr(openvino_runtime, "Model", Beside)


def test_openvino_runs_in_the_same_rounds_and_is_told_apart(beside):
    session = measure(openvino=True)
    assert set(session["models"]) == set(session["openvino"]["models"]) == set(SECONDS)
    for batch in (1, 64):
        assert timing.ratio(session, batch, "student", "teacher") == pytest.approx((4, 4, 4))
        assert timing.ratio(session, batch, "student", "teacher", openvino=True) == pytest.approx((8, 8, 8))
        assert timing.ratio(session, batch, "teacher", "teacher", openvino=True) == pytest.approx((2, 2, 2))
        found = session["openvino"]["models"]["student"]["batches"][str(batch)]
        assert len(found["rounds_cpu_ms"]) == session["protocol"]["rounds"][str(batch)]
    assert timing.milliseconds(session, 1, "student", openvino=True) == pytest.approx(0.5)
    json.dumps(session, allow_nan=False)


def test_a_file_that_openvino_cannot_run_is_timed_all_the_same(beside):
    session = measure(openvino=True)
    assert session["openvino"]["models"]["int8"] == {"batches": {}, "reason": "too few bits"}
    assert set(session["models"]["int8"]["batches"]) == {"1", "64"}


def test_without_openvino_the_session_says_how_it_is_installed(clock, monkeypatch):
    monkeypatch.setattr(openvino_runtime, "installed", lambda: False)
    session = measure(openvino=True)
    assert openvino_runtime.INSTALL in session["openvino"]["reason"]
    assert timing.ratio(session, 1, "student", "teacher") == pytest.approx((4, 4, 4))
    assert "openvino" not in measure()


def test_a_reference_that_is_not_there_is_refused(clock):
    with pytest.raises(KeyError):
        timing.session({"student": "student"}, "teacher", DIGIT, seconds=1)


def document(reference, copy, other):
    rows = {"reference": reference, "other": other}
    models = {key: {"batches": {"1": {"rounds_cpu_ms": values}}} for key, values in rows.items()}
    return {"reference": "reference", "models": models, "aa": {"1": {"rounds_cpu_ms": copy}}}


def test_the_ratio_is_that_of_the_medians():
    session = document([2.0, 4.0, 100.0], [1.0] * 3, [1.0, 2.0, 1.0])
    found = timing.ratio(session, 1, "other", "reference")
    assert found.value == 4.0  # medians 4 and 1
    # Of the 27 equally likely samples of rounds one in 27 has the first round alone, and one the last alone.
    assert (found.low, found.high) == (2 / 1, 100 / 1)


@given(st.lists(st.floats(0.5, 2), min_size=5, max_size=20), st.floats(0.1, 10))
def test_noise_that_strikes_a_whole_round_cancels(noise, factor):
    session = document(noise, noise, [factor * value for value in noise])
    found = timing.ratio(session, 1, "other", "reference")
    assert found == pytest.approx((1 / factor,) * 3)
    assert timing.aa_band(session, 1) == pytest.approx((1, 1))


def test_the_interval_is_that_of_scipys_paired_bootstrap():
    from scipy import stats

    generator = np.random.default_rng(0)
    slow, fast = generator.lognormal(1, 0.2, 40), generator.lognormal(0, 0.2, 40)
    session = document(slow.tolist(), slow.tolist(), fast.tolist())
    found = timing.ratio(session, 1, "other", "reference")

    def statistic(above, below, axis):
        return np.median(above, axis=axis) / np.median(below, axis=axis)

    expected = stats.bootstrap(
        (slow, fast), statistic, paired=True, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx(np.median(slow) / np.median(fast))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.02)


def test_the_band_holds_one_and_what_the_copies_differ_by():
    assert timing.aa_band(document([2.0] * 5, [1.6] * 5, [1.0] * 5), 1) == pytest.approx((1, 1.25))
    assert timing.aa_band(document([2.0] * 5, [2.5] * 5, [1.0] * 5), 1) == pytest.approx((0.8, 1))


def test_reading_a_session_needs_neither_torch_nor_onnxruntime():
    code = (
        "import sys; from kdcore.measure import timing;"
        f"found = timing.ratio({document([2.0] * 5, [2.0] * 5, [1.0] * 5)!r}, 1, 'other', 'reference');"
        "assert found.value == 2.0;"
        "assert not {'torch', 'onnxruntime', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patience.SECONDS)


@pytest.fixture(scope="module")
def small(trained, write):
    return write(trained)


def test_a_session_over_real_files(small):
    session = timing.session({"a": small, "b": small}, "a", DIGIT, seconds=0.0)
    for batch in ("1", "64"):
        row = session["models"]["b"]["batches"][batch]
        assert row["cpu_ms"] > 0
        assert 0 < row["wall_ms"] <= row["wall_p90_ms"]
        assert len(row["rounds_cpu_ms"]) == timing.FEWEST_ROUNDS
    assert session["machine"]["cores"] >= 1
    json.dumps(session, allow_nan=False)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not tell a process's peak")
def test_peak_memory_grows_with_the_model(small, write):
    chosen = registry.validate("architecture", {"architecture": "mlp", "widths": [4096, 2048]})
    large = write(models.create(chosen, 10, DIGIT, [0.0], [1.0]).eval())
    assert large.stat().st_size > 34e6
    before, after = peak_memory_mb(small, DIGIT), peak_memory_mb(large, DIGIT)
    assert 20 < before < 300
    assert after > before + 34


def test_peak_memory_of_a_file_that_does_not_run_is_unknown(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    assert peak_memory_mb(tmp_path / "bad.onnx", DIGIT) is None
