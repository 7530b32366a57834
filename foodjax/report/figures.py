"""Charts: pure functions from numbers to a matplotlib Figure. No global state, so threads may draw too.

They have the colours of the light page. `to_svg` turns these into CSS variables, so that a figure suits both modes. No
two things differ in colour alone. A notebook shows a Figure with `display`.

Example:
    >>> import foodjax
    >>> row = dict(epoch=1, loss=2.1, val_loss=2.0, accuracy=0.3, val_accuracy=0.4)
    >>> figure = foodjax.figures.curves([row], best_epoch=1)
    >>> [ax.get_ylabel() for ax in figure.axes]
    ['loss (nats)', 'accuracy']
"""

import io
import re
import threading
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

from foodjax.evaluation.calibration import Calibration
from foodjax.evaluation.scores import wilson_interval
from foodjax.report.palette import COLOURS, text_over
from foodjax.system.text import printable, shorten

# Two rc_contexts that overlap in two threads would leave the settings of one of them behind.
_RC = threading.Lock()
_LONGEST = 40  # characters of a name; longer ones would leave no room for the figure
_MAX_NUMBERS = 20  # a confusion matrix of more classes has no numbers in its cells
_FEW = 10  # images; the bar of a reliability diagram that has fewer is hollow
_HATCHES = ("", "////", "...")  # of stacked bars, beside their colours


def to_svg(figure: Figure, alt: str) -> str:
    """Returns a figure as an inline SVG: text stays text, colours are CSS variables, and it scales with the page."""
    buffer = io.StringIO()
    with _RC, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "foodjax"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    alt = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)


