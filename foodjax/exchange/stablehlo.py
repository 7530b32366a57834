"""StableHLO: a program that JAX runs on CPU, GPU and TPU, without foodjax and without this network's Python."""

import jax
import jax.export
import numpy as np

from foodjax.exchange.served import Served, with_facts

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(served: Served) -> bytes:
    """Returns the file of a network; its batch is free. `jax.export.deserialize` reads it."""
    (batch,) = jax.export.symbolic_shape("batch")
    size = served.config.data.image_size
    pictures = jax.ShapeDtypeStruct((batch, size, size, 3), np.uint8)
    exported = jax.export.export(jax.jit(served.function(plain=False)), platforms=PLATFORMS)(pictures)
    return with_facts(exported.serialize(), served.facts())
