"""Writes a network as a .keras file, which Keras loads without code of others."""

import tempfile
from pathlib import Path

from foodjax.exchange.served import Served, with_facts
from foodjax.exchange.to_keras.build import to_functional
from foodjax.system.setup import leave_gpus_to_jax


def to_keras(served: Served) -> bytes:
    """Returns the file of a network: pictures, uint8 (B, S, S, 3), to probabilities; its batch is free.

    Raises:
        UserError: the network uses a primitive of JAX that the export does not know.
    """
    leave_gpus_to_jax()
    model = to_functional(served.function(plain=True), served.config.data.image_size, served.config.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return with_facts(path.read_bytes(), served.facts())