def to_png(figure: Figure, dpi: int = 110) -> bytes:
    """Returns a figure as a PNG on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def plain_axes(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Returns a figure of `width` x `height` inches with plain axes side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    for ax in axes:
        _plain(ax)
    return figure, axes


def _plain(ax: Axes) -> None:
    ax.set_axisbelow(True)
    ax.grid(True, color=COLOURS["grid"], linewidth=0.8)
    ax.tick_params(colors=COLOURS["muted"], labelsize=9, length=0)
    for name, spine in ax.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(COLOURS["muted"])
    ax.patch.set_alpha(0)


def plain_text(names: Sequence[str]) -> list[str]:
    """Returns names as a figure can show them: printable, not too long, and no mathematics between two dollars."""
    return [shorten(printable(name), _LONGEST).replace("$", r"\$") for name in names]


def label_axes(ax: Axes, x: str, y: str) -> None:
    """Names both axes."""
    ax.set_xlabel(x, color=COLOURS["muted"], fontsize=9)
    ax.set_ylabel(y, color=COLOURS["muted"], fontsize=9)


def _legend_above(ax: Axes, columns: int) -> None:
    """Adds a legend between the axes and the upper edge of the figure, where it covers nothing."""
    ax.legend(
        frameon=False, fontsize=8.5, labelcolor=COLOURS["ink"], loc="lower left", bbox_to_anchor=(-0.02, 1),
        ncols=columns, columnspacing=1.2, handlelength=2.2, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def _curve(ax: Axes, rows: list[dict[str, Any]], name: str, best_epoch: int) -> None:
    epochs = [row["epoch"] for row in rows]
    marker = "o" if len(rows) == 1 else None  # a line of one point is invisible
    for key, colour, dashes, label in ((name, "first", "--", "train"), (f"val_{name}", "second", "-", "validation")):
        values = [row[key] for row in rows]
        ax.plot(epochs, values, dashes, color=COLOURS[colour], label=label, marker=marker, ms=4, linewidth=1.8)
    best = [row for row in rows if row["epoch"] == best_epoch]
    if best:
        value = best[0][f"val_{name}"]
        label = f"best epoch {best_epoch}: {value:.3f}"
        ax.plot(best_epoch, value, "o", ms=8, color=COLOURS["second"], label=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True) if len(rows) > 1 else FixedLocator(epochs))
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    _legend_above(ax, 3)
    label_axes(ax, "epoch", "loss (nats)" if name == "loss" else name)


def curve(rows: list[dict[str, Any]], name: str, best_epoch: int) -> Figure:
    """Draws "loss" or "accuracy" of training and validation over epochs, and marks the best epoch."""
    figure, (ax,) = plain_axes(4.6, 3.1)
    _curve(ax, rows, name, best_epoch)
    return figure


def curves(rows: list[dict[str, Any]], best_epoch: int) -> Figure:
    """Draws loss and accuracy side by side."""
    figure, axes = plain_axes(9.0, 3.2, 2)
    for ax, name in zip(axes, ("loss", "accuracy"), strict=True):
        _curve(ax, rows, name, best_epoch)
    return figure


def confusion(matrix: np.ndarray, class_names: tuple[str, ...]) -> Figure:
    """Draws the confusion matrix, true class (rows) by predicted class (columns), as shares of each row.

    Args:
        matrix: counts (K, K), true class by predicted class.
        class_names: K names.
    """
    k, names = len(class_names), plain_text(class_names)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 1.9 + max(3.4, min(0.43 * k, 9.0))
    figure, (ax,) = plain_axes(side, side)
    # A colour with alpha suits light and dark pages.
    picture, blue = np.zeros((k, k, 4)), np.array(to_rgb(COLOURS["first"]))
    picture[..., :3] = blue
    picture[..., 3] = share
    ax.imshow(picture, interpolation="none")
    ax.grid(False)
    size = 9 if k <= _MAX_NUMBERS else 4
    ax.set_xticks(range(k), names, rotation=90, fontsize=size)
    ax.set_yticks(range(k), names, fontsize=size)
    if k <= _MAX_NUMBERS:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            colour = text_over(tuple(1 - share[i, j] * (1 - blue)))
            ax.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8.5, color=colour)
    ax.spines["bottom"].set_visible(False)
    label_axes(ax, "predicted", "true")
    return figure


def reliability(calibration: Calibration) -> Figure:
    """Draws the reliability diagram: the accuracy of each bin with its interval, and its number of predictions.

    The interval is the 95 % Wilson score interval. Bars of fewer than ten predictions are hollow and hatched.
    """
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(3, 1))
    ax, low = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    m, counts = len(calibration.counts), calibration.counts.astype(int)
    centres = (np.arange(m) + 0.5) / m
    for axis in (ax, low):
        _plain(axis)
        axis.set_xlim(0, 1)
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    full, few = counts > 0, (counts > 0) & (counts < _FEW)
    shared = {"width": 0.92 / m, "edgecolor": COLOURS["first"], "linewidth": 1.2}
    sure = full & ~few
    pale, label = (*to_rgb(COLOURS["first"]), 0.3), f"{_FEW} images or more"
    ax.bar(centres[sure], calibration.accuracy[sure], facecolor=pale, label=label, **shared)
    if few.any():
        label = f"fewer than {_FEW} images"
        ax.bar(centres[few], calibration.accuracy[few], facecolor="none", hatch="////", label=label, **shared)
    ax.plot([0, 1], [0, 1], "--", color=COLOURS["muted"], linewidth=1.2, label="perfect calibration")
    found, n = calibration.accuracy[full], counts[full]
    ends = np.array([wilson_interval(right, of) for right, of in zip((found * n).round(), n, strict=True)]).T
    ax.errorbar(
        calibration.confidence[full], found, yerr=np.abs(ends - found), fmt="o", ms=4, color=COLOURS["ink"],
        elinewidth=1.2, capsize=3, clip_on=False, label="accuracy, 95 % interval",
    )  # fmt: skip
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _legend_above(ax, 2)
    label_axes(ax, "", "accuracy")
    low.bar(centres, counts, width=0.92 / m, color=COLOURS["muted"])
    for x, count in zip(centres[full], n, strict=True):
        low.annotate(
            f"{count:,}", (x, count), (0, 1), textcoords="offset points", ha="center", va="bottom", fontsize=7.5,
            color=COLOURS["ink"],
        )  # fmt: skip
    low.set_ylim(0, 1.3 * counts.max())
    low.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    label_axes(low, "probability of the predicted class", "images")
    return figure


def class_counts(class_names: tuple[str, ...], counts: dict[str, np.ndarray]) -> Figure:
    """Draws the number of examples of each class, stacked by part ("train", ...)."""
    figure, (ax,) = plain_axes(5.2, 1.1 + 0.24 * len(class_names))
    left = np.zeros(len(class_names))
    for (part, numbers), colour, hatch in zip(counts.items(), ("first", "second", "muted"), _HATCHES, strict=False):
        ax.barh(
            range(len(class_names)), numbers, left=left, height=0.7, color=COLOURS[colour], label=part, hatch=hatch,
            edgecolor=COLOURS["paper"],
        )  # fmt: skip
        left += numbers
    ax.set_yticks(range(len(class_names)), plain_text(class_names))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    _legend_above(ax, 3)
    label_axes(ax, "images", "")
    return figure


def photo_grid(images: Sequence[np.ndarray], titles: Sequence[str | tuple[str, ...]], columns: int) -> Figure:
    """Draws photographs in rows of `columns`, each under its title.

    Args:
        images: of each picture uint8 (H, W, 3), or numbers (h, w), such as a feature map, whose lowest is dark.
        titles: of each, in a line or in a tuple of lines; "" for none.
        columns: pictures in a row.
    """
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.7 * columns, 1.9 * rows), layout="constrained")
    for k, (image, title) in enumerate(zip(images, titles, strict=True)):
        ax = figure.add_subplot(rows, columns, k + 1)
        ax.imshow(image)
        ax.set_axis_off()
        lines = plain_text((title,) if isinstance(title, str) else title)
        ax.set_title("\n".join(lines), fontsize=9, color=COLOURS["ink"], loc="left")
    return figure
