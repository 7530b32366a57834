"""The verb inspect: shows the data of an experiment before training."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def inspect(config: Config, workdir: Path, asked: Asked) -> None:
    """Writes the inspect page and its pictures."""
    from foodjax.report import inspect as report_inspect

    report_inspect.inspect_workdir(config, workdir)


MODE = Mode(inspect, "file")
