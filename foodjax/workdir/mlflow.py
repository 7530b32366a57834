"""The writer for MLflow. A run that continues is the same run there, with every step once.

MLFLOW_TRACKING_URI names the server, or a database such as sqlite:///mlflow.db, which is MLflow's own default;
MLFLOW_EXPERIMENT_NAME the experiment.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from foodjax.config.check import flatten
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.workdir.writer import Opened

EXPERIMENT = "foodjax"  # where MLFLOW_EXPERIMENT_NAME names none
_EVERY_ROW = "epoch"  # a number that every row has
_MOST_PARAMS, _LONGEST = 100, 500  # of one call, and characters of a value


class MlflowRun:
    """The writer for MLflow. The run's id is in the workdir's `mlflow.json`.

    Attributes:
        steps: whose numbers the run has.
    """

    def __init__(self, opened: Opened):
        """Begins the run, or continues the one whose id the workdir has, if MLflow still knows it.

        Raises:
            UserError: MLflow cannot be reached.
        """
        from mlflow.tracking import MlflowClient  # whoever imports this module alone need not have it

        try:
            self._client = MlflowClient()
            self._id = self._continued(opened.workdir) or self._begin(opened)
            history = self._client.get_metric_history(self._id, _EVERY_ROW)
        except Exception as error:  # MLflow's own, and those of its database and of the network
            raise UserError(
                f"log.writers has 'mlflow', and MLflow does not start a run ({first_line(error)}): needs a server or a "
                f"database at MLFLOW_TRACKING_URI, or another log.writers"
            ) from None
        self.steps = {metric.step for metric in history}
        say(f"MLflow: run {self._id} at {self._client.tracking_uri}")

    def _continued(self, workdir: Path) -> str:
        """Returns the id of the workdir's run, which is then running again; "" where there is none."""
        from mlflow.exceptions import MlflowException

        try:
            identity = files.read_json(workdir / "mlflow.json")["id"]
            with contextlib.suppress(MlflowException):  # of another server, or deleted
                if self._client.get_run(identity).info.lifecycle_stage == "active":
                    self._client.update_run(identity, "RUNNING")
                    return identity
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return ""

    def _begin(self, opened: Opened) -> str:
        from mlflow.entities import Param

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        identity = self._client.create_run(experiment, run_name=opened.workdir.absolute().name).info.run_id
        files.write_text(opened.workdir / "mlflow.json", json.dumps({"id": identity}) + "\n")
        params = [Param(_key(key), str(value)[:_LONGEST]) for key, value in flatten(opened.config)]
        for k in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(identity, params=params[k : k + _MOST_PARAMS])
        return identity

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Adds the numbers of an epoch."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._id, [Metric(_key(name), value, now, step) for name, value in numbers.items()])

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Keeps a text, in the place of that of an earlier step."""
        del step
        self._client.log_text(self._id, markdown, f"{_key(tag)}.md")

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 (H, W, 3)."""
        self._client.log_image(self._id, pixels, key=_key(tag), step=step)

    def flush(self) -> None:
        """Does nothing: every number is sent at once."""

    def close(self, *, finished: bool) -> None:
        """Marks the run as finished, or as killed: it may go on."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")


def _key(name: Any) -> str:
    """Returns a name with the characters that MLflow's names have."""
    return "".join(c if c.isalnum() or c in "_-. " else "_" for c in str(name))
