"""Reads metrics.jsonl, the numbers of every epoch, and other files of such lines."""

import json
from collections.abc import Sequence
from typing import Any

from foodjax.config.listed import MONITORS
from foodjax.system import files
from foodjax.system.errors import UserError


def read_metrics(path: files.PathLike) -> list[dict[str, Any]]:
    """Returns the rows of a metrics.jsonl up to the first damaged line, such as one cut short by a kill.

    Raises:
        UserError: the file is there and cannot be read.
    """
    path, rows = files.to_path(path), []
    try:
        text = files.read_text(path, "replace")
    except FileNotFoundError:
        return rows
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            break
        if not isinstance(row, dict) or type(row.get("epoch")) is not int:
            break
        rows.append(row)
    return rows


def best_row(rows: Sequence[dict[str, Any]], monitor: str) -> dict[str, Any] | None:
    """Returns the first row with the best value of train.monitor; None where there is no row."""
    choose = max if MONITORS[monitor] else min
    return choose(rows, key=lambda row: row[monitor], default=None)
