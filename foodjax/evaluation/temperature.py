"""The temperature of a run's best checkpoint: fitted on its validation images, kept in calibration.json."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.sets import Data, load_data
from foodjax.evaluation.calibration import LIMITS, fit_temperature, mean_loss, reliability, scale
from foodjax.evaluation.predictions import Predictions
from foodjax.system import files
from foodjax.system.errors import UserError, first_line
from foodjax.workdir.checkpoints import Checkpoints

FILE = "calibration.json"


class Temperature(NamedTuple):
    """A fitted temperature, as calibration.json holds it.

    Attributes:
        step: of the checkpoint that it belongs to.
        temperature: T; below 1 it makes the network surer.
        num_examples: validation images that it was fitted on.
        loss_before: their mean cross-entropy without it, nats.
        loss_after: and with it.
        calibration_error_before: their expected calibration error without it.
        calibration_error_after: and with it.
    """

    step: int
    temperature: float
    num_examples: int
    loss_before: float
    loss_after: float
    calibration_error_before: float
    calibration_error_after: float

    def __str__(self) -> str:
        """Returns what was fitted, in a line."""
        return (
            f"temperature {self.temperature:.3f}, fitted on {self.num_examples:,} validation images: "
            f"loss {self.loss_before:.4f} -> {self.loss_after:.4f}, "
            f"calibration error {self.calibration_error_before:.3f} -> {self.calibration_error_after:.3f}"
        )


def fit(validation: Predictions, step: int) -> Temperature:
    """Fits the temperature of the checkpoint `step` to what it says of the validation images.

    Raises:
        UserError: a probability is no number.
    """
    probabilities, labels = validation.probabilities, validation.labels
    if not np.isfinite(probabilities).all():
        raise UserError(f"a validation probability of step {step} is nan: eval.calibrate needs finite ones")
    temperature = fit_temperature(probabilities, labels)
    before, after = (
        (mean_loss(probabilities, labels, t), reliability(scale(probabilities, t), labels).error)
        for t in (1.0, temperature)
    )
    return Temperature(step, temperature, len(labels), before[0], after[0], before[1], after[1])


def apply(predictions: Predictions, fitted: Temperature) -> Predictions:
    """Returns the predictions at a temperature: other probabilities and another loss, the same accuracy."""
    t = fitted.temperature
    loss = mean_loss(predictions.probabilities, predictions.labels, t)
    return predictions._replace(
        probabilities=scale(predictions.probabilities, t), metrics=predictions.metrics | {"loss": loss}
    )


def write(workdir: Path, fitted: Temperature) -> None:
    """Writes calibration.json.

    Raises:
        UserError: it cannot be written.
    """
    try:
        files.write_text(workdir / FILE, json.dumps(fitted._asdict(), indent=2) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {workdir / FILE}: {error.strerror}") from None


def read(workdir: Path, step: int) -> Temperature | None:
    """Returns what calibration.json says of the checkpoint `step`; None without the file, or when it is of another.

    Raises:
        UserError: the file is damaged.
    """
    path = workdir / FILE
    try:
        fitted = _checked(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({first_line(error)}): needs to be deleted, then --mode evaluate fits it again"
        ) from None
    return fitted if fitted.step == step else None


def _checked(stored: Any) -> Temperature:
    """Raises ValueError or TypeError unless `stored` is what `write` wrote."""
    fitted = Temperature(**stored)
    for name, value in stored.items():
        kinds = (int,) if name in ("step", "num_examples") else (int, float)
        if type(value) not in kinds or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name} is {str(value)[:40]!r}")
    if not LIMITS[0] <= fitted.temperature <= LIMITS[1]:
        raise ValueError(f"temperature is {fitted.temperature}, needs a number from {LIMITS[0]} to {LIMITS[1]:g}")
    return fitted


def of_checkpoint(config: Config, workdir: Path, step: int) -> Temperature | None:
    """Returns the temperature to use with the checkpoint `step`: None where `config.eval.calibrate` asks for none.

    Raises:
        UserError: calibration.json is not there, is of another checkpoint, or is damaged.
    """
    if not config.eval.calibrate:
        return None
    fitted = read(workdir, step)
    if fitted is None:
        raise UserError(
            f"workdir {workdir} has no {FILE} of its best checkpoint, step {step}: --mode evaluate on the run's own "
            f"data fits it; --config.eval.calibrate=False does without"
        )
    return fitted


def data_to_fit_on(config: Config, workdir: Path, class_names: tuple[str, ...]) -> Data | None:
    """Returns the run's data where `config` asks for a temperature that the workdir lacks, else None.

    Args:
        config: the workdir's own; its `data` names the photographs that the run was trained with.
        workdir: of the run.
        class_names: the run's.

    Raises:
        UserError: it is needed and cannot be used, or calibration.json is damaged.
    """
    checkpoints = Checkpoints(workdir)
    step = checkpoints.best_step()
    checkpoints.close()
    if not config.eval.calibrate or step is None or read(workdir, step) is not None:
        return None
    try:
        data = load_data(config)
        if data.train.class_names != class_names:
            raise UserError(f"the classes are {data.train.class_names} there and {class_names} in the workdir")
    except UserError as error:
        raise UserError(
            f"workdir {workdir} has no {FILE} of its best checkpoint, step {step}, and the validation images to fit it "
            f"on cannot be used: {error}; --config.eval.calibrate=False does without"
        ) from None
    return data
