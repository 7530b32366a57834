"""LiteRT (TensorFlow Lite): a file for phones and small devices.

The facts stand behind the model as a zip archive, as the format's own metadata does.
"""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from foodjax.exchange.served import Served, with_facts
from foodjax.models.forms import plain
from foodjax.system.errors import UserError, first_line
from foodjax.system.setup import leave_gpus_to_jax


def to_litert(served: Served) -> bytes:
    """Returns the file of a network; its batch is free (`resize_tensor_input`).

    Raises:
        UserError: TensorFlow's converter does not know an operation of the network.
    """
    import tensorflow as tf

    leave_gpus_to_jax()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jax2tf is deprecated in favour of other ways to the same converter
        from jax.experimental import jax2tf
    size = served.config.data.image_size
    with plain(), _silence():
        function = tf.function(
            jax2tf.convert(
                served.function(plain=True), polymorphic_shapes=[f"(batch, {size}, {size}, 3)"], with_gradient=False
            ),
            input_signature=[tf.TensorSpec((None, size, size, 3), tf.uint8, name="images")],
            autograph=False,
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
        try:
            content = converter.convert()
        except Exception as error:  # the converter has exceptions of its own
            raise UserError(
                f"TensorFlow cannot convert this network to LiteRT: {first_line(error)}: needs --format onnx or "
                f"stablehlo"
            ) from None
    return with_facts(content, served.facts())


@contextlib.contextmanager
def _silence() -> Iterator[Any]:
    """Sends what the converter's C++ prints to nowhere."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
