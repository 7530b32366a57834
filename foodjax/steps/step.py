"""One step of training and one of evaluation: pure functions, jitted over a mesh with a batch axis.

A batch is a dict: image uint8 (B, H, W, 3), label int32 (B,), and for evaluation mask float32 (B,).
Images travel to the device as uint8 and become float32 in [0, 1] there.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, UInt8

from foodjax.config.keys import Config
from foodjax.data.augment.apply import view
from foodjax.data.device_batches import Recipe, make_batch
from foodjax.data.images import check_dtype
from foodjax.models.convnet import ConvNet
from foodjax.steps.devices import compiler_options
from foodjax.steps.losses import training_losses
from foodjax.steps.metrics import Metrics
from foodjax.steps.norms import norms_of
from foodjax.steps.state import TrainState


def rescale(images: UInt8[Array, "B H W C"] | Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
    """Maps 0..255 to float32 0..1, as Keras' rescale=1/255 does."""
    return images.astype(jnp.float32) * jnp.float32(1 / 255)


def train_step(
    state: TrainState, batch: dict[str, jax.Array], *, config: Config, model: ConvNet, tx: optax.GradientTransformation
) -> tuple[TrainState, Metrics]:
    """Takes one gradient step on the mean loss of the batch.

    Args:
        state: before the step.
        batch: image uint8 (B, H, W, 3), label int32 (B,); for mixed pictures also other int32 (B,), the label of
            the second picture, and share float32 (B,), the weight of the first.
        config: the experiment; reads train and log.norms (static).
        model: the network (static).
        tx: the optimizer (static).

    Returns:
        The state after the step, and the metrics of the batch with dropout and the weights before the step; with
        log.norms, its norms too.

    Raises:
        TypeError: the images are not uint8.
    """
    check_dtype(batch["image"])
    images, labels = rescale(batch["image"]), batch["label"]
    dropout_key = jax.random.fold_in(state.rng, state.step)

    def loss_fn(params):
        logits, updates = model.apply(
            {"params": params, "batch_stats": state.batch_stats}, images, train=True,
            rngs={"dropout": dropout_key}, mutable=["batch_stats"],
        )  # fmt: skip
        of = functools.partial(training_losses, logits, train=config.train)  # pyright: ignore[reportArgumentType]
        losses = of(labels)
        if "other" in batch:
            losses = batch["share"] * losses + (1 - batch["share"]) * of(batch["other"])
        return losses.mean(), (losses, logits, updates.get("batch_stats", {}))

    grads, (losses, logits, batch_stats) = jax.grad(loss_fn, has_aux=True)(state.params)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if ema:
        # The decay is smaller in the first steps, as in TensorFlow: otherwise the initial weights stay in the average.
        decay = jnp.minimum(config.train.ema_decay, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update({"params": params, "batch_stats": batch_stats}, ema, 1 - decay)
    metrics = Metrics.from_losses(losses, logits, labels, jnp.ones(labels.shape))
    if config.log.norms:
        metrics = metrics.replace(norms=norms_of(grads, updates, params))  # pyright: ignore[reportAttributeAccessIssue]
    state = state.replace(  # pyright: ignore[reportAttributeAccessIssue]
        step=state.step + 1, params=params, opt_state=opt_state, batch_stats=batch_stats, ema=ema
    )
    return state, metrics


def train_steps(
    state: TrainState,
    total: Metrics,
    images: jax.Array,
    recipe: Recipe,
    size: int,
    *,
    config: Config,
    model: ConvNet,
    tx: optax.GradientTransformation,
) -> tuple[TrainState, Metrics, Metrics | None]:
    """Takes several steps in one dispatch, on batches made in device memory.

    Args:
        state: before the steps.
        total: the metrics so far.
        images: the set in device memory, from `put_images`.
        recipe: parameters of the batches of S steps.
        size: side of the network's input, pixels (static).
        config: the experiment (static).
        model: the network (static).
        tx: the optimizer (static).

    Returns:
        The state after the steps; the metrics with theirs, added one step after the other; and with log.every_steps
        those of each step, (S,), else None.
    """

    def one(carry, recipe):
        state, total = carry
        state, metrics = train_step(state, make_batch(images, recipe, size), config=config, model=model, tx=tx)
        return (state, total.merge(metrics)), metrics if config.log.every_steps else None

    if len(recipe.row) == 1:  # XLA would compile a loop for one step too
        carry, own = one((state, total), jax.tree.map(lambda x: x[0], recipe))
        return *carry, jax.tree.map(lambda x: x[None], own)
    carry, own = jax.lax.scan(one, (state, total), recipe)
    return *carry, own


def eval_step(
    variables: Any, batch: dict[str, jax.Array], *, config: Config, model: ConvNet
) -> tuple[Metrics, Float[Array, "B K"]]:
    """Evaluates one padded batch without dropout.

    Args:
        variables: the network's parameters and running statistics, `TrainState.variables`.
        batch: image uint8 (B, H, W, 3), label int32 (B,), mask float32 (B,) with 0 for padding.
        config: the experiment; reads eval (static).
        model: the network (static).

    Returns:
        The metrics of the unmasked examples, and the class probabilities (B, K).

    Raises:
        TypeError: the images are not uint8.
    """
    check_dtype(batch["image"])
    images = rescale(view(batch["image"], config.eval_size, config.eval.crop_area))
    logits = model.apply(variables, images, train=False)
    probabilities = jax.nn.softmax(logits)  # pyright: ignore[reportArgumentType]
    if config.eval.flip:
        mirrored = model.apply(variables, images[:, :, ::-1], train=False)
        probabilities = (probabilities + jax.nn.softmax(mirrored)) / 2  # pyright: ignore[reportArgumentType]
        logits = jnp.log(probabilities)
    return Metrics.from_batch(logits, batch["label"], batch["mask"]), probabilities  # pyright: ignore


def make_steps(config: Config, model: ConvNet, tx: optax.GradientTransformation, mesh: Mesh):
    """Returns (train_step, eval_step) jitted over `mesh`: state replicated, batches split.

    The train step donates its state: use only the returned one.
    """
    replicated = NamedSharding(mesh, PartitionSpec())
    batched = NamedSharding(mesh, PartitionSpec("batch"))
    jitted_train_step = jax.jit(
        functools.partial(train_step, config=config, model=model, tx=tx),
        in_shardings=(replicated, batched),
        out_shardings=(replicated, replicated),
        donate_argnums=0,
        compiler_options=compiler_options(),
    )
    jitted_eval_step = jax.jit(
        functools.partial(eval_step, config=config, model=model),
        in_shardings=(replicated, batched),
        out_shardings=(replicated, replicated),
        compiler_options=compiler_options(),
    )
    return jitted_train_step, jitted_eval_step


def make_train_steps(config: Config, model: ConvNet, tx: optax.GradientTransformation, mesh: Mesh):
    """Returns `train_steps` jitted over `mesh`: state replicated, the pictures and every batch split.

    It donates its state, and compiles once for each number of steps.
    """
    replicated = NamedSharding(mesh, PartitionSpec())
    batched, steps = NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec(None, "batch"))
    return jax.jit(
        functools.partial(train_steps, config=config, model=model, tx=tx),
        in_shardings=(replicated, replicated, batched, steps),
        out_shardings=replicated,
        donate_argnums=0,
        static_argnums=4,
        compiler_options=compiler_options(),
    )
