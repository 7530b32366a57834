"""Exchange with Keras: imports a Keras model as a workdir, exports a workdir's best checkpoint as a .keras file.

Only `export_model` imports Keras. The layers have the same names, block1/conv1 here and block1_conv1 in Keras. The
softmax is part of the loss here; in Keras it is the activation of the last layer.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from foodjax.config.blocks import Conv
from foodjax.config.check import checked
from foodjax.config.keys import Config
from foodjax.data.sources.base import select_names
from foodjax.data.sources.find import create_source
from foodjax.evaluation import temperature as temperature_lib
from foodjax.exchange import keras_file
from foodjax.exchange.served import Served, with_facts
from foodjax.models import summary
from foodjax.models.convnet import ConvNet, create_model
from foodjax.run.wiring import Engine, open_workdir
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.system.console import say
from foodjax.system.errors import UserError
from foodjax.system.files import PathLike, to_path
from foodjax.system.imports import import_problem
from foodjax.system.setup import leave_gpus_to_jax
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import write_description


def keras_layers(model: ConvNet, image_size: int) -> list[keras_file.Layer]:
    """Returns the layers of the Keras model with the same architecture.

    Raises:
        UserError: the exchange does not support a part of the model.
    """
    if model.backbone:
        raise UserError(
            f"model.backbone is {model.backbone!r}: the exchange with Keras needs a network of blocks alone"
        )
    kinds = sorted({block.kind for block in model.blocks if not isinstance(block, Conv)})
    for found, key, needs in (
        (kinds, "model.blocks", "blocks of kind conv"),
        ([model.style.norm], "model.norm", "none"),
        ([model.style.activation], "model.activation", "relu"),
        ([model.pooling], "model.head.pooling", "flatten or average"),
        (["values"] if any(model.standard) else [], "model.input_mean or model.input_deviation", "neither"),
    ):
        if set(found) - {"none", "relu", "flatten", "average"}:
            raise UserError(f"{key} has {found[0]!r}: the exchange with Keras needs {needs}")
    rows = {row.name: row for row in summary.layers(model, image_size)}
    layers = [keras_file.Layer("input", "input", {"shape": (image_size, image_size, 3)})]

    def add(name: str, kind: str, dropout: float = 0.0, **facts: Any) -> None:
        layers.append(keras_file.Layer(name, kind, {"data_format": "channels_last"} | facts, dropout))

    def weighted(name: str, kind: str, activation: str, dropout: float = 0.0, **facts: Any) -> None:
        add(name, kind, dropout, kernel=tuple(rows[name].kernel), use_bias=True, activation=activation, **facts)

    for i, block in enumerate(model.blocks, start=1):
        assert isinstance(block, Conv)
        pools, last = block.pool > 1, len(block.padding)
        for j, padding in enumerate(block.padding, start=1):
            facts = {"padding": padding.lower(), "strides": (1, 1), "dilation_rate": (1, 1), "groups": 1}
            dropout = 0.0 if pools or j < last else block.dropout
            weighted(f"block{i}/conv{j}", "conv2d", "relu", dropout, **facts)
        if pools:
            window = (block.pool,) * 2
            add(f"block{i}/pool", "max_pooling2d", block.dropout, padding="valid", strides=window, pool_size=window)
    add("pooling", "global_average_pooling2d" if model.pooling == "average" else "flatten")
    for i in range(1, len(model.hidden) + 1):
        weighted(f"dense{i}", "dense", "relu", model.dropout)
    weighted("logits", "dense", "softmax")
    return layers


def is_sequential(config: Config) -> bool:
    """Returns whether `export_model` exports a network as foodjax evaluates it; others have `to_keras`."""
    try:
        _check_view(config)
        keras_layers(create_model(config, 1), config.data.image_size)
    except UserError:
        return False
    return not config.eval.flip


def read_params(path: PathLike, model: ConvNet, image_size: int) -> tuple[Any, list[str]]:
    """Returns the parameters of `model` with the weights of a Keras file, and remarks for the user.

    Raises:
        UserError: the file has another architecture, or cannot be read.
    """
    needed = keras_layers(model, image_size)
    arrays, remarks = keras_file.read(to_path(path), needed)
    params: dict[str, Any] = {}
    names = [layer.name for layer in needed if "kernel" in layer.facts]
    for name, (kernel, bias) in zip(names, arrays, strict=True):
        *outer, inner = name.split("/")
        place = params
        for key in outer:
            place = place.setdefault(key, {})
        place[inner] = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    return params, remarks


def import_model(config: Config | ConfigDict, path: PathLike, workdir: PathLike) -> None:
    """Creates a workdir with one checkpoint, before the first epoch, from the weights of a Keras file.

    Args:
        config: experiment with the architecture of the file, and its classes in the order of the outputs.
        path: a `.keras` or `.weights.h5` file.
        workdir: new or empty.

    Raises:
        UserError: the workdir is not empty, or the file does not fit the config.
    """
    config, path, workdir = checked(config), to_path(path), to_path(workdir)
    if workdir.exists() and not (workdir.is_dir() and not any(workdir.iterdir())):
        raise UserError(f"workdir {workdir} exists already: import needs a new --workdir")
    keras_file.check(path)  # first: class names from TFDS take seconds
    _check_view(config)
    names = _class_names(config)
    engine = Engine(config, names, batch_size=jax.device_count())  # nothing is trained here
    params, remarks = read_params(path, engine.model, config.data.image_size)
    state = engine.create_state({"params": params})
    try:
        workdir.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete: without the checkpoint, training would start from initial weights.
        with tempfile.TemporaryDirectory(prefix=f".{workdir.name}-", dir=workdir.parent) as folder:
            staging = Path(folder) / "run"
            write_description(staging, config, names, origin={"keras": path.name})
            checkpoints = Checkpoints(staging)
            try:
                # The loss is unknown, hence infinite: the first epoch is always better.
                stopping = EarlyStopping(config.train.patience, monitor=config.train.monitor)
                loop_state = LoopState(stopping, Metrics.zeros())
                checkpoints.save(state, loop_state, stopping.worst)
            finally:
                checkpoints.close()
            os.replace(staging, workdir)
    except OSError as error:
        raise UserError(f"cannot write to workdir {workdir}: {error.strerror}") from None
    for remark in remarks:
        say(remark)
    num_params = sum(x.size for x in jax.tree.leaves(params))
    say(f"imported {path} as the checkpoint of {workdir}: {num_params:,} parameters")
    say(f"the outputs are assigned to these {len(names)} classes, in this order: {', '.join(names)}")


def export_model(config: Config | ConfigDict, workdir: PathLike, output: PathLike) -> None:
    """Writes a workdir's best checkpoint as a .keras model with a softmax output.

    It is compiled if it was trained with RMSprop on cross-entropy.

    With eval.calibrate the weights of the last layer are divided by the temperature, which has the same effect. With
    eval.flip they are not: that temperature is for averages over mirror images, which the model does not compute.

    Args:
        config: the workdir's config.
        workdir: folder of a run.
        output: file to write; never overwritten.

    Raises:
        UserError: no Keras, no checkpoint, no temperature with eval.calibrate, an architecture that the exchange does
            not support, or an output that exists or cannot be written.
    """
    config, workdir, output = checked(config), to_path(workdir), to_path(output)
    if output.suffix != ".keras":
        raise UserError(f"--output is {output}: needs a file that ends with .keras")
    if output.exists():
        raise UserError(f"--output {output} exists already: needs another file")
    _check_view(config)
    _import_keras()  # first: reading the weights takes seconds
    engine = open_workdir(workdir, config)
    step, variables = engine.load_weights(workdir)
    params = jax.device_get(variables["params"])
    temperature = temperature_lib.of_checkpoint(config, workdir, step)
    if temperature is not None and not config.eval.flip:
        params = {**params, "logits": {k: v / temperature.temperature for k, v in params["logits"].items()}}
    exported = to_keras(config, engine.model, params)
    scale = 1.0 if temperature is None else temperature.temperature
    served = Served(config, engine.class_names, engine.model, params, step, scale)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as folder:
            staging = Path(folder) / "model.keras"
            exported.save(staging)
            size = config.data.image_size
            facts = served.facts() | {"input": f"images: float32 (batch, {size}, {size}, 3), RGB, values 0..1"}
            staging.write_bytes(with_facts(staging.read_bytes(), facts))
            os.replace(staging, output)
    except OSError as error:
        raise UserError(f"cannot write --output {output}: {error.strerror}") from None
    say(f"wrote {output}: checkpoint of step {step}; its outputs are {', '.join(engine.class_names)}")
    if temperature is not None:
        left_out = "left out, since it was fitted with eval.flip"
        where = left_out if config.eval.flip else "in the last layer"
        say(f"temperature {temperature.temperature:.3f}: {where}")


def to_keras(config: Config, model: ConvNet, params: Any) -> Any:
    """Returns the compiled `keras.Sequential` of `model` with the weights `params`."""
    keras = _import_keras()
    leave_gpus_to_jax()
    make = keras.layers
    layers = keras_layers(model, config.data.image_size)
    stack: list[Any] = []
    for layer in layers:
        name, facts = layer.name.replace("/", "_"), layer.facts
        if layer.kind == "input":
            stack.append(keras.Input(facts["shape"], name=name))
        elif layer.kind == "conv2d":
            h, w, _, features = facts["kernel"]
            stack.append(make.Conv2D(features, (h, w), padding=facts["padding"], activation="relu", name=name))
        elif layer.kind == "max_pooling2d":
            stack.append(make.MaxPooling2D(facts["pool_size"], name=name))
        elif layer.kind == "dense":
            stack.append(make.Dense(facts["kernel"][1], activation=facts["activation"], name=name))
        else:
            pooling = {"flatten": make.Flatten, "global_average_pooling2d": make.GlobalAveragePooling2D}
            stack.append(pooling[layer.kind](name=name))
        if layer.dropout:
            stack.append(make.Dropout(layer.dropout, name=f"{name}_dropout"))
    exported = keras.Sequential(stack, name=config.name)
    for layer in layers:
        if "kernel" in layer.facts:
            own = params
            for key in layer.name.split("/"):
                own = own[key]
            exported.get_layer(layer.name.replace("/", "_")).set_weights(
                [np.asarray(own[k]) for k in ("kernel", "bias")]
            )
    optimizer = config.optimizer
    # Keras has no optimizer with the same arithmetic as the others, and the other losses are of logits.
    if optimizer.name == "rmsprop" and config.train.loss == "cross_entropy":
        exported.compile(
            keras.optimizers.RMSprop(optimizer.learning_rate, rho=optimizer.decay, epsilon=optimizer.epsilon),
            loss="categorical_crossentropy",
            metrics=["accuracy"],
        )
        exported.optimizer.build(exported.trainable_variables)  # else Keras warns of missing variables
    return exported


def _import_keras() -> Any:
    """Returns Keras; raises UserError where it cannot be imported, as without TensorFlow, its default backend."""
    if problem := import_problem("keras"):
        raise UserError(f"the export needs Keras, which cannot be imported ({problem}): install keras and tensorflow")
    import keras

    return keras


def _check_view(config: Config) -> None:
    """Raises UserError unless the network sees whole pictures of data.image_size, as a Keras model does."""
    size = config.data.image_size
    if config.input_size != size or config.eval.size not in (0, size) or config.eval.crop_area < 1:
        raise UserError(
            f"model.input_size is {config.model.input_size}, eval.size {config.eval.size}, eval.crop_area "
            f"{config.eval.crop_area}: the exchange with Keras needs model.input_size and eval.size of 0, and "
            "eval.crop_area=1"
        )


def _class_names(config: Config) -> tuple[str, ...]:
    """Returns the config's classes in label order; no photograph is downloaded or read for it."""
    data = config.data
    if data.class_names:
        return tuple(data.class_names)  # the photographs need not be here
    return select_names(create_source(config).class_names(), data.num_classes, ())
