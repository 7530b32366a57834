"""Predicts any photographs with the best checkpoint of a workdir. Imports no TensorFlow."""

import csv
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from foodjax.config.keys import Config
from foodjax.data.batches import pad_batch
from foodjax.data.decode import decode
from foodjax.data.formats import SUFFIXES, is_picture, why_unused
from foodjax.data.sources.tree import scan
from foodjax.evaluation import temperature as temperature_lib
from foodjax.evaluation.calibration import scale
from foodjax.run.wiring import open_workdir
from foodjax.system.errors import UserError

BATCH_SIZE = 32
MAX_BYTES = 256 * 2**20  # of one file; more is refused before it is read


class Prediction(NamedTuple):
    """The most probable classes of one photograph.

    Attributes:
        path: as the user gave it, or below the folder that was given.
        top: (class name, probability), most probable first.
    """

    path: Path
    top: list[tuple[str, float]]


class Predictor:
    """The best checkpoint of a workdir, ready to predict.

    Attributes:
        config: the experiment.
        class_names: in label order.
        model: the network.
        variables: its weights, as `TrainState.variables`.
        step: of the checkpoint.
        temperature: of its probabilities; None without eval.calibrate.
    """

    def __init__(self, workdir: Path, batch_size: int = BATCH_SIZE, config: Config | None = None):
        """Restores the checkpoint.

        Args:
            workdir: of a run.
            batch_size: photographs in a step; the last batch is padded.
            config: the workdir's own, perhaps with another eval.calibrate; None reads it.

        Raises:
            UserError: the workdir has no run, no usable checkpoint, or no temperature although eval.calibrate is set.
        """
        self._batch_size = -(-batch_size // jax.device_count()) * jax.device_count()
        engine = open_workdir(workdir, config, self._batch_size)
        self.config, self.class_names, self.model = engine.config, engine.class_names, engine.model
        self._eval_step = engine.eval_step
        self.step, self.variables = engine.load_weights(workdir)
        self.temperature = temperature_lib.of_checkpoint(self.config, workdir, self.step)

    def decode(self, path: Path) -> np.ndarray:
        """Returns a photograph as the network takes it, uint8 (H, H, 3), upright.

        Raises:
            ValueError: it cannot be read, is no whole picture, or is too large.
        """
        data = self.config.data
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"{path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")
            encoded = path.read_bytes()
        except OSError as error:
            raise ValueError(error.strerror or "cannot be read") from None
        return decode(encoded, data.image_size, data.resize, as_seen=True)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns the class probabilities: uint8 (N, H, H, 3), N <= batch_size -> float (N, K)."""
        batch = pad_batch(images, np.zeros(len(images), np.int32), self._batch_size)
        found = np.asarray(self._eval_step(self.variables, batch)[1])[: len(images)]
        return found if self.temperature is None else scale(found, self.temperature.temperature)

    def predict(self, paths: Iterable[Path], bad: dict[Path, str], count: int = 5) -> Iterator[Prediction]:
        """Yields the `count` most probable classes of each photograph.

        Args:
            paths: of photographs; only a batch of them is in memory at a time.
            bad: gets the problem of each file that is left out.
            count: classes for each.
        """

        def decoded():
            for path in paths:
                try:
                    yield path, self.decode(path)
                except ValueError as error:
                    bad[path] = str(error)

        photos = decoded()
        while chunk := list(itertools.islice(photos, BATCH_SIZE)):
            for (path, _), probs in zip(chunk, self.probabilities(np.stack([x for _, x in chunk])), strict=True):
                best = np.argsort(-probs, kind="stable")[:count]
                yield Prediction(path, [(self.class_names[k], float(probs[k])) for k in best])


def find_photos(places: Iterable[str], bad: dict[Path, str]) -> list[Path]:
    """Returns the files among `places`, and the pictures in the folders among them, each once.

    Args:
        places: photographs and folders.
        bad: gets the problem of each picture in a folder that cannot be opened.

    Raises:
        UserError: a place that does not exist or cannot be listed, or no picture at all.
    """
    found: dict[Path, None] = {}
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            inside: list[Path] = []
            for folder in scan(str(path)).walk():
                if folder.problem:
                    bad[path / folder.path] = folder.problem
                for name, problem in folder.files.items():
                    if not (problem or why_unused(name)):
                        inside.append(path / folder.path / name)
                    elif is_picture(name):
                        bad[path / folder.path / name] = problem or why_unused(name)
            found |= dict.fromkeys(sorted(inside))
        elif path.is_file():
            found[path] = None
        else:
            what = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise UserError(f"--images {place} {what}: needs photographs or folders of them")
    if not found:
        first = next((f"; {path}: {problem}" for path, problem in bad.items()), "")
        raise UserError(
            f"--images {','.join(places)} holds no picture{first}: needs files such as {' '.join(SUFFIXES[:8])}"
        )
    return list(found)


def predict_workdir(workdir: Path, places: list[str], output: Path | None, config: Config | None = None) -> None:
    """Prints the top 5 of each photograph and, on request, writes them to a file.

    Args:
        workdir: of a run; nothing else is needed.
        places: photographs and folders.
        output: .csv or .json, never overwritten; None writes nothing.
        config: as for `Predictor`.

    Raises:
        UserError: there is nothing to predict, or the output exists or cannot be written.
    """
    if output is not None and output.suffix not in (".csv", ".json"):
        raise UserError(f"--output is {output}: needs a file that ends with .csv or .json")
    if output is not None and output.exists():
        raise UserError(f"--output {output} exists already: needs another file")
    bad: dict[Path, str] = {}
    paths = find_photos(places, bad)
    predictor = Predictor(workdir, config=config)
    if predictor.temperature is not None:
        print(predictor.temperature)
    predictions = []
    for prediction in predictor.predict(paths, bad):
        predictions.append(prediction)
        print(f"{prediction.path}: " + ", ".join(f"{name} {p:.1%}" for name, p in prediction.top))
    for path, problem in bad.items():
        print(f"left out {path}: {problem}", file=sys.stderr)
    if not predictions:
        raise UserError(f"none of the {len(paths)} files is a picture that decodes: needs photographs")
    if output is not None:
        _write(output, predictions, bad)
    print(f"{len(predictions)} photographs, {len(bad)} left out; checkpoint of step {predictor.step} in {workdir}")


def _write(output: Path, predictions: list[Prediction], bad: dict[Path, str]) -> None:
    rows: list[dict[str, Any]] = [
        {"path": str(path), "rank": rank, "class": name, "probability": p}
        for path, top in predictions
        for rank, (name, p) in enumerate(top, start=1)
    ]
    try:
        # Beside its place, and linked there when whole: what another program wrote meanwhile stays.
        with tempfile.NamedTemporaryFile("w", dir=output.parent, prefix=f".{output.name}-", newline="") as file:
            if output.suffix == ".csv":
                writer = csv.DictWriter(file, ["path", "rank", "class", "probability"])
                writer.writeheader()
                writer.writerows(rows)
            else:
                left_out = [{"path": str(path), "problem": problem} for path, problem in bad.items()]
                json.dump({"predictions": rows, "left_out": left_out}, file, indent=2)
            file.flush()
            os.chmod(file.name, 0o644)
            os.link(file.name, output)
    except OSError as error:
        raise UserError(f"cannot write --output {output}: {error.strerror}") from None
