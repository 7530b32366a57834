"""A comparison on the terminal, in table files, and as a self-contained page."""

import html
import io
import math
from pathlib import Path

from jinja2 import Environment

from foodjax.study import tables
from foodjax.study.compare import Row, compare
from foodjax.study.runs import FinishedRun, read_groups

_TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; max-width: 90em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .2em .6em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th:first-child, td:first-child, td:last-child { text-align: left }
svg { max-width: 100%; height: auto }
g[id^=variant]:hover path { stroke-width: 4px !important; opacity: 1 !important }
</style>
<h1>{{ title }}</h1>
<p>{{ note }}</p>
<table><thead><tr>{% for name in header %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody></table>
{% if left_out %}<p>Left out: {{ left_out | join("; ") }}</p>{% endif %}
<h2>Validation loss</h2>{{ curves | safe }}
<h2>Accuracy against cost</h2>{{ cost | safe }}
</html>
"""
NOTE = (
    "± is the standard deviation over seeds. The difference to the first row is paired by test image: 95 % bootstrap "
    "interval over images, p by random signs, adjusted after Benjamini and Hochberg. Neither interval nor p knows of "
    "the variation between seeds."
)


def write_comparison(pattern: str, baseline: str, folder: Path) -> list[Row]:
    """Compares the runs that `pattern` matches, prints the table and writes it to `folder` in four forms.

    Args:
        pattern: of workdirs.
        baseline: label to compare with, or empty.
        folder: gets table.csv, table.md, table.tex and comparison.html.
    """
    groups, left_out = read_groups(pattern, baseline)
    rows = compare(groups)
    print(tables.to_text(rows), end="")
    for line in left_out:
        print(f"left out: {line}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.csv").write_text(tables.to_csv(rows))
    (folder / "table.md").write_text(tables.to_markdown(rows))
    (folder / "table.tex").write_text(tables.to_latex(rows))
    (folder / "comparison.html").write_text(to_page(groups, rows, left_out))
    print(f"{NOTE}\ntable.csv, table.md, table.tex and comparison.html are in {folder}")
    return rows


def to_page(groups: list[list[FinishedRun]], rows: list[Row], left_out: list[str]) -> str:
    """Returns the comparison as one HTML file with its figures inside."""
    return (
        Environment(autoescape=True)
        .from_string(_TEMPLATE)
        .render(
            title=f"{groups[0][0].workdir.parent.name}: {sum(map(len, groups))} runs of {len(groups)} variants",
            note=NOTE,
            header=tables.HEADER,
            rows=[tables.cells(row) for row in rows],
            left_out=left_out,
            curves=_curves(groups),
            cost=_cost(rows),
        )
    )


def _curves(groups: list[list[FinishedRun]]) -> str:
    figure, axes = _figure()
    for k, (group, colour) in enumerate(zip(groups, _colours(len(groups)), strict=True)):
        for run in group:
            epochs, losses = zip(*((row["epoch"], row["val_loss"]) for row in run.metrics), strict=True)
            label = group[0].label if run is group[0] else None
            (line,) = axes.plot(epochs, losses, color=colour, label=label, linewidth=1 + 1.5 * (k == 0), alpha=0.8)
            line.set_gid(f"variant{k}")
    axes.set(xlabel="epoch", ylabel="validation loss (nats)")
    return _svg(figure, axes, [group[0].label for group in groups])


def _cost(rows: list[Row]) -> str:
    figure, axes = _figure()
    for k, (row, colour) in enumerate(zip(rows, _colours(len(rows)), strict=True)):
        mean, deviation = (100 * x for x in row.accuracy)
        error = None if math.isnan(deviation) else deviation
        x = row.multiply_adds / 1e6
        drawn = axes.errorbar(x, mean, yerr=error, fmt="o", color=colour, label=row.label, capsize=3)
        drawn.lines[0].set_gid(f"variant{k}")
    axes.set(xlabel="multiply-adds of one image (millions)", ylabel="test accuracy (%)")
    return _svg(figure, axes, [row.label for row in rows])


def _colours(count: int) -> list:
    from matplotlib import colormaps

    # The baseline is black; the others are spread over a map that stays legible on white.
    return ["black", *(colormaps["turbo"](0.05 + 0.9 * k / max(1, count - 2)) for k in range(count - 1))]


def _figure():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    return figure, figure.subplots()


def _svg(figure, axes, labels: list[str]) -> str:
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    for k, label in enumerate(labels):  # what the mouse shows
        text = text.replace(f'<g id="variant{k}">', f'<g id="variant{k}"><title>{html.escape(label)}</title>')
    return text[text.index("<svg") :]
