"""What the stages of one run share."""

import json


def test_fine_tuning_looks_up_what_the_teacher_said_when_the_student_was_distilled(laboratory):
    student = laboratory.carry_out(laboratory.submit("seeds=[5]"))
    prune = json.dumps([{"step": "prune_structured", "round_to": 2, "finetune": {"steps": 10}}])
    both = laboratory.carry_out(laboratory.submit("seeds=[6]", f"compress={prune}"))
    said = [len(run._stages.builder.teachers.answers._kept) for run in (student, both)]
    assert both.stages[-1]["stage"].startswith("pruned")
    assert said[0] == said[1] > 10
