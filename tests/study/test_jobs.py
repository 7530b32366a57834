"""A sweep worked by jobs, which submitit starts as processes of this machine where there is no SLURM."""

import time

import psutil
import pytest
from helpers import start_main, write_experiment

from foodjax.study import jobs, space, sweep
from foodjax.system.errors import UserError

VARIANTS = ["", "blocks=1", "lr=1e-3"]


def test_a_cluster_needs_submitit(monkeypatch):
    monkeypatch.setattr(jobs, "import_problem", lambda name: f"no {name}")
    with pytest.raises(UserError, match=r"--on slurm needs submitit.+pip install 'foodjax\[slurm\]'"):
        jobs.check("slurm")


def test_without_slurm_the_jobs_are_processes_of_this_machine(monkeypatch, capsys):
    monkeypatch.setattr(jobs, "import_problem", lambda name: "")
    monkeypatch.setattr(jobs.shutil, "which", lambda name: None)
    assert jobs.check("slurm") == "local"
    assert "there is no SLURM on this machine" in capsys.readouterr().out


def test_a_job_is_the_sweep_command(tmp_path):
    words = jobs.command_of("a.py", tmp_path / "s", {"train.epochs": 2, "data.class_names": ("a", "b")}, 0, "x")
    assert words[:5] == ["sweep", "--config", "a.py", "--workdir", str(tmp_path / "s")]
    assert words[5:] == [
        "--jobs", "1", "--prune", "0", "--baseline", "x", "--config.train.epochs=2", "--config.data.class_names=a,b",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_two_jobs_work_on_one_sweep_and_one_is_killed(tmp_path):
    pytest.importorskip("submitit")
    path, folder = write_experiment(tmp_path, VARIANTS, epochs=6), tmp_path / "runs"
    trials = space.create_trials(str(path), {}, folder)
    words = ("sweep", "--config", path, "--workdir", folder, "--on", "local", "--jobs", 2)
    with start_main(*words) as command:
        deadline = time.monotonic() + 400
        while not (started := [trial for trial in trials if sweep.epochs_done(trial)]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        processes = psutil.Process(command.pid).children(recursive=True)
        mine = [one for one in processes if str(started[0].workdir) in one.cmdline() and "train" in one.cmdline()]
        mine[0].parent().kill()  # the sweep of a job; its training saves and ends
        assert command.wait(400) == 0
    assert all(sweep.is_finished(trial) for trial in trials)
    assert (folder / "comparison").is_dir()
    counts = [len(sweep.run_record.read(trial.workdir)["sessions"]) for trial in trials]
    assert sorted(counts) == [1, 1, 2]
