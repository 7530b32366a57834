"""The same network as one would first write it in Flax: nn.Conv, nn.max_pool, optax."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn


class Net(nn.Module):
    """The tutorial's network."""

    @nn.compact
    def __call__(self, x, train):
        """Maps images (B, 128, 128, 3) in [0, 1] to logits (B, 10)."""
        for features, kernel, pool in ((32, 3, 2), (64, 3, 2), (128, 3, 2), (512, 5, 4)):
            x = nn.relu(nn.Conv(features, (kernel, kernel), padding="SAME")(x))
            x = nn.relu(nn.Conv(features, (kernel, kernel), padding="VALID")(x))
            x = nn.max_pool(x, (pool, pool), (pool, pool))
            x = nn.Dropout(0.2, deterministic=not train)(x)
        x = nn.relu(nn.Dense(1024)(x.reshape(len(x), -1)))
        x = nn.Dropout(0.2, deterministic=not train)(x)
        return nn.Dense(10)(x)


def create_steps(images, labels):
    """Returns the callables "train" and "predict"."""
    model, tx = Net(), optax.rmsprop(1e-4)
    params = model.init(jax.random.key(0), jnp.zeros((1, 128, 128, 3)), train=False)
    opt_state, key = tx.init(params), jax.random.key(1)

    @jax.jit
    def train_step(params, opt_state, key, images, labels):
        key, dropout = jax.random.split(key)

        def loss_fn(params):
            logits = model.apply(params, images / 255.0, train=True, rngs={"dropout": dropout})
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, key, loss

    predict_step = jax.jit(lambda params, images: jax.nn.softmax(model.apply(params, images / 255.0, train=False)))

    def train():
        nonlocal params, opt_state, key
        params, opt_state, key, loss = train_step(params, opt_state, key, images, labels)
        jax.block_until_ready((params, loss))

    def predict():
        jax.block_until_ready(predict_step(params, images))

    return {"train": train, "predict": predict}
