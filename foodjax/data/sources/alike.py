"""Names of classes that look alike and are not the same: they differ in Unicode form, case, blanks or look-alikes."""

import unicodedata
from collections.abc import Iterable

from foodjax.system.text import printable

_LINES = 3
# Letters of Cyrillic and Greek that fonts draw as letters of Latin.
_LETTERS = str.maketrans("АВЕЅІЈКМНОРСТУХаеорсухѕіјΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABESIJKMHOPCTYXaeopcyxsijABEZHIKMNOPTYXo")


def notes(names: Iterable[str]) -> list[str]:
    """Returns a line for each name that looks like an earlier one, and says how they differ."""
    first: dict[str, str] = {}
    lines = []
    for name in names:
        other = first.setdefault(_look(name), name)
        if other != name:
            lines.append(f"two classes look alike: {_pair(other, name)}")
    more = [f"and {len(lines) - _LINES} more pairs of classes look alike"] if len(lines) > _LINES else []
    return lines[:_LINES] + more


def hint(name: str, names: Iterable[str]) -> str:
    """Returns the end of a message about a name that is missing: a name that looks like it; "" without one."""
    other = next((other for other in names if other != name and _look(other) == _look(name)), None)
    return "" if other is None else f"; another name looks like it: {_pair(name, other)}"


def difference(one: str, other: str) -> str:
    """Returns how two names that look alike differ."""
    nfc = [unicodedata.normalize("NFC", name) for name in (one, other)]
    if nfc[0] == nfc[1]:
        return "Unicode form (composed and decomposed accents)"
    if nfc[0].casefold() == nfc[1].casefold():
        return "upper and lower case"
    if _without(nfc[0], "Z") == _without(nfc[1], "Z"):
        return "blanks"
    if _without(nfc[0], "C") == _without(nfc[1], "C"):
        return "characters that are not seen"
    if nfc[0].translate(_LETTERS) == nfc[1].translate(_LETTERS):
        return "letters of another alphabet"
    return "several things: case, blanks, forms of characters"


def _pair(one: str, other: str) -> str:
    names = (f"'{printable(name)}'" + ("" if name.isascii() else f" ({ascii(name)})") for name in (one, other))
    return f"{' and '.join(names)} differ in {difference(one, other)}"


def _look(name: str) -> str:
    text = _without(_without(unicodedata.normalize("NFKC", name), "C"), "Z").translate(_LETTERS)
    return unicodedata.normalize("NFKC", text.casefold())


def _without(text: str, category: str) -> str:
    # A byte that is not UTF-8, held as a surrogate (Cs), is seen: as an escape.
    return "".join(c for c in text if unicodedata.category(c)[0] != category or unicodedata.category(c) == "Cs")
