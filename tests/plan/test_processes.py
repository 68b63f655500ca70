"""Two processes over one plan: when a second one pays, and how long they take."""

import pytest

from kdcore import machine
from kdcore.plan import processes as module
from kdcore.plan.plan import plan
from kdcore.plan.processes import critical_path, processes, together
from tests.machines import two_cores
from tests.small import small


@pytest.fixture
def idle_core(monkeypatch):
    two_cores(monkeypatch)


def test_a_second_process_pays_on_an_idle_core_with_enough_to_train(idle_core, monkeypatch):
    stages = plan(small()).stages
    assert processes(stages) == 2
    assert processes(()) == processes(stages[:1]) == 1
    for name, value in (("device", "cuda"), ("cores", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(machine, name, lambda value=value: value)
            assert processes(stages) == 1
    monkeypatch.setattr(module, "WORTH_STEPS", 10**6)
    assert processes(stages) == 1


def test_two_processes_wait_for_what_a_stage_needs():
    stages = plan(small("compress=[]", "controls=[]")).stages  # a teacher, two students alone, two distilled
    seconds = {stage.key: {"teacher": 3, "alone": 2, "distilled": 4}[stage.role] for stage in stages}
    assert together(stages, seconds, 1) == 15
    # The teacher (0 to 3) beside a student (0 to 2), the other student (2 to 4), distilled (3 to 7) and (4 to 8).
    assert together(stages, seconds, 2) == 8
    # Models that are there already are waited for no more.
    assert together(stages[1:], seconds, 2) == 6
    assert together((), {}, 2) == 0


def test_no_number_of_processes_is_faster_than_the_critical_path():
    stages = plan(small()).stages
    seconds = {stage.key: place + 1.0 for place, stage in enumerate(stages)}
    assert critical_path(stages, seconds) == together(stages, seconds, len(stages))
    assert critical_path(stages[1:], seconds) < critical_path(stages, seconds) < together(stages, seconds, 1)
    assert critical_path((), {}) == 0
