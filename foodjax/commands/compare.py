"""The verb compare: writes tables, a picture and a page that compare finished runs."""

from typing import TYPE_CHECKING

from foodjax.commands.verb import Flag, Given, Verb, parts_of
from foodjax.system.files import PathLike, to_path

if TYPE_CHECKING:
    from foodjax.study.compare import Row


def compare(*runs: PathLike, baseline: str = "", output: PathLike | None = None) -> "list[Row]":
    """Compares finished runs: prints the table and writes it, a picture and a page to a folder.

    Args:
        *runs: workdirs; * and ? are allowed in strings.
        baseline: label of the runs to compare the others with; "": the first.
        output: the folder; None: comparison/ beside the first run.

    Returns:
        A row for each variant: accuracy over its seeds, its difference to the baseline with interval and p (from three
        seeds of both on, or for one of each), and cost.

    Raises:
        UserError: no finished run matches, or the folder cannot be written.

    Example:
        >>> import foodjax
        >>> rows = foodjax.compare("runs/demo*")  # of the example of foodjax.train
        variant...
        >>> rows[0].label, rows[0].num_seeds
        ('demo', 1)
    """
    from foodjax.study import page

    return page.write_comparison(runs, baseline, output)


def _run(given: Given) -> None:
    compare(*parts_of(given.flags.runs), baseline=given.flags.baseline, output=given.flags.output)


VERB = Verb(
    "compare",
    "compares finished runs: tables for the terminal, CSV, Markdown and LaTeX, a picture and a page",
    _run,
    "none",
    ("foodjax compare runs/ablate_blocks/* --baseline baseline",),
    (
        Flag("runs", "WORKDIR", "workdirs; * and ? are allowed", (), needed="workdirs such as runs/ablate_blocks/*",
             many=True),
        Flag("baseline", "LABEL", "label of the runs to compare the others with (default: the first)", ""),
        Flag("output", "DIR", "folder of the comparison (default: comparison beside the runs)", read=to_path),
    ),
    address_space=1,
)  # fmt: skip
