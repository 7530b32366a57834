"""The line of an epoch: as much as the terminal has room for, and within 80 columns everywhere."""

from collections.abc import Sequence
from typing import Any

NAMES = ("loss", "accuracy", "val_loss", "val_accuracy")


def epoch_line(rows: Sequence[dict[str, Any]], timing: dict[str, float], epochs: int, *, best: bool, width: int) -> str:
    """Returns the newest epoch in a line, in the longest of four forms that fits.

    The longest has the lowest and the highest value of all epochs, the next one the full numbers; the others round, and
    the shortest, which is taken where none fits, leaves out the speed.

    Args:
        rows: the numbers of every epoch so far, oldest first: epoch, loss and val_loss (nats), accuracy and
            val_accuracy (0..1).
        timing: of the newest: images_per_second, and data_wait, the share of its time.
        epochs: number of epochs of the run, at most.
        best: whether it is the best so far.
        width: columns.

    Example:
        >>> row = {"epoch": 3, "loss": 1.25, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 0.4375}
        >>> epoch_line([row], {"images_per_second": 60.0, "data_wait": 0.01}, 20, best=True, width=80)
        'epoch  3/20  loss 1.250, val 1.500  acc 50.0%, val 43.8%  60 images/s  best'
    """
    row, speed, wait = rows[-1], timing["images_per_second"], timing["data_wait"]
    head, tail = f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}", "  best" if best else ""
    ranges = "  ".join(
        f"{name} {row[name]:.4f} ({min(r[name] for r in rows):.4f} to {max(r[name] for r in rows):.4f})"
        for name in NAMES
    )
    full = "  ".join(f"{name} {row[name]:.4f}" for name in NAMES)
    short = (
        f"loss {row['loss']:.3f}, val {row['val_loss']:.3f}  acc {row['accuracy']:5.1%}, val {row['val_accuracy']:5.1%}"
    )
    forms = (
        f"{head}  {ranges}  {speed:.1f} images/s, {wait:.1%} waiting for data{tail}",
        f"{head}  {full}  {speed:.0f} images/s{tail}",
        f"{head}  {short}  {speed:.0f} images/s{tail}",
    )
    return next((form for form in forms if len(form) <= width), f"{head}  {short}{tail}")
