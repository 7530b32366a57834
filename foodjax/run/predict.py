"""Predicts any photographs with the best checkpoint of a workdir. Imports no TensorFlow."""

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
from ml_collections import ConfigDict

from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data.batches import pad_batch
from foodjax.data.images import check_images
from foodjax.evaluation import temperature as temperature_lib
from foodjax.evaluation.calibration import scale
from foodjax.run import addresses
from foodjax.run.photo_decoder import PhotoDecoder
from foodjax.run.photos import each_photo, find_photos
from foodjax.run.wiring import open_workdir
from foodjax.system.cells import to_csv
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path

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
        workdir: folder of the run.
        config: the experiment.
        class_names: in label order.
        model: the network.
        variables: its weights, as `TrainState.variables`.
        step: of the checkpoint.
        temperature: of its probabilities; None without eval.calibrate.

    Example:
        >>> import foodjax
        >>> predictor = foodjax.Predictor("runs/demo")  # of the example of foodjax.train
        >>> images = foodjax.load_data(predictor.config).test.images
        >>> images.shape, images.dtype
        ((50, 32, 32, 3), dtype('uint8'))
        >>> predictor.probabilities(images).shape
        (50, 10)
        >>> from PIL import Image
        >>> Image.fromarray(images[0]).save("photo.png")
        >>> (prediction,) = predictor.predict("photo.png")
        >>> len(prediction.top)
        5
        >>> name, probability = prediction.top[0]
        >>> name in predictor.class_names
        True
    """

    def __init__(self, workdir: PathLike, batch_size: int = BATCH_SIZE, config: Config | ConfigDict | None = None):
        """Restores the checkpoint.

        Args:
            workdir: folder of a run.
            batch_size: photographs in a step; the last batch is padded.
            config: the workdir's own, perhaps with another eval.calibrate; None reads it.

        Raises:
            UserError: the workdir has no run, no usable checkpoint, or no temperature although eval.calibrate is set.
        """
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}: needs at least 1")
        self.workdir = to_path(workdir)
        self._batch_size = -(-batch_size // jax.device_count()) * jax.device_count()
        engine = open_workdir(self.workdir, None if config is None else checked(config), self._batch_size)
        self.config, self.class_names, self.model = engine.config, engine.class_names, engine.model
        self._eval_step = engine.eval_step
        addresses.check("predict", self.config, self.model, self._batch_size)
        self.step, self.variables = engine.load_weights(self.workdir)
        self.temperature = temperature_lib.of_checkpoint(self.config, self.workdir, self.step)
        self._decode = PhotoDecoder(self.config.data)

    def __repr__(self) -> str:
        temperature = self.temperature and round(self.temperature.temperature, 3)
        return (
            f"Predictor(workdir={str(self.workdir)!r}, name={self.config.name!r}, step={self.step}, "
            f"num_classes={len(self.class_names)}, temperature={temperature})"
        )

    def decode(self, path: PathLike) -> np.ndarray:
        """Returns a photograph as the network takes it, uint8 (H, H, 3), upright.

        Raises:
            ValueError: it cannot be read, is no whole picture, or is too large.
        """
        path = to_path(path)
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"{path.stat().st_size:,} bytes, more than {MAX_BYTES:,}")
            encoded = path.read_bytes()
        except OSError as error:
            raise ValueError(error.strerror or "cannot be read") from None
        return self._decode(encoded)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns the class probabilities of pictures.

        Args:
            images: uint8 (N, H, H, 3) with H = data.image_size, values 0..255, as `decode` returns one; or a single
                one, (H, H, 3). More than batch_size pictures are predicted batch by batch.

        Returns:
            (N, K) in label order, or (K,) for a single picture.

        Raises:
            TypeError: the pictures are not uint8.
            ValueError: they have another shape.
        """
        images = check_images(images, self.config.data.image_size, ndims=(3, 4))
        if images.ndim == 3:
            return self.probabilities(images[None])[0]
        # Without a picture there is a batch, too: it gives (0, K) and the dtype.
        batches = [images[i : i + self._batch_size] for i in range(0, max(len(images), 1), self._batch_size)]
        return np.concatenate([self._of_batch(batch) for batch in batches])

    def _of_batch(self, images: np.ndarray) -> np.ndarray:
        batch = pad_batch(images, np.zeros(len(images), np.int32), self._batch_size)
        found = np.asarray(self._eval_step(self.variables, batch)[1])[: len(images)]
        return found if self.temperature is None else scale(found, self.temperature.temperature)

    def predict(
        self, paths: PathLike | Iterable[PathLike], bad: dict[Path, str] | None = None, count: int = 5
    ) -> Iterator[Prediction]:
        """Yields the `count` most probable classes of each photograph.

        Args:
            paths: of photographs, or of folders of them; one or many. A batch of photographs is in memory at a time.
            bad: gets the problem of each file that cannot be used, and the file is left out; None stops at the first.
            count: classes for each.

        Raises:
            UserError: a file cannot be used, and bad is None.
        """

        def decoded():
            for path in each_photo(paths, leave_out):
                try:
                    image = self.decode(path)
                except ValueError as error:
                    leave_out(path, str(error))
                else:
                    yield path, image

        def leave_out(path: Path, problem: str) -> None:
            if bad is None:
                raise UserError(
                    f"cannot predict {path}: {problem}: needs a photograph, or bad={{}} to leave out and collect others"
                )
            bad[path] = problem

        photos = decoded()
        while chunk := list(itertools.islice(photos, self._batch_size)):
            for (path, _), probs in zip(chunk, self.probabilities(np.stack([x for _, x in chunk])), strict=True):
                best = np.argsort(-probs, kind="stable")[:count]
                yield Prediction(path, [(self.class_names[k], float(probs[k])) for k in best])


