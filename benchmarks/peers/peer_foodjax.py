"""foodjax itself, through the library's own steps."""

import jax

import foodjax
from experiments import food10
from foodjax.config.check import checked
from foodjax.models.convnet import create_model
from foodjax.models.native.choice import choose
from foodjax.steps.devices import create_mesh
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import create_train_state
from foodjax.steps.step import make_steps


def create_steps(images, labels, backbone=None, bfloat16=False):
    """Returns the callables "train" and "predict"; each ends when its result is there.

    The network is the tutorial's, or a backbone with ten classes, which AdamW trains with statistics of the batch.
    """
    foodjax.setup()  # as main.py does
    config = food10.get_config()
    if backbone:
        config = foodjax.default_config()
        config.data.image_size, config.model.backbone = images.shape[1], backbone
    if bfloat16:
        config.model.dtype = "bfloat16"
    config = checked(config)
    mesh = create_mesh(len(images))
    native = choose(config.model.convolutions, mesh.size).level
    model, tx = create_model(config, 10, native), create_optimizer(config)
    train_step, eval_step = make_steps(config, model, tx, mesh)
    state = create_train_state(config, model, tx)
    batch = {"image": images, "label": labels}
    mask = {**batch, "mask": labels * 0 + 1.0}

    def train():
        nonlocal state
        state, metrics = train_step(state, batch)
        jax.block_until_ready((state, metrics))

    def predict():
        jax.block_until_ready(eval_step(state.variables, mask))

    return {"train": train, "predict": predict}
