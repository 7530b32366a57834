"""Writes a comparison of runs: on the terminal, in table files, as a picture, and as a self-contained page."""

import glob
import html
import math
import os
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foodjax.report import figures, templating
from foodjax.report.palette import COLOURS, Look, looks
from foodjax.study import out_of_fold, tables
from foodjax.study.compare import Row, compare
from foodjax.study.fold_runs import draw_of
from foodjax.study.results import RunResult, read_groups
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.text import printable, shorten

# Columns whose text stands under that of another, and the titles that name both.
_UNDER = ("remarks", "95 % interval", "tested over", "its 95 % interval")
_TITLES = {
    "test accuracy (%)": "test accuracy (%), 95 % interval",
    "difference (points)": "difference, 95 % interval (points)",
    "p (Holm)": "p (Holm), tested over",
    "wins a seed (%)": "wins a seed, 95 % interval (%)",
}
_LONGEST = 30  # characters of a variant beside the figure
# Matplotlib's marks as paths around the middle, (24, 7), of a legend's swatch.
_MARKS = {
    "o": "M20 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "s": "M20.5 3.5h7v7h-7z",
    "^": "M24 2.5l4.5 8h-9z",
    "D": "M24 2l5 5l-5 5l-5 -5z",
}


def write_comparison(
    patterns: files.PathLike | Sequence[files.PathLike], baseline: str = "", folder: files.PathLike | None = None
) -> list[Row]:
    """Compares the runs that `patterns` match, prints the table and writes it to `folder` in five forms.

    Args:
        patterns: workdirs, or glob patterns of them.
        baseline: label of the baseline; empty: "baseline" if a run has that label, else the label started first.
        folder: where table.csv, table.md, table.tex, accuracy.png and comparison.html are written, and the out-of-fold
            predictions of each variant on folds; None: comparison/ beside the workdirs.

    Returns:
        The rows of the table, one for each variant, the baseline first.

    Raises:
        UserError: no finished run matches, or the folder cannot be written.
    """
    folder = _beside(patterns) if folder is None else files.to_path(folder)
    groups, left_out = read_groups(patterns, baseline)
    rows = compare(groups)
    for line in tables.to_text(rows).splitlines():
        say(line)
    for line in left_out:
        say(f"left out: {line}")
    contents = {
        "accuracy.png": figures.to_png(_accuracy(groups, rows), dpi=170),
        "table.csv": tables.to_csv(rows),
        "table.md": tables.to_markdown(rows),
        "table.tex": tables.to_latex(rows),
        "comparison.html": to_page(groups, rows, left_out),
    }
    predictions, lines = out_of_fold.to_files(groups)
    files.write_all(folder, contents | predictions)
    for line in (*tables.notes(rows), *lines):
        say(line)
    names = ", ".join([*predictions, "table.csv", "table.md", "table.tex", "accuracy.png"])
    say(f"{names} and comparison.html are in {folder}")
    return rows


def _beside(patterns: files.PathLike | Sequence[files.PathLike]) -> Path:
    """Returns comparison/ in the last folder of the first pattern that has no wildcard.

    Raises:
        UserError: it is a link, which whoever made the runs may have put there.
    """
    first = patterns if isinstance(patterns, str | os.PathLike) else patterns[0]
    folder = files.to_path(first).parent
    while glob.has_magic(str(folder)):
        folder = folder.parent
    found = folder / "comparison"
    if found.is_symlink():
        raise UserError(
            f"{found} is a link to {os.path.realpath(found)}: nothing is written there: needs --output FOLDER"
        )
    return found


def to_page(groups: list[list[RunResult]], rows: list[Row], left_out: list[str]) -> str:
    """Returns the comparison as one HTML file with its figures inside."""
    columns = [column for column in tables.columns(rows) if column[1] not in _UNDER]
    return templating.render(
        "comparison.html.j2",
        title=f"{groups[0][0].workdir.parent.name}: {_count(sum(map(len, groups)), 'run')} of "
        f"{_count(len(groups), 'variant')}",
        note=" ".join(tables.notes(rows)),
        columns=[(_title(rows, name), "text" if name == "variant" else "", "") for _, name in columns],
        rows=[[_cell(row, name) for _, name in columns] for row in rows],
        left_out=left_out,
        accuracy=figures.to_svg(_accuracy(groups, rows), "test accuracy of every run by variant"),
        legend=[(row.label, _swatch(look)) for row, look in zip(rows, looks(len(rows)), strict=True)],
        curves=_curves(groups),
        cost=_cost(rows),
    )


