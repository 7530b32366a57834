"""The verb compare: writes tables, a picture and a page that compare finished runs."""

from pathlib import Path

from foodjax.commands.arguments import Asked, Mode
from foodjax.config.keys import Config


def compare(config: Config, workdir: Path, asked: Asked) -> None:
    """Compares the runs of --runs."""
    from foodjax.study import page

    given = asked.flags
    folder = Path(given.runs.split(",")[0]).parent / "comparison"
    page.write_comparison(given.runs, given.baseline, Path(given.output) if given.output else folder)


MODE = Mode(compare, "none", {"runs": "workdirs such as 'runs/ablate_blocks/*'"})
