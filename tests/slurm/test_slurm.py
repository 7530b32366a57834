"""The files of docs/cluster under a real SLURM: training over two nodes, preempted and requeued."""

import json
import sys
import time
from pathlib import Path

import cluster
import pytest
from helpers import ROOT, one_device_environment

from foodjax.workdir.metrics import read_metrics

TINY = ROOT / "tests/run/hosts_tiny.py"
pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("own_cache")]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    if why := cluster.missing():
        pytest.skip(why)
    with cluster.Slurm(tmp_path_factory.mktemp("slurm") / "files") as running:
        yield running


def submit(slurm, folder: Path) -> str:
    """Submits a training with docs/cluster/train.sbatch; returns the number of its job."""
    slurm.environment |= one_device_environment() | {"SLURM_CONF": slurm.environment["SLURM_CONF"]}
    slurm.environment |= {"FOODJAX": f"{sys.executable} -P -m foodjax", "PYTHONPATH": str(ROOT)}
    slurm.environment.pop("XLA_FLAGS", None)
    words = ("--config", TINY, "--workdir", folder, "--config.train.epochs=20", "--config.train.patience=20")
    place = (f"--output={folder}.log", f"--chdir={folder.parent}")
    return slurm.run("sbatch", "--parsable", *place, *map(str, (ROOT / "docs/cluster/train.sbatch", *words))).strip()


def wait(slurm, job: str, folder: Path, until, seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert slurm.state(job) not in ("FAILED", "CANCELLED"), Path(f"{folder}.log").read_text()
        assert time.monotonic() < deadline, Path(f"{folder}.log").read_text()
        time.sleep(0.2)


def test_a_training_over_two_nodes_that_is_preempted_and_requeued_ends_with_the_same_bits(slurm, tmp_path):
    calm, disturbed = tmp_path / "calm", tmp_path / "disturbed"
    job = submit(slurm, calm)
    wait(slurm, job, calm, lambda: slurm.state(job) == "COMPLETED")
    job = submit(slurm, disturbed)
    wait(slurm, job, disturbed, lambda: len(read_metrics(disturbed / "metrics.jsonl")) > 1)
    slurm.run("scancel", "--signal=TERM", job)  # what --signal=TERM@120 does two minutes before the end
    wait(slurm, job, disturbed, lambda: slurm.restarts(job) == 1)
    wait(slurm, job, disturbed, lambda: slurm.state(job) == "COMPLETED")
    log = Path(f"{disturbed}.log").read_text()
    assert log.count("interrupted at step") == 1
    assert log.count("continuing") == 1
    sessions = json.loads((disturbed / "run.json").read_text())["sessions"]
    assert [(one["outcome"], one["processes"]) for one in sessions] == [("interrupted", 2), ("finished", 2)]
    names = ["metrics.jsonl", "finished.json", "evaluation/predictions.csv", "evaluation/evaluation.json"]
    names += [path.relative_to(calm) for path in calm.glob("checkpoints/*/progress/metadata")]  # with the digests
    assert len(names) > 5
    for name in names:
        assert (disturbed / name).read_bytes() == (calm / name).read_bytes(), name
