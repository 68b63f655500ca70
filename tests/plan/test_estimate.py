import pytest

from kdcore.models.cost import costs
from kdcore.plan import estimate as module
from kdcore.plan.estimate import FIXED_SECONDS, NOMINAL_RATE, START_SECONDS, architectures, estimate, weights
from kdcore.plan.plan import plan
from kdcore.workspace import slots
from kdcore.workspace.events import EventLog
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace
from tests.small import small


def test_the_weight_of_a_stage_counts_student_thrice_and_teacher_once():
    recipe = small("teacher.model.width=16")
    made = plan(recipe)
    sizes = {name: 1e6 if '"width":16' in name else 1e5 for name in architectures(made)}
    found = {stage.title: weights(made, sizes)[stage.key] for stage in made.stages}
    batch = recipe.train.batch_size
    images = 60 * batch
    seen = 60 * recipe.teacher.train.batch_size
    assert found["teacher"] == pytest.approx(FIXED_SECONDS + seen * 3e6 / NOMINAL_RATE)
    assert found["student alone, seed 0"] == pytest.approx(FIXED_SECONDS + images * 3e5 / NOMINAL_RATE)
    assert found["student distilled, seed 1"] == pytest.approx(FIXED_SECONDS + images * 1.3e6 / NOMINAL_RATE)
    assert found["pruned 50 %"] == pytest.approx(FIXED_SECONDS + 30 * batch * 1.3e6 / NOMINAL_RATE)
    assert found["int8"] == FIXED_SECONDS


def test_a_step_that_learns_without_a_training_of_its_own_is_counted():
    def weighed(step):
        made = plan(small(f"compress=[{step}]"))
        return weights(made, dict.fromkeys(architectures(made), 1e6))[made.stages[-1].key]

    learnt = weighed('{"step": "adaround", "iterations": 100}')
    assert learnt == pytest.approx(FIXED_SECONDS + 4 * 32 * 100 * 1e6 / NOMINAL_RATE)
    assert weighed('{"step": "weight_quant"}') == FIXED_SECONDS


def test_a_teacher_whose_weights_alone_are_wanted_costs_no_time():
    def weighed(*method):
        made = plan(small(*method))
        sizes = dict.fromkeys(architectures(made), 1e6)
        return next(weights(made, sizes)[one.key] for one in made.stages if one.role == "distilled")

    images = 60 * small().train.batch_size
    assert weighed() == pytest.approx(FIXED_SECONDS + images * 4e6 / NOMINAL_RATE)
    assert weighed("distill.method=weight_selection") == pytest.approx(FIXED_SECONDS + images * 3e6 / NOMINAL_RATE)


def test_devices_share_the_work_of_a_training_where_they_are_gpus(monkeypatch):
    def training(*changes):
        made = plan(small(*changes))
        found = weights(made, dict.fromkeys(architectures(made), 1e6))
        return next(found[one.key] for one in made.stages if one.role == "distilled") - FIXED_SECONDS

    alone = training()
    assert training("train.devices=2") == alone
    monkeypatch.setattr(module.machine, "device", lambda: "cuda")
    monkeypatch.setattr(slots, "gpus", lambda: ("0", "1"))
    assert training("train.devices=2") == pytest.approx(alone / 2)


def counted(made):
    classes, shape = len(made.dataset["classes"]), tuple(made.dataset["shape"])
    return costs([(options, classes, shape) for options in architectures(made).values()])


def test_without_a_past_there_is_no_estimate(tmp_path):
    told = estimate(plan(small()), Workspace(tmp_path), 1.0)
    assert told.seconds is None
    assert "Nothing has run" in told.basis


def test_it_scales_with_what_the_machine_did_before(tmp_path, monkeypatch):
    made = plan(small())
    seconds = []
    for pace in (1.0, 2.0):
        monkeypatch.setattr(Index, "pace", lambda self, pace=pace: [("", pace)])
        seconds.append(estimate(made, Workspace(tmp_path), 1.0).seconds - 1.0 - START_SECONDS)
    assert seconds[1] == pytest.approx(2 * seconds[0])


