"""The rows of the parity table: what must agree, how well, and how well it did. Printed after every run."""

from typing import NamedTuple

import pytest


class Row(NamedTuple):
    """What is compared, the limit in words, the limit, and whether the number must stay below or above it."""

    what: str
    must: str
    limit: float
    below: bool = True


ROWS = {
    "split": Row("file lists of both splits", "the same files", 0),
    "nearest": Row("resized image, nearest", "identical bytes", 0),
    "bilinear": Row("resized image, bilinear", "1 level", 1),
    "augmentation": Row("augmentation, values off by more than a level", "0.1 %", 0.001),
    "draws": Row("distribution of the draws, smallest p", "p > 0.01", 0.01, below=False),
    "layers": Row("layer names, shapes, parameters", "equal", 0),
    "init": Row("initial weights, limit and deviation", "2 % relative", 0.02),
    "forward": Row("probabilities with Keras' weights", "1e-5", 1e-5),
    "loss": Row("loss of a batch", "1e-5 relative", 1e-5),
    "gradients64": Row("gradients of every weight, float64", "1e-5 relative", 1e-5),
    "gradients32": Row("float32 gradients' distance to float64, ours / Keras'", "at most 3", 3),
    "steps64": Row("20 RMSprop steps, every weight, float64", "1e-4 relative", 1e-4),
    "updates": Row("20 RMSprop updates from Keras' gradients, float32", "1e-4 relative", 1e-4),
    "stopping": Row("early stopping and best epoch", "the same epochs", 0),
    "report": Row("precision, recall, F-score, accuracy", "equal", 0),
}
_measured = pytest.StashKey[dict]()


class Parity:
    """Holds measured deviations against the table's limits and remembers the worst of each row."""

    def __init__(self, measured: dict):
        self._measured = measured

    def holds(self, key: str, deviation: float, wrong: str = "") -> None:
        """Asserts that a deviation is within the row's limit.

        Args:
            key: of the row.
            deviation: the worst one found.
            wrong: what was made wrong on purpose; the row tells by how much that missed the limit.
        """
        row, worse = ROWS[key], max if ROWS[key].below else min
        found = self._measured.setdefault(key, {})
        if wrong:
            found.setdefault("wrong", []).append((wrong, deviation))
        else:
            found["worst"] = worse(found.get("worst", deviation), deviation)
        within = deviation <= row.limit if row.below else deviation > row.limit
        assert within, f"{row.what}: {deviation:.3g}, must agree to {row.must}"

    def misses(self, key: str, deviation: float, wrong: str) -> None:
        """Asserts that the same check fails for what was made wrong on purpose."""
        with pytest.raises(AssertionError, match="must agree to"):
            self.holds(key, deviation, wrong)


def pytest_configure(config):
    config.stash[_measured] = {}


@pytest.fixture
def parity(request):
    measured = request.config.stash.get(_measured, None)
    if measured is None:  # pytest_configure has passed when this file is found by collection alone
        measured = request.config.stash[_measured] = {}
    return Parity(measured)


def pytest_terminal_summary(terminalreporter, config):
    measured = config.stash.get(_measured, {})
    if not measured:
        return
    lines = [("what", "must agree to", "worst deviation", "a wrong value gives")]
    for key, row in ROWS.items():
        if key in measured:
            worst = measured[key].get("worst")
            wrong = "; ".join(f"{what}: {number:.2g}" for what, number in measured[key].get("wrong", []))
            lines.append((row.what, row.must, "-" if worst is None else f"{worst:.2g}", wrong))
    widths = [max(len(line[i]) for line in lines) for i in range(3)] + [0]
    terminalreporter.section("parity with Keras")
    for line in lines:
        terminalreporter.line("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
