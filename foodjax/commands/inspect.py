"""The verb inspect: shows the data of an experiment before training."""

from pathlib import Path
from typing import Any

from foodjax.commands.arguments import Asked, Mode


def inspect(config: Any, workdir: Path, asked: Asked) -> None:
    """Writes the pages about the data."""
    from foodjax.report import inspect as report_inspect

    report_inspect.inspect_workdir(config, workdir)


MODE = Mode(inspect, "file")
