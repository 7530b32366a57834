"""The verb reproduce: runs a finished run again and compares the results."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def reproduce(config: Config, workdir: Path, asked: Asked) -> int:
    """Returns the exit status: 0 when both runs have the same results."""
    from foodjax.study import reproduce as study_reproduce

    again = Path(asked.flags.output or workdir.with_name(workdir.name + "-again"))
    return 0 if study_reproduce.reproduce(config, workdir, again, asked.origin) else 1


MODE = Mode(reproduce, "stored")
