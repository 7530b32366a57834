"""The verb sweep: trains all variants and seeds of an experiment and compares them."""

import glob
from typing import Any

from foodjax.commands.verb import Flag, Given, Verb, integer
from foodjax.config.fold import MOST
from foodjax.system.errors import UserError


def _eta(text: str) -> int:
    value = integer(0)(text)
    if value == 1:
        raise ValueError("0, or at least 2; a rung keeps 1 / ETA of the variants")
    return value


def _folds(text: str) -> int:
    value = integer(0)(text)
    if value == 1 or value > MOST:
        raise ValueError(f"from 2 to {MOST}, or 0 for no folds")
    return value


def _cluster(text: str) -> str:
    if text not in ("slurm", "local"):
        raise ValueError("slurm or local")
    return text


def _options(text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(key and equals for key, equals, _ in pairs):
        raise ValueError("KEY=VALUE, of several ones with commas")
    return {key: int(value) if value.isdecimal() else value for key, _, value in pairs}


def _run(given: Given) -> None:
    from foodjax.study import claims, page, space
    from foodjax.study import sweep as study_sweep

    origin, flags, workdir = given.origin, given.flags, given.workdir
    if flags.folds and not flags.workdir:  # runs/NAME may be the run of the experiment itself
        workdir = workdir.with_name(f"{workdir.name}-{flags.folds}folds")
    trials = space.create_trials(origin["config"], origin["overrides"], workdir, flags.folds)
    if flags.on:
        from foodjax.study import jobs

        command = jobs.command_of(
            origin["config"], workdir, origin["overrides"], flags.prune, flags.baseline, flags.folds
        )
        jobs.work(trials, command, workdir, flags.jobs, jobs.check(flags.on), flags.job or {})
        left = [trial.workdir.name for trial in trials if not study_sweep.is_finished(trial)]
        if left and not flags.prune:
            raise UserError(
                f"{len(left)} runs are not finished, first {left[0]}: see the logs in {workdir / '.jobs'}; the same "
                f"command goes on"
            )
        return
    failed = study_sweep.sweep(trials, origin["overrides"], flags.jobs, flags.prune)
    if any(study_sweep.is_finished(trial) for trial in trials):
        claim = claims.claimed(workdir / "comparison", seconds=-1)  # sweeps that share a folder end together
        assert claim is not None
        try:
            runs = f"*-fold*of{flags.folds}-seed*" if flags.folds else "*"
            page.write_comparison([f"{glob.escape(str(workdir))}/{runs}"], flags.baseline, workdir / "comparison")
        finally:
            claim.release()
    if failed:
        raise UserError(failed)


VERB = Verb(
    "sweep",
    "trains all variants and seeds of an experiment, goes on where it was stopped, and compares them",
    _run,
    "file",
    (
        "foodjax sweep --config ablate_blocks:scale=small --jobs 2 --config.data.dir=food-101",
        "foodjax sweep --config food10_fast --folds 5 --config.data.dir=food-101",
        "foodjax sweep --config ablate_blocks --on slurm --jobs 8 --job slurm_partition=gpu,gpus_per_node=1",
    ),
    (
        Flag("jobs", "N", "runs at once; with --on, jobs at once, of a run each", 1, integer(1)),
        Flag("on", "CLUSTER", "submit jobs: slurm, or local for processes of this machine (submitit)", "", _cluster),
        Flag(
            "job", "KEY=VALUE", "of the jobs, as submitit names it: slurm_partition=gpu,timeout_min=600", None, _options
        ),
        Flag("prune", "ETA", "successive halving: a rung keeps 1 / ETA of the variants; 0 prunes nothing", 0, _eta),
        Flag("folds", "N", "trains each variant N times, tested on a fold of the training photographs each", 0, _folds),
        Flag("baseline", "LABEL", "label of the runs to compare the others with (default: the first variant)", ""),
    ),
)
