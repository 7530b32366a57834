"""Static slices, for any size of the batch.

In an exported program the batch has a symbolic size; x[:, a:b] would then be a gather, and is the same slice here.
"""

import jax
from jax import lax


def cut(x: jax.Array, *parts: slice | int, axis: int = 1) -> jax.Array:
    """Returns x[:, *parts] where the parts begin with `axis`: slices, or an integer for an axis that goes.

    Args:
        x: any array.
        parts: of each axis from `axis` on; axes after them stay whole. Steps are positive.
        axis: the first.

    Example:
        >>> import jax.numpy as jnp
        >>> cut(jnp.arange(12).reshape(2, 6), slice(1, 5, 2)).tolist()
        [[1, 3], [7, 9]]
    """
    starts, limits, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    gone = []
    for i, part in enumerate(parts, start=axis):
        if isinstance(part, int):
            gone.append(i)
            part = slice(part, part + 1)
        starts[i], limits[i], steps[i] = part.indices(x.shape[i])
    whole = (starts, limits, steps) == ([0] * x.ndim, list(x.shape), [1] * x.ndim)
    x = x if whole else lax.slice(x, starts, limits, steps)
    return lax.squeeze(x, gone) if gone else x
