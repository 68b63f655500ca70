"""Optuna's study on disk: what was told survives, what was begun is begun again, and limits steer what comes next."""

import pytest

from kdcore.registry import Searched
from kdcore.search.candidates import at_pace
from kdcore.search.request import parse
from kdcore.search.study import Study, suggest
from tests.search.conftest import document

WIDTH = Searched("width", 2, 64, log=True)


def tried(study, *, tell=True):
    """One trial, more accurate and larger with its width; larger than 32 is beyond the limit."""
    trial = study.ask()
    width = suggest(trial, "width", WIDTH)
    suggest(trial, "last", Searched("last", choices=("nothing", "int8")))
    if tell:
        study.tell(trial, {"width": width}, {"size": width / 32 - 1}, [width / 64] * len(study._study.directions))
    return width


@pytest.mark.parametrize("asked", [{}, {"best": ["accuracy", "size"]}, {"sampler": "random"}])
def test_a_study_goes_on_where_it_was_and_draws_other_candidates(tmp_path, asked):
    search = parse(document(**asked))
    first = [tried(Study(tmp_path, search)) for _ in range(3)]
    study = Study(tmp_path, search)
    assert [row["width"] for row in study.rows] == first
    assert len({*first, tried(study)}) > 1, "each process would begin with the same candidate"


def test_an_interrupted_trial_goes_on_and_counts_once(tmp_path):
    search = parse(document())
    width = tried(Study(tmp_path, search), tell=False)
    study = Study(tmp_path, search)
    assert not study.rows
    assert tried(study) == width
    assert [row["width"] for row in Study(tmp_path, search).rows] == [width]


def test_a_trial_that_was_interrupted_before_it_had_a_value_is_not_lost(tmp_path):
    search = parse(document())
    Study(tmp_path, search).seed([{"width": 5, "last": "int8"}])
    Study(tmp_path, search).ask()
    assert tried(Study(tmp_path, search)) == 5


def test_an_interrupted_trial_counts_once_in_successive_halving(tmp_path):
    search = parse(document(halving=True))
    study = Study(tmp_path, search)
    assert not study.behind(study.ask(), 0, 0.9)  # and its worker dies
    study = Study(tmp_path, search)
    assert not study.behind(study.ask(), 0, 0.9)
    assert all(study.behind(study.ask(), 0, accuracy) for accuracy in (0.8, 0.7, 0.6, 0.5))
    assert not study.behind(study.ask(), 0, 0.85), "second of six, of which two go on"


def test_seeds_come_first_and_once(tmp_path):
    search = parse(document())
    seeds = [{"width": 5, "last": "int8"}, {"width": 6, "last": "nothing"}]
    Study(tmp_path, search).seed(seeds)
    study = Study(tmp_path, search)
    assert study.seeded
    study.seed(seeds)  # as after a kill before it was noted
    assert [tried(study), tried(study)] == [5, 6]
    assert tried(study) not in (5, 6) or tried(study) not in (5, 6)


def test_what_is_beyond_the_limit_is_proposed_less(tmp_path):
    study = Study(tmp_path, parse(document()))
    widths = [tried(study) for _ in range(40)]
    late = widths[20:]
    assert sum(width > 32 for width in late) < len(late) / 2
    assert study.importances()


def test_times_are_told_as_if_the_reference_were_as_fast_as_at_first():
    times = {"latency_ms": 3.0, "ratio": 2.0}
    assert at_pace(times, {"latency_ms": 10.0})["latency_ms"] == 5.0
    assert at_pace(times, {}) == times
