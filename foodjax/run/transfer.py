"""Starting from the weights of another run, or of a network trained on ImageNet: `model.init_from`.

Every layer of the network has a layer of the same name and shape there. The last one, `logits`, is taken over where the
classes are the same and starts anew where they are others.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from foodjax.models.convnet import create_model
from foodjax.models.torch_weights import load_resnet
from foodjax.steps.devices import create_mesh
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import TrainState, abstract_train_state
from foodjax.system.errors import UserError
from foodjax.workdir.checkpoint_content import shapes
from foodjax.workdir.checkpoints import load_best
from foodjax.workdir.description import read_description

HEAD = "logits"


def load_variables(workdir: Path) -> tuple[Any, tuple[str, ...]]:
    """Returns what the best checkpoint of a workdir evaluates, {"params", "batch_stats"}, and its class names.

    Raises:
        UserError: the workdir holds no run or no checkpoint.
    """
    config, names = read_description(workdir)
    like = abstract_train_state(config, create_model(config, len(names)), create_optimizer(config))
    _, state = load_best(workdir, like, create_mesh(jax.device_count()))
    return jax.device_get(state.variables), names


def initialise(state: TrainState, workdir: Path, class_names: tuple[str, ...]) -> TrainState:
    """Returns `state` with the weights of another run, and averages that start there.

    Args:
        state: before the first step.
        workdir: of the other run, or a .safetensors file of a ResNet.
        class_names: of this one, in label order.

    Raises:
        UserError: the networks differ in more than their last layer.
    """
    if workdir.suffix == ".safetensors":
        source, names = load_resnet(workdir), None
    else:
        source, names = load_variables(workdir)
    own = {"params": state.params, "batch_stats": state.batch_stats}
    taken = {part: dict(source.get(part, {})) for part in own}
    if names != class_names:
        taken["params"][HEAD] = own["params"][HEAD]
    found, needed = shapes(taken), shapes(own)
    for name in sorted(found.keys() | needed.keys()):
        if found.get(name) != needed.get(name):
            raise UserError(
                f"model.init_from={workdir} does not fit the model: {name} is {found.get(name, 'absent')} there, "
                f"needs {needed.get(name, 'absent')}"
            )
    taken = jax.tree.map(jnp.asarray, taken)
    print(f"weights from {workdir}: {'all of them' if names == class_names else 'all but those of the last layer'}")
    ema = jax.tree.map(jnp.copy, taken) if state.ema else state.ema
    return state.replace(params=taken["params"], batch_stats=taken["batch_stats"], ema=ema)  # pyright: ignore
