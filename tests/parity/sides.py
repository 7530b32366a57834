"""What the comparisons share: real photographs, and foodjax' model and steps on one device."""

import jax
import numpy as np
import pytest
from helpers import SHARED, one_device_mesh

from foodjax.data.decode import decode
from foodjax.models.convnet import create_model
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import create_train_state
from foodjax.steps.step import make_steps


def photographs(number, size):
    """Returns (uint8 images, labels) of real photographs in an order that mixes the classes; skips without them."""
    paths = sorted((SHARED / "food-101-originals").glob("images/*/*.jpg"))
    if not paths:
        pytest.skip(f"no real photographs at {SHARED / 'food-101-originals'}")
    names = sorted({path.parent.name for path in paths})
    paths = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:number]]
    images = np.stack([decode(path.read_bytes(), size, "nearest") for path in paths])
    return images, np.array([names.index(path.parent.name) for path in paths], np.int32)


def keras_weights(params):
    """Returns foodjax' parameters as a list in the order of Keras' get_weights()."""
    names = [key for key in params if key.startswith("block")] + [key for key in params if key.startswith("dense")]
    weights = []
    for name in [*sorted(names), "logits"]:
        for layer in [params[name]] if "kernel" in params[name] else [params[name][k] for k in sorted(params[name])]:
            weights += [layer["kernel"], layer["bias"]]
    return weights


def to_params(weights):
    """Returns Keras' get_weights() of the tutorial's model as foodjax' parameters."""
    pairs = [{"kernel": k, "bias": b} for k, b in zip(weights[::2], weights[1::2], strict=True)]
    params = {f"block{i + 1}": {"conv1": pairs[2 * i], "conv2": pairs[2 * i + 1]} for i in range(4)}
    return params | {"dense1": pairs[8], "logits": pairs[9]}


class Foodjax:
    """Model, optimizer and jitted steps of a checked config on one device."""

    def __init__(self, config, tx=None):
        self.config, self.model = config, create_model(config, 10)
        self.tx = tx or create_optimizer(config)
        self.train_step, self.eval_step = make_steps(config, self.model, self.tx, one_device_mesh())

    @property
    def params(self):
        return create_train_state(self.config, self.model, self.tx).params

    def state(self, params):
        """Returns the state before the first step, with these parameters."""
        state = create_train_state(self.config, self.model, self.tx)
        return state.replace(params=jax.tree.map(jax.numpy.asarray, params), opt_state=self.tx.init(params))
