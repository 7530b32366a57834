"""Rules: tests of one value, with the words that an error message needs."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from foodjax.config import fold


class Rule(NamedTuple):
    """A test of one value and the words that complete "needs ..."."""

    test: Callable[[Any], bool]
    needs: str

    def accepts(self, value: Any) -> bool:
        """Returns whether the value passes the test; a value that cannot be compared does not."""
        try:
            return bool(self.test(value))
        except (TypeError, ValueError, OverflowError):
            return False


def is_int(value: Any) -> bool:
    """Returns whether a value is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Returns whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def integer(low: int, high: int | None = None) -> Rule:
    """Returns the rule of the integers from `low` on, or from `low` to `high` where memory depends on the value."""
    if high is None:
        return Rule(lambda v: is_int(v) and v >= low, f"an integer >= {low}")
    return Rule(lambda v: is_int(v) and low <= v <= high, f"an integer in [{low}, {high}]")


def number(low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Rule:
    """Returns the rule of the finite numbers from `low` to `high`.

    Args:
        low: smallest value.
        high: largest value; infinity sets no limit.
        open_low: `low` itself is refused.
        open_high: `high` itself is refused.
    """
    if high == math.inf:
        words = f"{'>' if open_low else '>='} {low:g}"
    else:
        words = f"in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    above = (lambda v: v > low) if open_low else (lambda v: v >= low)
    below = (lambda v: v < high) if open_high else (lambda v: v <= high)
    return Rule(lambda v: is_number(v) and above(v) and below(v), f"a number {words}")


def choice(*names: str) -> Rule:
    """Returns the rule that the value is one of `names`."""
    return Rule(lambda v: v in names, "one of " + ", ".join(names))


def tuple_of(rule: Rule, words: str, most: float = math.inf) -> Rule:
    """Returns the rule of tuples of at most `most` members, which all keep `rule`; `words` name the members."""
    return Rule(
        lambda v: isinstance(v, tuple) and len(v) <= most and all(rule.accepts(x) for x in v), f"a tuple of {words}"
    )


def pair(test: Callable[[float, float], bool], words: str) -> Rule:
    """Returns the rule of pairs (low, high) of finite numbers that pass `test`; `words` say which those are."""

    def accepts(value: Any) -> bool:
        return isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value)) and test(*value)

    return Rule(accepts, f"a pair (low, high) with {words}")


def _are_stages(value: Any) -> bool:
    """Returns whether `value` is ((0, side), (epoch, side), ...) with rising epochs."""
    if not isinstance(value, tuple) or not all(
        isinstance(x, tuple) and len(x) == 2 and all(map(is_int, x)) and x[1] > 0 for x in value
    ):
        return False
    epochs = [epoch for epoch, _ in value]
    return epochs[:1] in ([], [0]) and epochs == sorted(set(epochs))


def _triple(rule: Rule, words: str) -> Rule:
    return Rule(lambda v: v == () or (tuple_of(rule, words).accepts(v) and len(v) == 3), f"() or three {words}")


def _is_span(value: Any) -> bool:
    """Returns whether `value` is () or (from, to), steps of a profile."""
    if value == ():
        return True
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(map(is_int, value))
    return is_pair and 0 <= value[0] < value[1] <= value[0] + MAX_PROFILE


def _are_sets(value: Any) -> bool:
    """Returns whether `value` is ((name, path), ...) with different names that fields and folders can have."""
    if not isinstance(value, tuple) or not all(
        isinstance(x, tuple) and len(x) == 2 and all(isinstance(text, str) and text for text in x) for x in value
    ):
        return False
    names = [name for name, _ in value]
    fit = all(re.fullmatch("[A-Za-z][A-Za-z0-9-]*", name) and name.lower() not in TAKEN for name in names)
    return fit and len({name.lower() for name in names}) == len(names)


def _is_rate(value: Any) -> bool:
    """Returns whether `value` is (pattern, rate): text, and a number from 0 on."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and value[0] != ""
        and is_number(value[1])
        and value[1] >= 0
    )


# Limits far above what anybody trains; a config may come from a stranger.
MAX_SIDE = 8192  # pixels
MAX_BATCH = 2**16  # images
MAX_FEATURES = 2**16
MAX_DEPTH = 100  # layers of a block
MAX_RATES = 1000  # patterns
MAX_LAYERS = 200  # convolutions of a network: tracing and compiling take seconds for each ten

MAX_PROFILE = 1000  # steps of a trace, which is kept in memory until it is written

WRITERS = ("tensorboard", "wandb", "mlflow")  # what shows a run's numbers, see workdir/writer.py

TAKEN = ("train", "val", "validation", "steps", "data", "images", "learning")  # begin names that a run has anyway

TEXT = Rule(lambda v: isinstance(v, str), "text")
NAME = Rule(lambda v: isinstance(v, str) and v != "" and "/" not in v, "a name without '/'")
FOLD = Rule(fold.is_fold, fold.NEEDS)
BOOL = Rule(lambda v: isinstance(v, bool), "true or false")
SEED = Rule(lambda v: is_int(v) and 0 <= v < 2**31, "an integer in [0, 2**31)")
FRACTION = number(0, 1, open_high=True)
UNIT = number(0, 1)
POSITIVE = number(0, open_low=True)
RANGE = pair(lambda low, high: 0 <= low <= high, "0 <= low <= high")
AREA = pair(lambda low, high: 0 < low <= high <= 1, "0 < low <= high <= 1")
CHANNELS = _triple(number(-1, 2), "numbers in [-1, 2]")
DEVIATIONS = _triple(number(1e-3, 10), "numbers in [0.001, 10]")
RATES = tuple_of(
    Rule(_is_rate, "a pair (pattern, rate)"), f"at most {MAX_RATES} pairs (pattern, rate) with rate >= 0", MAX_RATES
)
PROFILE = Rule(_is_span, f"() or two integers (from, to) with 0 <= from < to, at most {MAX_PROFILE} apart")
EVAL_SETS = Rule(
    _are_sets,
    f"pairs (name, path) with different names of letters, digits and -, none of {', '.join(TAKEN)}",
)
STAGES = Rule(_are_stages, "pairs (epoch, pixels) with rising epochs, the first of them 0")
WRITER_NAMES = Rule(
    lambda v: isinstance(v, tuple) and set(v) <= set(WRITERS) and len(set(v)) == len(v),
    f"a tuple of different names among {', '.join(WRITERS)}",
)
PADDING = Rule(
    lambda v: isinstance(v, tuple) and 0 < len(v) <= MAX_DEPTH and set(v) <= {"SAME", "VALID"},
    f"a tuple of 'SAME' or 'VALID', one for each convolution, at most {MAX_DEPTH}",
)
