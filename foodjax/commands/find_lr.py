"""The verb find_lr: runs the learning-rate range test of an experiment."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def find_lr(config: Config, workdir: Path, asked: Asked) -> None:
    """Runs the test in a folder beside the workdir."""
    from foodjax.run import find_lr as run_find_lr

    run_find_lr.find_lr(config, workdir.with_name(f"{workdir.name}-find_lr"))


MODE = Mode(find_lr, "file")