def predict_workdir(
    workdir: PathLike,
    places: PathLike | Iterable[PathLike],
    output: PathLike | None = None,
    config: Config | ConfigDict | None = None,
) -> None:
    """Prints the top 5 of each photograph and, on request, writes them to a file.

    Args:
        workdir: folder of a run; nothing else is needed.
        places: photographs and folders, one or many.
        output: .csv or .json, never overwritten; None writes nothing.
        config: as for `Predictor`.

    Raises:
        UserError: there is nothing to predict, or the output exists or cannot be written.
    """
    workdir, output = to_path(workdir), None if output is None else to_path(output)
    if output is not None and output.suffix not in (".csv", ".json"):
        raise UserError(f"--output is {output}: needs a file that ends with .csv or .json")
    if output is not None and output.exists():
        raise UserError(f"--output {output} exists already: needs another file")
    bad: dict[Path, str] = {}
    paths = find_photos(places, bad)
    # One photograph in a batch of 32 takes as long as 32 of them.
    predictor = Predictor(workdir, 1 if len(paths) == 1 else BATCH_SIZE, config)
    if predictor.temperature is not None:
        print(predictor.temperature)
    predictions = []
    for prediction in predictor.predict(paths, bad):
        predictions.append(prediction)
        say(f"{prediction.path}: " + ", ".join(f"{name} {p:.1%}" for name, p in prediction.top))
    for path, problem in bad.items():
        say(f"left out {path}: {problem}", file=sys.stderr)
    if not predictions:
        raise UserError(f"none of the {len(paths)} files is a picture that decodes: needs photographs")
    if output is not None:
        _write(output, predictions, bad)
    say(f"{len(predictions)} photographs, {len(bad)} left out; checkpoint of step {predictor.step} in {workdir}")


def _write(output: Path, predictions: list[Prediction], bad: dict[Path, str]) -> None:
    rows: list[dict[str, Any]] = [
        {"path": str(path), "rank": rank, "class": name, "probability": p}
        for path, top in predictions
        for rank, (name, p) in enumerate(top, start=1)
    ]
    try:
        # Beside its place, and linked there when whole: what another program wrote meanwhile stays.
        with tempfile.NamedTemporaryFile(
            "w", dir=output.parent, prefix=f".{output.name}-", newline="", encoding="utf-8"
        ) as file:
            if output.suffix == ".csv":
                file.write(to_csv(list(rows[0]), [row.values() for row in rows]))
            else:
                left_out = [{"path": str(path), "problem": problem} for path, problem in bad.items()]
                json.dump({"predictions": rows, "left_out": left_out}, file, indent=2)
            file.flush()
            os.chmod(file.name, 0o644)
            os.link(file.name, output)
    except OSError as error:
        raise UserError(f"cannot write --output {output}: {error.strerror}") from None
