"""Functions of pictures: uses that a block of one's own may make of JAX's primitives."""

import jax
import jax.numpy as jnp
import numpy as np


def flat(x):
    return x.reshape(x.shape[0], -1)


# Name -> function of float32 (B, H, W, 3) that returns (B, K).
FUNCTIONS = {
    "leaky relu": lambda x: flat(jnp.where(x > 100, x, 0.1 * x)),
    "average pool": lambda x: flat(jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")),
    "pad": lambda x: flat(jnp.pad(x, ((0, 0), (1, 0), (0, 2), (0, 1)), constant_values=7.0)),
    "strided slice": lambda x: flat(x[:, 1::2, ::-1, 1:]) + x[:, 0, 0, :1],
    "concatenate with a constant": lambda x: flat(jnp.concatenate([x, jnp.ones((*x.shape[:3], 1))], -1)),
    "batched product": lambda x: flat(jnp.einsum("bhwc,bhvc->bwhv", x, x)),
    "product from the left": lambda x: flat(jnp.einsum("gh,bhwc->bwcg", np.arange(12.0).reshape(2, 6), x)),
    "outer broadcast": lambda x: flat(x.mean(1)[:, :, None, :] * x.max(2)[:, None, :, :]),
    "merge and split": lambda x: flat(x.reshape(x.shape[0], 6, 2, 9).transpose(0, 3, 1, 2).reshape(x.shape[0], 27, 4)),
    "powers": lambda x: flat(jax.lax.rsqrt(x + 1) + (x / 99) ** 3 + jnp.power(x, 0.3) + jnp.clip(x, 20, 200)),
    "softmax of the middle": lambda x: flat(jax.nn.softmax(x / 255, axis=2)),
    "constant minus": lambda x: flat(3.0 - x) / np.float32(7),
    "two readers of a sum": lambda x: flat((x + 1) * (x + 1 - 2 * x)),
    "tanh, erf, sigmoid": lambda x: flat(jnp.tanh(x / 99) + jax.scipy.special.erf(x / 99) + jax.nn.sigmoid(-x / 50)),
}
