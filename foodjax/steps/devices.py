"""Devices: the mesh, XLA's compiler options and JAX' settings."""

import functools
import os

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
    if batch_size % len(devices):
        raise UserError(f"data.batch_size is {batch_size}: needs a multiple of the {len(devices)} devices")
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


def configure_jax() -> None:
    """Sets JAX up for a run; to be called before anything is computed.

    Compiled programs are kept in the user's cache folder, so that the next start takes seconds. On a CPU a step begins
    when the one before has ended: with both on their way, each holding its buffers (620 MiB for the tutorial's
    network), the program took 3.6 GiB instead of 2.2 and was no faster.
    """
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    jax.config.update("jax_compilation_cache_dir", os.path.join(root, "foodjax", "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
