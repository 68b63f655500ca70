"""How Ray is spoken to, with a client that notes what it is asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kdcore.files import write_json
from kdcore.jobs import api, conditions, launcher
from kdcore.jobs.launchers import ray
from kdcore.workspace import shapes
from tests.small import small

ADDRESS = "http://head:1"


@pytest.fixture
def client(monkeypatch):
    found = SimpleNamespace(asked=[], jobs={}, stopped=[], error=None)

    def submit_job(**asked):
        if found.error:
            raise found.error
        found.asked.append(asked)
        found.jobs[asked["submission_id"]] = "PENDING"

    found.submit_job, found.stop_job = submit_job, found.stopped.append
    found.list_jobs = lambda: [SimpleNamespace(submission_id=job, status=said) for job, said in found.jobs.items()]
    monkeypatch.setattr(ray, "_client", lambda address: {ADDRESS: found}[address])
    monkeypatch.setattr(conditions, "LOOK_SECONDS", 0.0)
    ray.conditions.cache_clear()
    return found


def launched(workspace, **options):
    run_id = api.submit(workspace, small())
    return run_id, ray.Ray(ray.RayOptions(address=ADDRESS, **options)).launch(workspace, "worker", run_id, (0,))


def test_what_is_asked_of_ray(workspace, client):
    run_id, job = launched(workspace, cpus=6, gpus=2, memory_gb=1.5)
    (asked,) = client.asked
    assert f"-m kdcore worker {run_id} " in asked["entrypoint"]
    assert (asked["entrypoint_num_cpus"], asked["entrypoint_num_gpus"]) == (6, 2)
    assert asked["entrypoint_memory"] == 1536 * 2**20
    assert asked["runtime_env"]["env_vars"].items() >= {"KDCORE_HOME": str(workspace.root), "KDCORE_CORES": "6"}.items()
    job.end()
    assert client.stopped == [asked["submission_id"]]


def test_a_job_is_found_again_on_its_cluster_and_its_states_are_known(workspace, client):
    run_id, job = launched(workspace)
    write_json(workspace.run(run_id) / "status.json", {"turn": 1, "attempt": 1, "started": 1.0, **job.about})
    found = launcher.job_of(shapes.status(workspace.run(run_id)))
    seen = {}
    for state in ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"):
        client.jobs = dict.fromkeys(client.jobs, state)
        seen[found.condition()] = found.lives()
    assert seen == {
        "PENDING": True, "RUNNING": True, "SUCCEEDED": False, "FAILED": False, launcher.CANCELLED: False,
    }  # fmt: skip
    client.jobs.clear()
    assert (found.condition(), found.lives()) == (ray.GONE, False)


def test_a_refusal_of_ray_is_not_its_silence(workspace, client):
    client.error = RuntimeError("Request failed: no such resource")
    with pytest.raises(launcher.Refused, match="no such resource"):
        launched(workspace)
    client.error = ConnectionError()
    with pytest.raises(launcher.Unreachable, match="does not answer"):
        launched(workspace)
