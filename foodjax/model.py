"""The convolutional network: blocks of convolutions, then a head. Pure Linen, built from config.

Images are float32 (B, H, W, C) in [0, 1]; the network returns logits (B, K). Softmax lives in the loss and
in prediction. Kernels start Glorot-uniform and biases at zero, as Keras' layers do.
"""

from typing import Any

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.errors import UserError
from foodjax.ops import conv, max_pool


class Conv(nn.Module):
    """A convolution with stride 1 and bias, with the parameters of `flax.linen.Conv`.

    Attributes:
        features: output channels.
        kernel: side of the square kernel, in pixels.
        padding: "SAME" or "VALID".
    """

    features: int
    kernel: int
    padding: str

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features), H' = H (SAME) or H - kernel + 1 (VALID)."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return conv(x, kernel, self.padding) + bias


class ConvBlock(nn.Module):
    """Convolutions with ReLU, one for each entry of `padding`, then max pooling and dropout.

    Attributes:
        features: output channels of every convolution.
        kernel: side of the square kernels, in pixels.
        padding: "SAME" or "VALID" for each convolution.
        pool: side and stride of the pooling window; 1 does not pool.
        dropout: fraction of the outputs set to zero in training.
    """

    features: int
    kernel: int
    padding: tuple[str, ...]
    pool: int
    dropout: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, C) to (B, H', W', features)."""
        for i, padding in enumerate(self.padding, start=1):
            x = nn.relu(Conv(self.features, self.kernel, padding, name=f"conv{i}")(x))
        x = max_pool(x, self.pool)
        return nn.Dropout(self.dropout, deterministic=not train, name="dropout")(x)


class ConvNet(nn.Module):
    """The tutorial's network and everything an experiment makes of it.

    Attributes:
        blocks: keyword arguments of each `ConvBlock`, first to last.
        pooling: "flatten" or "average" (global average pooling) between blocks and head.
        hidden: sizes of the hidden dense layers of the head.
        dropout: dropout after each hidden layer.
        num_classes: K.
    """

    blocks: tuple[Any, ...]
    pooling: str
    hidden: tuple[int, ...]
    dropout: float
    num_classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B K"]:
        """Maps float32 images (B, H, W, C) in [0, 1] to logits (B, K)."""
        x = images
        for i, block in enumerate(self.blocks, start=1):
            x = ConvBlock(**block, name=f"block{i}")(x, train=train)
        x = x.mean(axis=(1, 2)) if self.pooling == "average" else x.reshape(x.shape[0], -1)  # (B, D)
        for i, size in enumerate(self.hidden, start=1):
            x = nn.Dense(size, kernel_init=nn.initializers.glorot_uniform(), name=f"dense{i}")(x)
            x = nn.Dropout(self.dropout, deterministic=not train, name=f"dropout{i}")(nn.relu(x))
        return nn.Dense(self.num_classes, kernel_init=nn.initializers.glorot_uniform(), name="logits")(x)


def create_model(config: Any, num_classes: int) -> ConvNet:
    """Builds the network from `config.model` and checks that the picture survives every block.

    Args:
        config: the whole experiment config; reads `model` and `data.image_size` (pixels).
        num_classes: K, the number of logits.

    Returns:
        The module; `model.init(key, images, train=False)` makes its parameters.

    Raises:
        UserError: a block makes the picture smaller than one pixel.
    """
    size = config.data.image_size
    blocks = tuple(dict(block) for block in config.model.blocks)
    for i, block in enumerate(blocks, start=1):
        before = size
        size -= (block["kernel"] - 1) * sum(padding == "VALID" for padding in block["padding"])
        size = size // block["pool"] if size > 0 else 0
        if size < 1:
            raise UserError(
                f"model.blocks[{i - 1}] gets {before} x {before} pixels and leaves none: needs fewer blocks, "
                f"smaller kernels or pools, SAME padding, or a data.image_size above {config.data.image_size}"
            )
    head = config.model.head
    return ConvNet(blocks, head.pooling, tuple(head.hidden), head.dropout, num_classes)


def init_params(model: ConvNet, key: jax.Array, image_size: int) -> Any:
    """Returns the initial parameters of `model` for square RGB images of `image_size` pixels."""
    images = jax.numpy.zeros((1, image_size, image_size, 3))
    return jax.jit(lambda key: model.init(key, images, train=False)["params"])(key)
