r"""Strangers' names in Markdown and YAML: shown as they are, never read as markup.

A name may come from any folder or table. Characters that nobody sees become escapes first, see `system.text.printable`.
"""

import re

from foodjax.system.text import printable

_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
# Between letters or digits, and between digits, these are no markup, and frequent in names and versions.
_WITHIN = re.compile(r"(?<=[^\W_])[_-](?=[^\W_])|(?<=\d)\.(?=\d)")


def markdown(text: str) -> str:
    r"""Returns a text that Markdown, and its tables, show as it is.

    Example:
        >>> markdown("mac_and-cheese | [x](y)")
        'mac_and-cheese \\| \\[x\\]\\(y\\)'
    """
    text = printable(text).strip() or "(no name)"
    kept = {match.start() for match in _WITHIN.finditer(text)}
    return _PUNCTUATION.sub(lambda match: match[0] if match.start() in kept else f"\\{match[0]}", text)


def code(text: str) -> str:
    """Returns a text as code within a line of Markdown, outside of tables."""
    text = printable(text)
    fence = _fence(text, 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def block(text: str) -> str:
    """Returns a line as a block of code of Markdown."""
    text = printable(text)
    fence = _fence(text, 3)
    return f"{fence}\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """Returns more backticks than stand side by side in a text."""
    return "`" * max([least, *(len(run) + 1 for run in re.findall("`+", text))])


def yaml(text: str) -> str:
    r"""Returns a text as a string of YAML in one line.

    Example:
        >>> yaml('an "omelette": 1')
        '"an \\"omelette\\": 1"'
    """
    text = printable(text).replace("\\", r"\\").replace('"', r"\"")
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'
