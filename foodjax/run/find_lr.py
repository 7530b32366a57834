"""The learning-rate range test: the rate rises from step to step until the loss diverges (Smith 2017).

The optimizer is the experiment's own, with another schedule. The suggested rate is where the smoothed loss falls
fastest over the logarithm of the rate.
"""

import io
import math
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from foodjax.config.check import checked, replace
from foodjax.config.keys import Config
from foodjax.data.balance import class_weights
from foodjax.data.host_batches import select_train_batches
from foodjax.run import addresses
from foodjax.run.chosen import load_chosen
from foodjax.run.wiring import Engine
from foodjax.system import files
from foodjax.system.cells import to_csv
from foodjax.system.console import Bar, say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path

LOWEST, HIGHEST, NUM_STEPS = 1e-6, 1.0, 150
_SMOOTHING = 0.9  # share of the running mean that a step keeps
_FIRST = 10  # the running mean before this step rests on too few batches
_LEAST_FALL = 0.03  # of the loss; less may be noise
_HALF = 5  # steps on each side over which a fall is measured
_BURST = 2.0  # the test ends where the smoothed loss is so many times its least


class RangeTest(NamedTuple):
    """The outcome, step by step.

    Attributes:
        rates: the learning rate of each step.
        losses: the training loss before it, nats.
        smoothed: the running mean of the losses, corrected for its start.
        suggestion: the rate at which the smoothed loss fell fastest.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def rate_at(step: Any) -> Any:
    """Returns the learning rate of a step: from LOWEST to HIGHEST in NUM_STEPS equal factors."""
    return LOWEST * (HIGHEST / LOWEST) ** (step / (NUM_STEPS - 1))


def smooth(losses: list[float]) -> list[float]:
    """Returns the exponential running mean, each divided by the weights that it has so far (as Adam does)."""
    mean, out = 0.0, []
    for i, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        out.append(mean / (1 - _SMOOTHING**i))
    return out


def suggest(rates: list[float], smoothed: list[float]) -> float:
    """Returns the rate around which the loss falls fastest, before its minimum.

    Raises:
        UserError: the loss does not fall by more than noise at any rate.
    """
    lowest = least(smoothed)
    falls = {i: smoothed[i - _HALF] - smoothed[i + _HALF] for i in range(_FIRST, lowest - _HALF + 1)}
    if not falls or smoothed[lowest] > (1 - _LEAST_FALL) * smoothed[_FIRST]:
        raise UserError(
            f"the loss falls by less than {_LEAST_FALL:.0%} in {len(smoothed)} steps at any learning rate: the test "
            "needs a network that starts to learn sooner, such as one with model.norm=batch"
        )
    return rates[max(falls, key=lambda i: falls[i])]


def least(smoothed: list[float]) -> int:
    """Returns the step of the lowest loss; the first steps, whose means cover too few batches, do not count."""
    return _FIRST + int(np.argmin(smoothed[_FIRST:])) if len(smoothed) > _FIRST else 0


def range_test(config: Config | ConfigDict) -> RangeTest:
    """Takes up to NUM_STEPS steps on the training photographs, each at a higher rate than the last.

    Raises:
        UserError: the data cannot be used, or the loss does not fall.
    """
    # The test lasts an epoch or so: with gradual unfreezing it would find the rate of the head alone.
    config, data = load_chosen(replace(checked(config), {"optimizer.unfreeze": 0}))
    names = data.train.class_names
    weights = class_weights(config, data.train.labels[data.parts.train], len(names))
    engine = Engine(config, names, learning_rate=rate_at, class_weights=weights)
    addresses.check("train", config, engine.model, config.data.batch_size)
    state, losses = engine.create_state(), []
    batches = select_train_batches(config.data.backend)(data.train, data.parts.train, config, 0, NUM_STEPS)
    with Bar("learning rates", NUM_STEPS, config.data.batch_size) as bar:
        for step, batch in enumerate(batches):
            state, metrics = engine.train_step(state, batch)
            loss = metrics.compute()["loss"]
            if not math.isfinite(loss):
                break
            losses.append(loss)
            bar.update(step + 1)
            smoothed = smooth(losses)
            if smoothed[-1] > _BURST * min(smoothed):
                break
    rates = [rate_at(step) for step in range(len(losses))]
    smoothed = smooth(losses)
    return RangeTest(rates, losses, smoothed, suggest(rates, smoothed))


def plot(result: RangeTest, name: str, path: PathLike) -> None:
    """Draws loss over learning rate, with the suggestion; the suffix of the path sets the file type."""
    path = to_path(path)
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="learning rate", ylabel="training loss, nats", xscale="log", title=name)
    axes.plot(result.rates, result.losses, color="0.75", linewidth=1, label="of a batch")
    axes.plot(result.rates, result.smoothed, color="tab:blue", label="smoothed")
    axes.axvline(result.suggestion, color="tab:red", linestyle="--", label=f"steepest fall: {result.suggestion:.1e}")
    axes.set_ylim(0.95 * min(result.losses), 1.5 * result.smoothed[0])  # the burst would flatten the rest
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:] or "png")
    files.write_bytes(path, picture.getvalue())


def find_lr(config: Config | ConfigDict, folder: PathLike) -> RangeTest:
    """Runs the test, writes find_lr.csv and find_lr.png to `folder`, and prints the suggestion.

    Raises:
        UserError: the folder cannot be written, or `range_test` fails.
    """
    config, folder = checked(config), to_path(folder)
    result = range_test(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = zip(result.rates, result.losses, result.smoothed, strict=True)
        files.write_text(folder / "find_lr.csv", to_csv(["learning_rate", "loss", "smoothed_loss"], rows))
        plot(result, config.name, folder / "find_lr.png")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    best = result.rates[least(result.smoothed)]
    print(f"{len(result.losses)} steps from {LOWEST:g} to {result.rates[-1]:.1e}; least loss at {best:.1e}")
    print(f"the highest rate of a schedule lies between the steepest fall and a tenth of that, {best / 10:.1e}")
    say(f"suggestion: --config.optimizer.learning_rate={result.suggestion:.1e}; plot in {folder / 'find_lr.png'}")
    return result
