"""Values as text: one spelling for overrides, variants and the command line, read as the key's type says.

    true, 5, 3e-4, box          a truth value, a number, text
    0.5,1.0                     a tuple; star alone is a tuple of one, nothing at all an empty one
    0:48,20:64                  a tuple of pairs; block1/*:0.1 is one of a text and a number

No spelling needs a character that shells expand, but for the * of a pattern. Python's own, such as (0.5, 1.0) and
((0, 48), (20, 64)), is read too.
"""

import ast
from typing import Any, get_args, get_origin

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "'\""


def parse(text: str, kind: Any) -> Any:
    """Returns the value of a text.

    Args:
        text: as it was typed.
        kind: type of the value: bool, int, float, str, or a tuple of them such as tuple[float, ...].

    Raises:
        ValueError: the text does not spell such a value.
    """
    if get_origin(kind) is tuple:
        members = get_args(kind)
        items = split(_without_brackets(text.strip()))
        if len(items) > 1 and not items[-1].strip():
            items.pop()  # Python's (1,)
        kinds = (members[0],) * len(items) if members[1:] == (...,) else members
        if len(items) != len(kinds):
            raise ValueError(f"{len(items)} values, not {len(kinds)}")
        return tuple(_member(item.strip(), one) for item, one in zip(items, kinds, strict=True))
    if kind is bool:
        if text.strip().lower() not in ("true", "false"):
            raise ValueError("neither true nor false")
        return text.strip().lower() == "true"
    return kind(text) if kind in (int, float) else _unquoted(text)


def spell(value: Any) -> str:
    """Returns the text that `parse` reads as this value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        pairs = (
            ":".join(_spell_member(y, ":") for y in x) if isinstance(x, tuple) else _spell_member(x) for x in value
        )
        return ",".join(pairs)
    return repr(value) if isinstance(value, str) and _is_quoted(value) else str(value)


def literal(text: str) -> Any:
    """Returns the Python value that a text spells, true and false in any case, or the text itself: a word."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # the last two: brackets in brackets
        return text


def split(text: str, separator: str = ",") -> list[str]:
    """Splits a text at the separators that stand in no bracket and no quotes; no text at all has no items.

    A quote opens where an item or a value begins: the apostrophe of a word is a letter.
    """
    items, depth, quote, before = [""], 0, "", separator
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in _QUOTES and (before in _OPEN or before in f"{separator}=:"):
            quote = letter
        else:
            depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == separator and depth <= 0 and not quote:
            items.append("")
        else:
            items[-1] += letter
        before = before if letter == " " else letter
    return items if text else []


def _member(text: str, kind: Any) -> Any:
    if get_origin(kind) is tuple and ":" in text:
        text = ",".join(split(text, ":"))
    return parse(text, kind)


def _without_brackets(text: str) -> str:
    """Removes the brackets around a whole tuple; those of (0, 48), (20, 64) belong to its members."""
    if text[:1] not in ("(", "[") or text[-1:] not in (")", "]"):
        return text
    inner, depth = text[1:-1], 0
    for letter in inner:
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if depth < 0:
            return text
    return inner.strip()


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]


def _unquoted(text: str) -> str:
    if not _is_quoted(text):
        return text
    found = literal(text)
    return found if isinstance(found, str) else text


def _spell_member(value: Any, separators: str = "") -> str:
    """Quotes a text that would be taken for something else between commas, or `separators` too."""
    if not isinstance(value, str):
        return spell(value)
    plain = value and value == value.strip() and not set(value) & set(f",{separators}{_OPEN}{_CLOSE}{_QUOTES}")
    return value if plain else repr(value)
