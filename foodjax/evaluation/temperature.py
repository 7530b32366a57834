"""The temperature of a run's best checkpoint: fitted on its validation images, stored in calibration.json."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foodjax.config.keys import Config
from foodjax.data.sets import Data
from foodjax.evaluation.calibration import LIMITS, fit_temperature, mean_loss, reliability, scale
from foodjax.evaluation.predictions import Predictions
from foodjax.system import files
from foodjax.system.errors import UserError, first_line
from foodjax.workdir import views
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.data_check import own_data

FILE = "calibration.json"


class Temperature(NamedTuple):
    """A fitted temperature, as stored in calibration.json.

    Attributes:
        step: step of the checkpoint.
        temperature: T; below 1 it makes the network more confident.
        num_examples: number of validation images.
        loss_before: mean cross-entropy of the validation images without T, nats.
        loss_after: the same with T.
        calibration_error_before: expected calibration error of the validation images without T.
        calibration_error_after: the same with T.
    """

    step: int
    temperature: float
    num_examples: int
    loss_before: float
    loss_after: float
    calibration_error_before: float
    calibration_error_after: float

    def __str__(self) -> str:
        """Returns the fit as one line."""
        return (
            f"temperature {self.temperature:.3f}, fitted on {self.num_examples:,} validation images: "
            f"loss {self.loss_before:.4f} -> {self.loss_after:.4f}, "
            f"calibration error {self.calibration_error_before:.3f} -> {self.calibration_error_after:.3f}"
        )


def fit(validation: Predictions, step: int) -> Temperature:
    """Fits the temperature of the checkpoint `step` to its predictions of the validation images.

    Raises:
        UserError: a probability is not finite.
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
    """Scales predictions by a temperature: probabilities and loss change, the accuracy does not."""
    t = fitted.temperature
    loss = mean_loss(predictions.probabilities, predictions.labels, t)
    return predictions._replace(
        probabilities=scale(predictions.probabilities, t), metrics=predictions.metrics | {"loss": loss}
    )


def write(folder: Path, fitted: Temperature) -> None:
    """Writes calibration.json to a folder of `views.place`.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write_text(folder / FILE, json.dumps(fitted._asdict(), indent=2) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {folder / FILE}: {error.strerror}") from None


def read(folder: Path, step: int) -> Temperature | None:
    """Reads the temperature of the checkpoint `step`; None if calibration.json is missing or of another step.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / FILE
    try:
        fitted = _checked(files.read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise UserError(
            f"{path} is damaged ({first_line(error)}): delete it, then foodjax evaluate fits it again"
        ) from None
    return fitted if fitted.step == step else None


def _checked(stored: Any) -> Temperature:
    """Returns `stored` as a Temperature; raises ValueError or TypeError unless `write` could have written it."""
    fitted = Temperature(**stored)
    for name, value in stored.items():
        kinds = (int,) if name in ("step", "num_examples") else (int, float)
        if type(value) not in kinds or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name} is {str(value)[:40]!r}")
    if not LIMITS[0] <= fitted.temperature <= LIMITS[1]:
        raise ValueError(f"temperature is {fitted.temperature}, needs a number from {LIMITS[0]} to {LIMITS[1]:g}")
    return fitted


def of_checkpoint(config: Config, workdir: Path, step: int) -> Temperature | None:
    """Returns the temperature of the checkpoint `step`, as `config` shows pictures; None if `eval.calibrate` is off.

    Raises:
        UserError: calibration.json is missing, of another checkpoint, or damaged.
    """
    if not config.eval.calibrate:
        return None
    folder = views.place(workdir, views.changes(config, workdir))
    fitted = read(folder, step)
    if fitted is None:
        raise UserError(
            f"{folder} has no {FILE} of its best checkpoint, step {step}: foodjax evaluate on the run's own data fits "
            f"it{'' if folder == workdir else ', with the same eval values'}; or set --config.eval.calibrate=False"
        )
    return fitted


def data_to_fit_on(config: Config, workdir: Path, class_names: tuple[str, ...]) -> Data | None:
    """Returns the run's data if `eval.calibrate` is on and there is no temperature for this config yet, else None.

    Args:
        config: the workdir's config; `data` names the photographs of the training.
        workdir: folder of the run.
        class_names: classes of the run.

    Raises:
        UserError: the data is needed and cannot be used, or is not the run's own, or calibration.json is damaged.
    """
    checkpoints = Checkpoints(workdir)
    step = checkpoints.best_step()
    checkpoints.close()
    if not config.eval.calibrate or step is None:
        return None
    if read(views.place(workdir, views.changes(config, workdir)), step) is not None:
        return None
    try:
        return own_data(config, workdir, class_names)
    except UserError as error:
        raise UserError(
            f"workdir {workdir} has no {FILE} of its best checkpoint, step {step}, and the validation images to fit it "
            f"on cannot be used: {error}; or set --config.eval.calibrate=False"
        ) from None
