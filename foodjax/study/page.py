"""Writes a comparison of runs: on the terminal, in table files, as a picture, and as a self-contained page."""

import glob
import html
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foodjax.report import figures, templating
from foodjax.study import tables
from foodjax.study.compare import Row, compare
from foodjax.study.results import RunResult, read_groups
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.text import printable

NOTE = (
    "± is the standard deviation over seeds. The difference to the first row is paired by test image: 95 % bootstrap "
    "interval over images, p by random signs, adjusted after Benjamini and Hochberg. Neither interval nor p includes "
    "the variation between seeds."
)


def write_comparison(
    patterns: files.PathLike | Sequence[files.PathLike], baseline: str = "", folder: files.PathLike | None = None
) -> list[Row]:
    """Compares the runs that `patterns` match, prints the table and writes it to `folder` in five forms.

    Args:
        patterns: workdirs, or glob patterns of them.
        baseline: label of the baseline; empty: "baseline" if a run has that label, else the label started first.
        folder: where table.csv, table.md, table.tex, accuracy.png and comparison.html are written; None: comparison/
            beside the workdirs.

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
        "accuracy.png": figures.to_png(_accuracy(groups, rows)),
        "table.csv": tables.to_csv(rows),
        "table.md": tables.to_markdown(rows),
        "table.tex": tables.to_latex(rows),
        "comparison.html": to_page(groups, rows, left_out),
    }
    files.write_all(folder, contents)
    say(NOTE)
    say(f"table.csv, table.md, table.tex, accuracy.png and comparison.html are in {folder}")
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
    return templating.render(
        "comparison.html.j2",
        title=f"{groups[0][0].workdir.parent.name}: {sum(map(len, groups))} runs of {len(groups)} variants",
        note=NOTE,
        columns=[(name, "text" if name in ("variant", "remarks") else "", "") for name in tables.HEADER],
        rows=[tables.cells(row) for row in rows],
        left_out=left_out,
        accuracy=figures.to_svg(_accuracy(groups, rows), "test accuracy of every run by variant"),
        curves=_curves(groups),
        cost=_cost(rows),
    )


def _accuracy(groups: list[list[RunResult]], rows: list[Row]) -> Figure:
    figure, (axes,) = figures.plain_axes(8, 1 + 0.35 * len(groups))
    for k, (group, row) in enumerate(zip(groups, rows, strict=True)):
        accuracies, mean = [100 * run.result["test_accuracy"] for run in group], 100 * row.accuracy.mean
        axes.plot(accuracies, [k] * len(group), "o", color=figures.COLOURS["first"], alpha=0.5, markersize=5)
        axes.plot([mean] * 2, [k - 0.22, k + 0.22], color=figures.COLOURS["ink"], linewidth=2)
        axes.annotate(
            f"{mean:.1f}", (mean, k - 0.27), ha="center", va="bottom", fontsize="x-small", color=figures.COLOURS["ink"]
        )
    axes.set_yticks(range(len(groups)), figures.plain_text([row.label for row in rows]))
    axes.invert_yaxis()
    figures.label_axes(axes, "test accuracy (%): a dot for each seed, a line at the mean", "")
    return figure


def _curves(groups: list[list[RunResult]]) -> str:
    figure, (axes,) = figures.plain_axes(10, 5)
    handles = []
    for k, (group, colour) in enumerate(zip(groups, _colours(len(groups)), strict=True)):
        for run in group:
            epochs, losses = zip(*((row["epoch"], row["val_loss"]) for row in run.metrics), strict=True)
            (line,) = axes.plot(epochs, losses, color=colour, linewidth=1 + 1.5 * (k == 0), alpha=0.8)
            line.set_gid(f"variant{k}")
            handles += [line] if run is group[0] else []
    figures.label_axes(axes, "epoch", "validation loss (nats)")
    return _svg(figure, axes, "validation loss of every run by epoch", [group[0].label for group in groups], handles)


def _cost(rows: list[Row]) -> str:
    figure, (axes,) = figures.plain_axes(10, 5)
    handles = []
    for k, (row, colour) in enumerate(zip(rows, _colours(len(rows)), strict=True)):
        mean, deviation = (100 * x for x in row.accuracy)
        error = None if math.isnan(deviation) else deviation
        x = row.multiply_adds / 1e6
        drawn = axes.errorbar(x, mean, yerr=error, fmt="o", color=colour, capsize=3)
        drawn.lines[0].set_gid(f"variant{k}")
        handles.append(drawn)
    figures.label_axes(axes, "multiply-adds of one image (millions)", "test accuracy (%)")
    labels = [row.label for row in rows]
    return _svg(figure, axes, "test accuracy of every variant by its multiply-adds", labels, handles)


def _colours(count: int) -> list:
    # The baseline has the page's text colour; the others are spread over the legible part of a colour map.
    others = (colormaps["turbo"](0.05 + 0.9 * k / max(1, count - 2)) for k in range(count - 1))
    return [figures.COLOURS["ink"], *others]


def _svg(figure: Figure, axes: Axes, alt: str, labels: list[str], handles: list[Any]) -> str:
    """Returns a figure with a legend: the label of each variant beside its line or point."""
    # With labels of their own, artists whose label begins with "_" would be left out.
    axes.legend(
        handles, figures.plain_text(labels), loc="center left", bbox_to_anchor=(1, 0.5), frameon=False,
        fontsize="small", labelcolor=figures.COLOURS["ink"],
    )  # fmt: skip
    text = figures.to_svg(figure, alt)
    for k, label in enumerate(labels):  # shown under the mouse
        text = text.replace(
            f'<g id="variant{k}">', f'<g id="variant{k}"><title>{html.escape(printable(label))}</title>'
        )
    return text
