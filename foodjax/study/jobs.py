"""Sweeps on many machines: jobs that each work on one sweep folder, submitted through submitit.

A job is the sweep command itself. Jobs find in the folder which runs are finished and which another one has claimed, so
that they need no messages; the runs of a job that is killed are free for the others.
"""

import importlib
import shutil
import time
from pathlib import Path
from typing import Any

from foodjax.config import values
from foodjax.study.space import Trial
from foodjax.study.sweep import is_finished, program
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.imports import import_problem
from foodjax.system.signals import Interrupt, Interrupted

_POLL = 2.0  # seconds
_ROUNDS = 3  # in which no run was finished, before the sweep gives up


def check(cluster: str) -> str:
    """Returns the cluster that jobs can be submitted to: "local", processes of this machine, where there is no SLURM.

    Raises:
        UserError: submitit cannot be imported.
    """
    if problem := import_problem("submitit"):
        raise UserError(
            f"--on {cluster} needs submitit, which cannot be imported ({problem}): pip install 'foodjax[slurm]'"
        )
    if cluster == "slurm" and not shutil.which("srun"):
        say("there is no SLURM on this machine: the jobs are processes of it")
        return "local"
    return cluster


def work(
    trials: list[Trial], command: list[str], folder: Path, jobs: int, cluster: str, options: dict[str, Any]
) -> None:
    """Submits jobs until every run is finished, or none of them finishes another one; waits for them.

    Args:
        trials: of the sweep.
        command: arguments of foodjax that a job runs, "sweep" first.
        folder: of the sweep; the logs of the jobs are in its .jobs/.
        jobs: number of jobs at once.
        cluster: that `check` returned.
        options: of submitit's executor, such as slurm_partition and timeout_min.

    Raises:
        Interrupted: a signal ended the sweep; the jobs were cancelled, and have saved their steps.
        UserError: the cluster refuses the jobs.
    """
    submitit: Any = importlib.import_module("submitit")
    start, environment = program()
    setup = [f"export PYTHONPATH={environment['PYTHONPATH']}"] if "PYTHONPATH" in environment else []
    executor = submitit.AutoExecutor(folder=folder / ".jobs", cluster=cluster)
    more = {"slurm_setup": setup, "slurm_signal_delay_s": 60} if cluster == "slurm" else {}
    executor.update_parameters(**({"timeout_min": 24 * 60, "name": folder.name} | more | options))
    idle = 0
    while (left := _unfinished(trials)) and idle < _ROUNDS:
        function = submitit.helpers.CommandFunction([*start, *command], env=environment)
        try:
            submitted = [executor.submit(function) for _ in range(min(jobs, len(left)))]
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"the jobs cannot be submitted: {error}") from None
        say(f"{len(left)} runs to do: jobs {', '.join(job.job_id for job in submitted)}; logs in {folder / '.jobs'}")
        _wait(submitted)
        idle = idle + 1 if len(_unfinished(trials)) == len(left) else 0


def command_of(
    experiment: str, folder: Path, overrides: dict[str, Any], prune: int, baseline: str, folds: int = 0
) -> list[str]:
    """Returns the arguments of the sweep that a job runs."""
    words = ["sweep", "--config", experiment, "--workdir", str(folder.absolute()), "--jobs", "1", "--prune", str(prune)]
    words += ["--folds", str(folds)] if folds else []
    words += ["--baseline", baseline] if baseline else []
    return words + [f"--config.{key}={values.spell(value)}" for key, value in overrides.items()]


def _unfinished(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if not is_finished(trial)]


def _wait(submitted: list[Any]) -> None:
    try:
        with Interrupt() as interrupt:
            while not all(job.done() for job in submitted):
                interrupt.check()
                time.sleep(_POLL)
    except (Interrupted, KeyboardInterrupt):
        for job in submitted:
            job.cancel(check=False)
        raise
