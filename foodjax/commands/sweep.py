"""The verb sweep: trains all variants and seeds of an experiment and compares them."""

import glob
from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config
from foodjax.system.errors import UserError


def sweep(config: Config, workdir: Path, asked: Asked) -> None:
    """Runs the unfinished trials, then compares the finished runs."""
    from foodjax.study import page, space
    from foodjax.study import sweep as study_sweep

    origin, given = asked.origin, asked.flags
    trials = space.create_trials(origin["config"], origin["overrides"], workdir)
    failed = study_sweep.sweep(trials, origin["overrides"], given.jobs, given.prune)
    if any(study_sweep.is_finished(trial) for trial in trials):
        page.write_comparison(f"{glob.escape(str(workdir))}/*", given.baseline, workdir / "comparison")
    if failed:
        raise UserError(failed)


MODE = Mode(sweep, "file")
