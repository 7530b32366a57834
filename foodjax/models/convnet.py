"""The network in Linen: a backbone or none, blocks, then a head, built from config.

Images are float32 (B, H, W, C) in [0, 1]; the network returns logits (B, K). Softmax is part of the loss and
of prediction. Kernels are initialised Glorot-uniform and biases with zeros, as in Keras.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.config.backbones import BACKBONES
from foodjax.config.blocks import Block
from foodjax.config.keys import Config
from foodjax.models import forms
from foodjax.models.backbones.registry import create_backbone
from foodjax.models.blocks import create_block
from foodjax.models.layers import HEAD, Dropout, Style, drop_path_rates
from foodjax.system.errors import UserError

_LARGEST = 10_000  # pixels, where the search for a side that fits ends


class ConvNet(nn.Module):
    """A convolutional network of blocks and a head of dense layers, such as the tutorial's.

    Attributes:
        style: activation and normalisation of all layers.
        blocks: the fields of each block, first to last.
        pooling: between blocks and head: "flatten", "average" or "max" over all pixels, or "token".
        hidden: sizes of the hidden dense layers of the head.
        dropout: dropout after each hidden layer.
        drop_path: rate of stochastic depth of the last residual branch; earlier ones have theirs in proportion.
        num_classes: K.
        dtype: "float32", or "bfloat16": every layer but the last computes in it. Weights, and the arithmetic of
            normalisation, are float32 still (mixed precision, Micikevicius et al. 2018; no loss scale, since bfloat16
            has float32's range).
        backbone: its name; "" has none.
        standard: mean and deviation of the channels, with which pictures are standardised; () and () leave them.
        native: level of the native kernels that convolutions use on CPU, `native.library.level`; "" for none.
    """

    style: Style
    blocks: tuple[Block, ...]
    pooling: str
    hidden: tuple[int, ...]
    dropout: float
    drop_path: float
    num_classes: int
    dtype: str
    backbone: str = ""
    standard: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    native: str = ""

    @nn.compact
    def __call__(self, images: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B K"]:
        """Maps float32 images (B, H, W, C) in [0, 1] to float32 logits (B, K)."""
        with forms.native(self.native):
            return self._logits(images, train=train)

    def _logits(self, images: jax.Array, *, train: bool) -> jax.Array:
        mean, deviation = self.standard
        x = images - jnp.array(mean, images.dtype) if mean else images
        x = x / jnp.array(deviation, x.dtype) if deviation else x
        x = x.astype(jnp.bfloat16) if self.dtype == "bfloat16" else x  # float64 stays: parity tests compute in it
        token = norm = None
        if self.backbone:
            backbone = create_backbone(self.backbone, self.drop_path)
            x, token = backbone(x, self.style, train=train)
            # It is of the backbone's own maps: none where blocks follow.
            norm = backbone.head if BACKBONES[self.backbone].has_pooled_norm and not self.blocks else None
        rates = drop_path_rates(self.drop_path, [block.num_branches for block in self.blocks])
        for i, (block, drop_path) in enumerate(zip(self.blocks, rates, strict=True), start=1):
            x = create_block(block, f"block{i}", drop_path)(x, self.style, train=train)
        x = _pool(x, self.pooling) if token is None or self.pooling != "token" else token
        x = norm(x) if norm else x
        x = x.reshape(x.shape[0], -1)
        for i, size in enumerate(self.hidden, start=1):
            dense = nn.Dense(size, dtype=x.dtype, kernel_init=nn.initializers.glorot_uniform(), name=f"dense{i}")
            x = dense(x)
            x = Dropout(self.dropout, name=f"dropout{i}")(self.style.activate(x), train=train)
        self.sow("features", "last", x)  # what foodjax probe fits the last layer on
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.glorot_uniform(), name=HEAD)(x)


def _pool(x: jax.Array, pooling: str) -> jax.Array:
    """Maps (B, H, W, C) to (B, C) where it takes the average or the maximum, else to the same."""
    if pooling == "flatten":
        return x
    return x.mean(axis=(1, 2)) if pooling == "average" else x.max(axis=(1, 2))


def create_model(config: Config, num_classes: int, native: str = "") -> ConvNet:
    """Builds the network from `config.model` and checks that every block leaves at least one pixel.

    Args:
        config: the whole experiment config; reads `model`, `data.image_size` (pixels) and `train.freeze_batch_stats`.
        num_classes: K, the number of logits.
        native: level of the native kernels, of `native.choice.choose`; "" for XLA's convolutions.

    Returns:
        The module; `model.init(key, images, train=False)` makes its parameters.

    Raises:
        UserError: the pictures have no size yet, a block leaves no pixel, its channels do not divide into groups,
            pictures of several sizes are flattened, or there is no branch for `model.drop_path`.
    """
    model, head = config.model, config.model.head
    frozen = config.train.freeze_batch_stats
    style = Style(model.activation, model.norm, model.norm_momentum, model.norm_groups, frozen)
    stages = [side for _, side in config.train.progressive_resizing]
    _check_size(config, stages)
    for i, block in enumerate(model.blocks):
        if model.norm == "group" and block.features % model.norm_groups:
            raise UserError(
                f"model.blocks[{i}].features is {block.features}: needs a multiple of model.norm_groups="
                f"{model.norm_groups}, such as {-(-block.features // model.norm_groups) * model.norm_groups}"
            )
    if head.pooling == "token" and not (model.backbone and BACKBONES[model.backbone].has_token and not model.blocks):
        raise UserError("model.head.pooling is 'token': needs a vision transformer as model.backbone, and no blocks")
    if model.drop_path and not model.backbone and not any(block.num_branches for block in model.blocks):
        raise UserError(
            f"model.drop_path is {model.drop_path} and model.blocks has no residual branch: needs one, or a rate of 0"
        )
    sizes = {config.input_size, config.eval_size, *stages}
    if head.pooling == "flatten" and len(sizes) > 1:
        raise UserError(
            f"model.head.pooling is 'flatten' and the sizes are {sorted(sizes)}: needs one size, or 'average' or 'max'"
        )
    return ConvNet(
        style, model.blocks, head.pooling, tuple(head.hidden), head.dropout, model.drop_path, num_classes, model.dtype,
        model.backbone, config.standard, native,
    )  # fmt: skip


def _check_size(config: Config, stages: list[int]) -> None:
    """Raises UserError unless every block leaves a pixel of the smallest pictures that the network gets."""

    def sides(size: int) -> list[int]:
        backbone = BACKBONES[config.model.backbone] if config.model.backbone else None
        found = [backbone.size_after(size) if backbone else size]
        for block in config.model.blocks:
            found.append(block.size_after(found[-1]))
        return found

    key = "model.input_size" if config.model.input_size else "data.image_size"
    sizes = {"eval.size": config.eval_size, "train.progressive_resizing": min(stages, default=config.input_size)}
    sizes[key] = config.input_size
    key = min(reversed(sizes), key=lambda name: sizes[name])
    size = sizes[key]
    if size < 1:
        raise UserError(
            f"{key} is {size}, which is chosen from the photographs when a run starts: needs a number of pixels, such "
            f"as --config.data.image_size=48"
        )
    for name, side in reversed(sizes.items()):
        expects = BACKBONES.get(config.model.backbone)
        if expects and expects.divides and side % expects.stride:
            near = max(round(side / expects.stride), 1) * expects.stride
            raise UserError(
                f"{name} is {side}: model.backbone={config.model.backbone} needs a multiple of {expects.stride}, such "
                f"as {near}"
            )
        if expects and expects.size_after(side) < 1:
            raise UserError(f"{name} is {side}: model.backbone={config.model.backbone} needs at least {expects.stride}")
    found = sides(size)
    if min(found) < 1:
        i = next(i for i, side in enumerate(found) if side < 1) - 1
        enough = next((side for side in range(size, _LARGEST) if min(sides(side)) > 0), _LARGEST)
        raise UserError(
            f"model.blocks[{i}] gets {found[i]} x {found[i]} pixels and leaves none: {key} is {size}, needs at least "
            f"{enough}; or fewer blocks, smaller kernels or pools, or SAME padding"
        )


def init_variables(model: ConvNet, key: jax.Array, image_size: int) -> Any:
    """Returns the initial "params", and "batch_stats" if any, for square RGB images of `image_size` pixels."""
    images = jax.numpy.zeros((1, image_size, image_size, 3))

    def init(key):
        variables = model.init(key, images, train=False)
        # Without the collections that taps create.
        return {name: variables[name] for name in ("params", "batch_stats") if name in variables}

    return jax.jit(init)(key)


def init_params(model: ConvNet, key: jax.Array, image_size: int) -> Any:
    """Returns the initial parameters of `model` for square RGB images of `image_size` pixels."""
    return init_variables(model, key, image_size)["params"]
