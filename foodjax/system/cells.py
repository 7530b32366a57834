r"""CSV files that hold names of any bytes: written so that spreadsheets run nothing, and read back exactly.

- A text that begins with = + - @, a tab or a line's end would be run as a formula: it gets a ' before it. A text that
  is a number stays as it is.
- The file is UTF-8. A byte that is not becomes \xe9. Where a name holds such an escape itself, its backslash is \x5c.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from foodjax.system import files

_RUN = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ESCAPE = re.compile(r"\\(?=x[0-9a-f]{2}|ud[89a-f][0-9a-f]{2})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WRITTEN = re.compile(r"\\(?:x([0-9a-f]{2})|u(d[89a-f][0-9a-f]{2}))")


def to_cell(value: Any) -> Any:
    """Returns what is written for a value: a text made safe, anything else as it is.

    Example:
        >>> to_cell("=1+1"), to_cell("-0.5"), to_cell(-0.5)
        ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(value, str):
        return value
    text = _SURROGATE.sub(_escape, _ESCAPE.sub(r"\\x5c", value))
    return f"'{text}" if _RUN.match(text) and not _NUMBER.fullmatch(text) else text


def from_cell(text: str) -> str:
    """Returns the text that `to_cell` wrote.

    Example:
        >>> from_cell("'=1+1"), from_cell("'tis")
        ('=1+1', "'tis")
    """
    if text.startswith("'") and _RUN.match(text):
        text = text[1:]
    return _WRITTEN.sub(_unescape, text)


class _Lines(list[str]):
    """What a csv.writer takes for a file."""

    write = list.append


def to_csv(header: Sequence[str], rows: Iterable[Iterable[Any]], end: str = "\r\n") -> str:
    """Returns a table as CSV; `end` ends each line."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")  # of both characters it quotes cells that hold one
    writer.writerow(header)
    writer.writerows([to_cell(value) for value in row] for row in rows)
    return "".join(line[:-2] + end for line in lines)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Reads a table that `to_csv` made, one dict for each row.

    Raises:
        OSError: the file cannot be read.
        csv.Error: it is no table.
    """
    # Older versions wrote in the encoding of the system.
    lines = io.StringIO(files.read_text(path, "surrogateescape"), newline="")
    return [{key: from_cell(text or "") for key, text in row.items() if key} for row in csv.DictReader(lines)]


def _escape(match: re.Match) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _unescape(match: re.Match) -> str:
    if match[2]:
        return chr(int(match[2], 16))
    code = int(match[1], 16)
    return chr(0xDC00 + code) if code >= 0x80 else chr(code)
