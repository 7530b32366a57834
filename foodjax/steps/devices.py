"""Devices: the mesh, arrays on it, and XLA's compiler options.

With several processes the mesh has the devices of all, those of one process side by side: a process holds one part of
each batch, and a copy of each array that all devices share.
"""

import functools
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from foodjax.system import hosts
from foodjax.system.errors import UserError


def create_mesh(batch_size: int) -> Mesh:
    """Returns the mesh of the devices of all processes with the one axis "batch".

    Raises:
        UserError: the batch size is not a multiple of the number of devices.
    """
    _meet()
    devices = jax.devices()
    if batch_size < 1 or batch_size % len(devices):
        near = max(1, round(batch_size / len(devices))) * len(devices)
        raise UserError(
            f"data.batch_size is {batch_size}: needs a multiple of the {len(devices)} devices, such as {near}"
        )
    return Mesh(np.array(sorted(devices, key=lambda device: (device.process_index, device.id))), ("batch",))


@functools.cache
def _meet() -> None:
    """Connects the devices of all processes.

    Gloo waits 30 seconds for the others at the first exchange alone. The first step would be that otherwise, which one
    process may compile for longer than another.
    """
    if hosts.count() > 1:
        hosts.wait()
        multihost_utils.sync_global_devices("foodjax")


def own_part(mesh: Mesh, batch_size: int) -> slice:
    """Returns the rows of a batch that the devices of this process hold: all of them in a single process."""
    if hosts.count() == 1:
        return slice(0, batch_size)
    places = NamedSharding(mesh, PartitionSpec("batch")).addressable_devices_indices_map((batch_size,)).values()
    rows: list[slice] = [place[0] for place in places if place]
    return slice(min(row.start or 0 for row in rows), max(row.stop or batch_size for row in rows))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """Returns a batch for a jitted step, of which each process gives its `own_part`.

    A single process leaves it to the step to split it, but for a CPU: a step whose batch is still being copied runs in
    another thread, which may free the step's buffers after the next one has asked for its own.
    """
    if hosts.count() == 1:
        if jax.default_backend() != "cpu":
            return batch
        return jax.block_until_ready(jax.device_put(batch, NamedSharding(mesh, PartitionSpec("batch"))))
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    return {name: jax.make_array_from_process_local_data(sharding, part) for name, part in batch.items()}


def put_whole(tree: Any, sharding: NamedSharding) -> Any:
    """Returns arrays for a jitted step, of which every process has all the numbers."""
    if hosts.count() == 1:
        return tree
    return jax.tree.map(lambda x: jax.make_array_from_callback(np.shape(x), sharding, np.asarray(x).__getitem__), tree)


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Returns arrays that every process has as copies on all devices; those that are there already stay as they are."""
    sharding = NamedSharding(mesh, PartitionSpec())
    if hosts.count() == 1:
        return jax.device_put(tree, sharding)

    def put(x):
        return x if isinstance(x, jax.Array) and x.sharding == sharding else put_whole(x, sharding)

    return jax.tree.map(put, tree)


def local(tree: Any) -> Any:
    """Returns replicated arrays as arrays of one device of this process, which it can compute with alone."""
    return tree if hosts.count() == 1 else jax.tree.map(lambda x: x.addressable_data(0), tree)


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


def once_options() -> dict[str, str]:
    """Returns XLA's compiler options for a program that runs once, such as the one that creates the state.

    On CPU they have LLVM optimise less: the tutorial's state is compiled in a third of the time, to the same bits.
    """
    return {"xla_backend_optimization_level": "1"} if jax.default_backend() == "cpu" else {}
