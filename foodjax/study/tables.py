"""A comparison as text: for the terminal, CSV, Markdown and LaTeX."""

import math
from collections.abc import Sequence

from foodjax.study.compare import FOLDS, IMAGES, PAIRS, SEEDS, TOO_FEW, TOO_FEW_FOLDS, Row, Spread
from foodjax.system import cells as csv_cells
from foodjax.system.text import printable

HEADER = (
    "variant", "seeds", "test accuracy (%)", "its 95 % interval", "by fold (%)", "difference (points)",
    "95 % interval", "p (Holm)", "wins a seed (%)",
    "tested over", "best val. loss", "epochs", "parameters", "multiply-adds", "images/s", "remarks",
)  # fmt: skip


def cells(row: Row) -> tuple[str, ...]:
    """Returns a row as text, in the order of HEADER; accuracies in percent, differences in percentage points."""
    return (
        printable(row.label),
        str(row.num_seeds),
        _spread(row.accuracy, 100, 1),
        _interval(row.accuracy_interval, 1),
        " ".join(f"{100 * accuracy:.1f}" for accuracy in row.by_fold),
        _number(row.difference, 100, 1, "+"),
        _interval(row.interval, 1, "+"),
        "" if math.isnan(row.p_holm) else "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}",
        "" if math.isnan(row.wins) else f"{100 * row.wins:.0f} ({_interval(row.wins_interval, 0)})",
        row.tested,
        _spread(row.val_loss, 1, 3),
        _number(row.epochs, 1, 1),
        f"{row.num_params:,}",
        _short(row.multiply_adds),
        _number(row.images_per_second, 1, 1),
        remarks(row.flags),
    )


def notes(rows: list[Row]) -> list[str]:
    """Returns what the columns mean, a sentence or two for each that has text."""
    tested = {row.tested for row in rows}
    in_folds = any(row.by_fold for row in rows)
    lines = [f"± is the standard deviation over {'folds' if in_folds else 'seeds'}."]
    if in_folds:
        lines.append(
            "Test accuracy is that of the photographs of a fold, by a network that was neither trained nor validated "
            "on them; its interval, difference and p are corrected for the photographs that trainings share (Nadeau "
            "and Bengio 2003)."
        )
    if FOLDS in tested:
        lines.append(
            "Difference to the first row: interval and p are over folds, for new photographs to train and to test on."
        )
    if tested & {SEEDS, PAIRS}:
        lines += [
            "Difference to the first row: interval and p are over seeds and images, for new seeds and new test images.",
            "Wins a seed: share of the pairs of seeds in which the variant is better, which estimates the probability "
            "that it beats the first row on a new seed, with its 95 % interval.",
        ]
    if PAIRS in tested:
        lines.append("Seeds in pairs: the seeds of both variants are correlated, so each is compared with itself.")
    if IMAGES in tested:
        lines.append(
            "Images alone: with one seed of each, interval and p answer whether these two networks differ, not whether "
            "another seed would."
        )
    if TOO_FEW in tested:
        lines.append(
            "Too few seeds: two are too few for a test, since they do not show how far seeds lie apart. It needs three "
            "seeds of both variants; docs/statistics.md says how many a question needs."
        )
    if TOO_FEW_FOLDS in tested:
        lines.append("Too few folds: a test needs three that both variants have.")
    count = sum(not math.isnan(row.p) for row in rows)
    if count:
        lines.append(f"p is adjusted after Holm for {count} variant{'s' * (count != 1)} compared with the first row.")
    return lines


def remarks(flags: Sequence[str]) -> str:
    """Returns flags as a text; those that differ in the part of the data alone, in parentheses, are one."""
    parts: dict[str, list[str]] = {}
    for flag in flags:
        what, _, part = flag.partition(" (")
        parts.setdefault(what, []).append(part.rstrip(")"))
    named = ((what, ", ".join(filter(None, of))) for what, of in parts.items())
    return "; ".join(f"{what} ({of})" if of else what for what, of in named)


def columns(rows: list[Row]) -> list[tuple[int, str]]:
    """Returns (index in HEADER, name) of the columns that have text in some row."""
    used = [any(cells(row)[i] for row in rows) for i in range(len(HEADER))]
    return [(i, name) for i, name in enumerate(HEADER) if used[i]]


def to_text(rows: list[Row]) -> str:
    """Returns the table for the terminal; lines are not cut to its width."""
    table = [[name for _, name in columns(rows)], *(_kept(rows, row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for line in table:
        numbers = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        lines.append("  ".join([line[0].ljust(widths[0]), *numbers]).rstrip())
    return "\n".join(lines) + "\n"


def to_csv(rows: list[Row]) -> str:
    """Returns CSV with all numbers in full, one line for each variant, accuracies as fractions."""
    header = (
        "variant", "seeds", "parameters", "multiply_adds", "images_per_second", "epochs", "val_loss", "val_loss_std",
        "accuracy", "accuracy_std", "difference", "low", "high", "p", "p_holm", "wins", "wins_low", "wins_high",
        "tested_over", "failed_seeds", "remarks", "accuracy_low", "accuracy_high", "accuracy_by_fold",
    )  # fmt: skip
    lines = []
    for row in rows:
        numbers = (
            *row[1:6], *row.val_loss, *row.accuracy, row.difference, *row.interval, row.p, row.p_holm, row.wins,
            *row.wins_interval,
        )  # fmt: skip
        ends = _without_nan(row.accuracy_interval)
        lost, folds = (" ".join(map(str, values)) for values in (row.failed, row.by_fold))
        remarks = "; ".join(row.flags)
        lines.append([row.label, *_without_nan(numbers), row.tested, lost, remarks, *ends, folds])
    return csv_cells.to_csv(header, lines, end="\n")


def _without_nan(numbers: Sequence[float]) -> list[float | str]:
    return ["" if isinstance(x, float) and math.isnan(x) else x for x in numbers]


def to_markdown(rows: list[Row]) -> str:
    """Returns a Markdown table."""
    names = [name for _, name in columns(rows)]
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in _kept(rows, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def to_latex(rows: list[Row]) -> str:
    """Returns a tabular for the booktabs package."""
    names = [name for _, name in columns(rows)]
    lines = [r"\begin{tabular}{l" + "r" * (len(names) - 1) + "}", r"\toprule"]
    lines += [" & ".join(map(_tex, names)) + r" \\", r"\midrule"]
    lines += [" & ".join(map(_tex, _kept(rows, row))) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _kept(rows: list[Row], row: Row) -> list[str]:
    return [cells(row)[i] for i, _ in columns(rows)]


def _number(value: float, factor: float, digits: int, sign: str = "") -> str:
    return "" if math.isnan(value) else f"{factor * value:{sign}.{digits}f}"


def _interval(interval: tuple[float, float], digits: int, sign: str = "") -> str:
    low, high = (_number(end, 100, digits, sign) for end in interval)
    return low and f"{low} to {high}"


def _spread(spread: Spread, factor: float, digits: int) -> str:
    text = _number(spread.mean, factor, digits)
    return text if math.isnan(spread.deviation) else f"{text} ± {factor * spread.deviation:.{digits}f}"


def _short(count: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def _tex(text: str) -> str:
    replaced = {"\\": r"\textbackslash{}", "±": r"$\pm$", "<": "$<$", "-": "-", "~": r"\textasciitilde{}"}
    replaced |= {c: "\\" + c for c in "&%$#_{}"} | {"^": r"\textasciicircum{}"}
    return "".join(replaced.get(c, c) for c in text)
