"""The verb train: trains an experiment, then evaluates its best checkpoint."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def train(config: Config, workdir: Path, asked: Asked) -> None:
    """Trains, or continues, the run of a workdir."""
    from foodjax.report import live, run_report
    from foodjax.run import loop

    loop.train(config, workdir, [live.observe], origin=asked.origin, report=run_report.write_report)


MODE = Mode(train, "file")
