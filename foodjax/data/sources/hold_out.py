"""The test part of data that has none: held out of the photographs by a rule that depends on their names alone."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable

from foodjax.data.formats import suffix_of
from foodjax.data.sources.base import Example

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
_LAST_DIGITS = re.compile(r"(?s)(.*?)([0-9]{0,18})([^0-9]*)")


def hold_out(examples: Iterable[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """Splits photographs into those to train and those to test on, class by class.

    Class and file name give each photograph a number in [0, 1); those below `fraction` are held out. So a photograph
    stays in its part when others are added. In a class where these are less than half or more than one and a half times
    the share, which chance does in small ones, the lowest numbers make up that; at least one, never all of them.

    Args:
        examples: of all classes.
        fraction: share of each class to hold out.

    Returns:
        (kept, held out), each in the order of `examples`.
    """
    classes: dict[str, list[tuple[float, str]]] = {}
    examples = list(examples)
    for example in examples:
        classes.setdefault(example.class_name, []).append((_number(example), example.id))
    held = set()
    for name, numbered in classes.items():
        n = len(numbered)
        low, high = max(1, math.floor(fraction * n / 2)), math.ceil(fraction * n * 1.5)
        count = min(max(sum(number < fraction for number, _ in numbered), low), high, n - 1)
        held |= {(name, example_id) for _, example_id in sorted(numbered)[:count]}
    return (
        [e for e in examples if (e.class_name, e.id) not in held],
        [e for e in examples if (e.class_name, e.id) in held],
    )


def _number(example: Example) -> float:
    """Returns a number in [0, 1) that a hash of class and name gives.

    Names that differ in their last digits alone, such as bar007.jpg and bar008.jpg, get numbers that lie evenly in
    [0, 1), by the golden ratio (Fibonacci hashing), so that small classes get their share too.
    """
    # NFC: one name for the two forms in which systems store accents.
    name = unicodedata.normalize("NFC", f"{example.class_name}/{example.id}")
    stem = name[: len(name) - len(suffix_of(name))]
    before, digits, after = _LAST_DIGITS.fullmatch(stem).groups()  # pyright: ignore[reportOptionalMemberAccess]
    digest = hashlib.sha256(f"{before}/{after}".encode("utf-8", "surrogateescape")).digest()
    return (int.from_bytes(digest[:8], "big") + int(digits or 0) * _GOLDEN) % 2**64 / 2**64