def test_the_ideal_speed_up_is_that_of_the_critical_path(tmp_path, monkeypatch):
    monkeypatch.setattr(Index, "pace", lambda self: [("", 100.0)])
    found = estimate(plan(small()), Workspace(tmp_path), 1.0)
    assert 1.0 + START_SECONDS < found.shortest < found.seconds
    assert found.speedup > 1.5
    assert estimate(plan(small("controls=[]", "seeds=[0]")), Workspace(tmp_path), 1.0).speedup < found.speedup


def test_the_range_is_that_of_the_paces(tmp_path, monkeypatch):
    monkeypatch.setattr(Index, "pace", lambda self: [("", value / 10) for value in range(11)])
    found = estimate(plan(small()), Workspace(tmp_path), 1.0)
    low, middle, high = (value - 1.0 - START_SECONDS for value in (found.low, found.seconds, found.high))
    assert (low, high) == pytest.approx((middle / 5, 1.8 * middle))


def test_a_network_that_has_been_trained_here_is_given_its_own_pace(tmp_path, monkeypatch):
    made = plan(small("teacher.model.width=16"))
    sizes = {name: cost.macs for name, cost in zip(architectures(made), counted(made), strict=True)}
    teacher = next(name for name in sizes if '"width":16' in name)
    monkeypatch.setattr(Index, "pace", lambda self: [(teacher, 5.0), ("another", 1.0), ("another", 1.0)])
    told = estimate(made, Workspace(tmp_path), 1.0).seconds - 1.0 - START_SECONDS
    weighed = weights(made, sizes)
    assert told == pytest.approx(sum(weighed.values()) + 4 * weighed[made.stages[0].key])


def test_models_that_are_there_cost_nothing(tmp_path, monkeypatch):
    workspace, made = Workspace(tmp_path), plan(small())
    monkeypatch.setattr(Index, "pace", lambda self: [("", 1.0)])
    for stage in made.stages:
        workspace.model(stage.key).mkdir(parents=True)
        (workspace.model(stage.key) / "done.json").write_text('{"files": {}}')
    told = module.estimate(made, workspace, 1.0)
    assert told.seconds == pytest.approx(1.0 + START_SECONDS)
    assert f"{len(made.stages)} of {len(made.stages)}" in told.basis


def test_a_gpu_is_given_the_timing_seconds_again(tmp_path, monkeypatch):
    made = plan(small())
    monkeypatch.setattr(Index, "pace", lambda self: [("", 1.0)])
    seconds = []
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(module.machine, "device", lambda device=device: device)
        seconds.append(estimate(made, Workspace(tmp_path), 8.0).seconds)
    assert seconds[1] - seconds[0] == pytest.approx(8.0)


def test_the_past_tells_which_network_took_how_long(tmp_path):
    workspace, made = Workspace(tmp_path).ensure(), plan(small("teacher.model.width=16"))
    meta = {"name": "a run", "created": 1.0, "requested": "run", "turn": 1, "order": 1.0}
    run_id = workspace.new_run({"recipe.json": small().document(), "plan.json": made.document(), "meta.json": meta})
    emit = EventLog(workspace.run(run_id) / "events.jsonl")
    emit("weights", weights={stage.key: 2.0 for stage in made.stages}, session=1.0)
    for stage in made.stages:
        emit("stage", stage=stage.key, state="done", seconds=8.0 if stage.role == "teacher" else 2.0)
    index = Index(workspace)
    index.sync()
    teacher, student = architectures(made)
    assert set(index.pace()) == {(teacher, 4.0), (student, 1.0)}, "the compressed stages are the student's"
    assert len(index.pace()) == len(made.stages) == len(index.stages(run_id))
