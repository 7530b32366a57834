"""The verb sweep: trains all variants and seeds of an experiment and compares them."""

import glob

from foodjax.commands.verb import Flag, Given, Verb, integer
from foodjax.system.errors import UserError


def _eta(text: str) -> int:
    value = integer(0)(text)
    if value == 1:
        raise ValueError("0, or at least 2; a rung keeps 1 / ETA of the variants")
    return value


def _run(given: Given) -> None:
    from foodjax.study import claims, page, space
    from foodjax.study import sweep as study_sweep

    origin, flags, workdir = given.origin, given.flags, given.workdir
    trials = space.create_trials(origin["config"], origin["overrides"], workdir)
    failed = study_sweep.sweep(trials, origin["overrides"], flags.jobs, flags.prune)
    if any(study_sweep.is_finished(trial) for trial in trials):
        claim = claims.claimed(workdir / "comparison", seconds=-1)  # sweeps that share a folder end together
        assert claim is not None
        try:
            page.write_comparison([f"{glob.escape(str(workdir))}/*"], flags.baseline, workdir / "comparison")
        finally:
            claim.release()
    if failed:
        raise UserError(failed)


VERB = Verb(
    "sweep",
    "trains all variants and seeds of an experiment, goes on where it was stopped, and compares them",
    _run,
    "file",
    ("foodjax sweep --config ablate_blocks:scale=small --jobs 2 --config.data.dir=food-101",),
    (
        Flag("jobs", "N", "runs at once", 1, integer(1)),
        Flag("prune", "ETA", "successive halving: a rung keeps 1 / ETA of the variants; 0 prunes nothing", 0, _eta),
        Flag("baseline", "LABEL", "label of the runs to compare the others with (default: the first variant)", ""),
    ),
)
