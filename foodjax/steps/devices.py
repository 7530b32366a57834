"""Devices: the mesh and XLA's compiler options."""

import functools

import jax
import numpy as np
from jax.sharding import Mesh

from foodjax.system.errors import UserError


def create_mesh(batch_size: int) -> Mesh:
    """Returns the mesh of all devices with the one axis "batch".

    Raises:
        UserError: the batch size is not a multiple of the number of devices.
    """
    devices = jax.devices()
    if batch_size < 1 or batch_size % len(devices):
        near = max(1, round(batch_size / len(devices))) * len(devices)
        raise UserError(
            f"data.batch_size is {batch_size}: needs a multiple of the {len(devices)} devices, such as {near}"
        )
    return Mesh(np.array(devices), ("batch",))


@functools.cache
def compiler_options() -> dict[str, str]:
    """Returns XLA's compiler options for the steps on the default platform.

    On CPU they turn off the fusion of convolutions into the YNNPACK library: with jaxlib 0.10.2 it made the train step
    1.3 (our own direct forms) to 3.6 times (plain Flax) slower. A JAX without this option gets none.
    """
    options = {"xla_cpu_experimental_ynn_fusion_type": ""} if jax.default_backend() == "cpu" else {}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return options
