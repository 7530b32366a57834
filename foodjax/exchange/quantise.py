"""Quantises an ONNX file to 8-bit integers, with ONNX Runtime, and measures what that costs in accuracy."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foodjax.config.keys import Config
from foodjax.exchange.to_onnx.walk import IMAGES
from foodjax.system.errors import UserError, first_line
from foodjax.workdir.data_check import own_data

CALIBRATION = 256  # photographs at most that the ranges of the values are taken from
_BATCH = 16
# The others, such as normalisation and softmax, stay floats: they cost little time, and much accuracy.
_OPERATIONS = ["Conv", "MatMul", "MaxPool", "Relu", "Clip", "Add", "GlobalAveragePool", "Reshape", "Transpose"]


class Examples(NamedTuple):
    """Photographs to calibrate and to measure on.

    Attributes:
        images: uint8 (N, S, S, 3).
        labels: integers (N,).
    """

    images: np.ndarray
    labels: np.ndarray


def validation_examples(config: Config, workdir: Path, class_names: tuple[str, ...]) -> Examples:
    """Returns the validation photographs of a run, not augmented.

    Raises:
        UserError: they cannot be read, or are not the run's own.
    """
    data = own_data(config, workdir, class_names)
    rows = data.parts.validation
    return Examples(data.validation.images[rows], data.validation.labels[rows])


def quantise(content: bytes, examples: Examples, seed: int = 0) -> tuple[bytes, float, float]:
    """Returns an ONNX file with weights and values of 8 bits, and the accuracy before and after.

    The range of each value is that of some of the photographs (static quantisation); weights have a range for each
    output channel.

    Args:
        content: an ONNX file of `to_onnx`.
        examples: photographs to calibrate on, at most CALIBRATION of them, and to measure on, all.
        seed: of the choice.

    Returns:
        The file, and the share of the photographs that are predicted right, 0..1, by `content` and by it.

    Raises:
        UserError: ONNX Runtime cannot quantise the network.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        """Gives the photographs batch by batch."""

        def __init__(self) -> None:
            chosen = np.random.default_rng(seed).permutation(len(examples.images))[:CALIBRATION]
            self._batches = _batches(examples.images[np.sort(chosen)])

        def get_next(self) -> Any:
            images = next(self._batches, None)
            return None if images is None else {IMAGES: images}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        try:
            logging.disable(logging.WARNING)  # it advises on steps that were taken, or do not apply
            quantization.quantize_static(
                onnx.load_from_string(content), path, Reader(), op_types_to_quantize=_OPERATIONS, per_channel=True,
                activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            )  # fmt: skip
            found = path.read_bytes()
        except Exception as error:  # of many types, from ONNX and from ONNX Runtime
            raise UserError(f"ONNX Runtime cannot quantise this network: {first_line(error)}") from None
        finally:
            logging.disable(logging.NOTSET)
    return found, accuracy(content, examples), accuracy(found, examples)


def accuracy(content: bytes, examples: Examples) -> float:
    """Returns the share of photographs that an ONNX file predicts right, 0..1."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = [np.asarray(session.run(None, {IMAGES: x})[0]).argmax(axis=1) for x in _batches(examples.images)]
    return float((np.concatenate(found) == examples.labels).mean())


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (images[i : i + _BATCH] for i in range(0, len(images), _BATCH))
