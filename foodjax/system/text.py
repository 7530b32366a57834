r"""Names of files and classes as text: any bytes become text that a terminal, a page and a picture can show.

Names come from disks, archives and tables. Python holds a byte that is not UTF-8 as a lone surrogate, U+DC80 to U+DCFF
(`os.fsdecode`); no file and no terminal takes such a character. Others move the cursor or reverse the direction.
"""

import unicodedata

_KEPT = "\u200c\u200d"  # joiners: scripts of Asia and emoji need them
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    r"""Returns a text in one line, without a character that would not be seen or would control a terminal.

    Such characters become escapes: a line's end \n, the byte 0xE9 of a name that is not UTF-8 \xe9, others \u202e.

    Example:
        >>> printable("caf\udce9\x1b[2J")
        'caf\\xe9\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c in _KEPT or unicodedata.category(c) not in _ESCAPED else _escape(c) for c in text)


def _escape(c: str) -> str:
    if "\udc80" <= c <= "\udcff":
        return f"\\x{ord(c) - 0xDC00:02x}"
    if "\x80" <= c <= "\xff":
        return f"\\u{ord(c):04x}"  # \x9b is a byte
    return c.encode("unicode_escape").decode()


def shorten(text: str, length: int) -> str:
    """Returns a text of at most `length` characters, its middle replaced by an ellipsis where it is longer."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def cut(name: str, num_bytes: int) -> str:
    """Returns the beginning of a file's name, as much as fits in a number of bytes, with whole characters."""
    while len(name.encode("utf-8", "surrogatepass")) > num_bytes:
        name = name[:-1]
    return name
