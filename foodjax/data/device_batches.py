"""Batches made on the accelerator: its memory holds all training pictures, and a jitted step augments them.

The host samples the same parameters as `batches.train_batch`, from the same functions of (seed, step). The pictures
are copied to the device once; each dispatch transfers only the sampled parameters.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from foodjax.config.keys import Config
from foodjax.data.augment.apply import mixed_labels, output_size, transform, transform_inputs
from foodjax.data.augment.sample import sample_params
from foodjax.data.batches import batch_rows
from foodjax.data.prepared import Prepared


class Recipe(NamedTuple):
    """The parameters of the batches of S steps, B images each; every shape begins with (S, B).

    Attributes:
        row: int32 (S, B), rows of the set in device memory.
        labels: `augment.mixed_labels` of each batch.
        changes: `augment.transform_inputs` of each batch.
    """

    row: Any
    labels: Any
    changes: Any


def put_images(data: Prepared, mesh: Mesh) -> jax.Array:
    """Copies all pictures of a set into device memory, an equal share to every device.

    Args:
        data: N prepared pictures.
        mesh: the devices, with the one axis "batch".

    Returns:
        uint8 (N', H, H, 3); N' is N rounded up to a multiple of the number of devices.
    """
    share = -(-len(data.images) // mesh.size)
    sharding = NamedSharding(mesh, PartitionSpec("batch"))

    def part(index):
        # A slice of the memory-mapped file for each device: the host never holds the whole set.
        images = data.images[index[0]]
        return np.pad(images, [(0, share - len(images)), (0, 0), (0, 0), (0, 0)])

    return jax.make_array_from_callback((share * mesh.size, *data.images.shape[1:]), sharding, part)


def sample_recipe(data: Prepared, rows: np.ndarray, config: Config, first: int, count: int) -> Recipe:
    """Samples the batches of steps first, ..., first + count - 1, the same as `batches.train_batch` makes.

    Args:
        data: the prepared set in device memory.
        rows: rows of its training pictures, (N,).
        config: the experiment; reads seed, data.batch_size, augment and the sizes.
        first: first step.
        count: S, number of steps; all of one epoch.
    """
    batch_size, image_size = config.data.batch_size, config.data.image_size
    size = output_size(config, first, len(rows) // batch_size)

    def one(step):
        row = rows[batch_rows(len(rows), batch_size, config.seed, step)]
        sampled = sample_params(config.augment, config.seed, step, batch_size, image_size)
        labels = mixed_labels(data.labels[row], sampled.mix)
        return Recipe(row.astype(np.int32), labels, transform_inputs(sampled, image_size, size))

    return jax.tree.map(lambda *steps: np.stack(steps), *map(one, range(first, first + count)))


def make_batch(images: jax.Array, recipe: Recipe, size: int) -> dict[str, jax.Array]:
    """Makes one batch; for use inside a jitted step.

    Args:
        images: the set in device memory, from `put_images`.
        recipe: parameters of one step, without the axis S.
        size: side of the result, pixels.

    Returns:
        image uint8 (B, size, size, 3) and the labels.
    """
    picked = images.at[recipe.row].get(mode="promise_in_bounds")
    return {"image": transform(picked, *recipe.changes, size=size), **recipe.labels}