def _title(rows: list[Row], name: str) -> str:
    """Returns the title of a column, with what stands under its text in some row."""
    has_interval = any(row.by_fold for row in rows)
    return name if name == "test accuracy (%)" and not has_interval else _TITLES.get(name, name)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _cell(row: Row, name: str) -> str | tuple[str, str | float, str]:
    """Returns a cell of the table; where its text is not what to sort by, with that and with a note."""
    cells: dict[str, str] = dict(zip(tables.HEADER, tables.cells(row), strict=True))
    text = cells[name]
    if name == "variant":
        return text, text, cells["remarks"]
    if name == "test accuracy (%)" and cells["its 95 % interval"]:
        return text, row.accuracy.mean, cells["its 95 % interval"]
    if name == "difference (points)":
        return text, text, cells["95 % interval"]
    if name == "p (Holm)":
        return text, "" if math.isnan(row.p_holm) else row.p_holm, row.tested
    if name == "wins a seed (%)":
        share, _, interval = text.partition(" (")
        return share, share, interval.rstrip(")")
    return (text, row.multiply_adds, "") if name == "multiply-adds" else text


def _accuracy(groups: list[list[RunResult]], rows: list[Row]) -> Figure:
    figure, (axes,) = figures.plain_axes(5.2, 1 + 0.35 * len(groups))
    for k, (group, row) in enumerate(zip(groups, rows, strict=True)):
        mean = 100 * row.accuracy.mean
        # Hollow, so that dots at one place show each other.
        for mark, lost in (("o", False), ("x", True)):
            runs = [100 * run.result["test_accuracy"] for run in group if (draw_of(run) in row.failed) == lost]
            axes.plot(runs, [k] * len(runs), mark, mfc="none", color=COLOURS["first"], markersize=5)
        axes.plot([mean] * 2, [k - 0.22, k + 0.22], color=COLOURS["ink"], linewidth=2)
        axes.annotate(f"{mean:.1f}", (mean, k - 0.27), ha="center", va="bottom", fontsize=8, color=COLOURS["ink"])
    names = figures.plain_text([shorten(printable(row.label), _LONGEST) for row in rows])
    axes.set_yticks(range(len(groups)), names, fontsize=8)
    axes.set_ylim(len(groups) - 0.5, -0.8)
    figures.label_axes(axes, "test accuracy (%)", "")
    return figure


def _curves(groups: list[list[RunResult]]) -> str:
    figure, (axes,) = figures.plain_axes(4.6, 3.4)
    for k, (group, look) in enumerate(zip(groups, looks(len(groups)), strict=True)):
        for run in group:
            epochs, losses = zip(*((row["epoch"], row["val_loss"]) for row in run.metrics), strict=True)
            (line,) = axes.plot(
                epochs, losses, color=look.colour, linestyle=(0, look.dashes) if look.dashes else "-",
                linewidth=2.2 if k == 0 else 1.2, marker=look.marker if len(epochs) == 1 else None, ms=5,
            )  # fmt: skip
            line.set_gid(f"variant{k}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.ticklabel_format(axis="y", useOffset=False)
    figures.label_axes(axes, "epoch", "validation loss (nats)")
    return _svg(figure, "validation loss of every run by epoch", [group[0].label for group in groups])


def _cost(rows: list[Row]) -> str:
    figure, (axes,) = figures.plain_axes(4.6, 3.4)
    for k, (row, look) in enumerate(zip(rows, looks(len(rows)), strict=True)):
        mean, deviation = (100 * x for x in row.accuracy)
        error = None if math.isnan(deviation) else deviation
        drawn = axes.errorbar(row.multiply_adds / 1e6, mean, error, fmt=look.marker, color=look.colour, ms=6, capsize=3)
        drawn.lines[0].set_gid(f"variant{k}")
    figures.label_axes(axes, "multiply-adds of one image (millions)", "test accuracy (%)")
    return _svg(figure, "test accuracy of every variant by its multiply-adds", [row.label for row in rows])


def _swatch(look: Look) -> dict[str, str]:
    """Returns a line and a point of the legend: an SVG colour, dashes of a line 2 wide, and the path of the mark."""
    return {
        "stroke": "var(--ink)" if look.colour == COLOURS["ink"] else look.colour,
        "dashes": " ".join(f"{2 * length:g}" for length in look.dashes),
        "path": _MARKS[look.marker],
    }


def _svg(figure: Figure, alt: str, labels: list[str]) -> str:
    text = figures.to_svg(figure, alt)
    for k, label in enumerate(labels):  # shown under the mouse
        text = text.replace(
            f'<g id="variant{k}">', f'<g id="variant{k}"><title>{html.escape(printable(label))}</title>'
        )
    return text
