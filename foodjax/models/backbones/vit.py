"""Vision transformers in Linen: ViT-S/16 (Dosovitskiy et al. 2021), and DINOv2's ViT-S/14 (Oquab et al. 2024).

DINOv2's scales each residual branch by channel (Touvron et al. 2021, "layer scale"). Positions are learned on a grid of
patches; pictures of another size get them interpolated.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from foodjax.models.backbones.layers import Conv, Features, Learned, Mlp
from foodjax.models.layers import DropPath, Style, is_watched, tap
from foodjax.models.slices import cut

_EPSILON = 1e-6
_NORMAL = nn.initializers.truncated_normal(0.02)


class DotProductAttention(nn.Module):
    """Weighs values by the softmax of the scaled products of queries and keys; a row of its own in tables."""

    @nn.compact
    def __call__(
        self, q: Float[Array, "B N heads D"], k: Float[Array, "B N heads D"], v: Float[Array, "B N heads D"]
    ) -> Float[Array, "B N heads D"]:
        """Maps queries, keys and values, (B, N, heads, D) each, to the same shape."""
        return jax.nn.dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Multi-head self-attention.

    Attributes:
        num_heads: the channels are split among them.
    """

    num_heads: int

    @nn.compact
    def __call__(self, x: Float[Array, "B N C"]) -> Float[Array, "B N C"]:
        """Maps (B, N, C) to the same shape."""
        batch, count, channels = x.shape
        qkv = nn.Dense(3 * channels, kernel_init=_NORMAL, dtype=x.dtype, name="qkv")(x)
        q, k, v = jnp.moveaxis(qkv.reshape(batch, count, 3, self.num_heads, -1), 2, 0)  # each (B, N, heads, C / heads)
        x = DotProductAttention(name="products")(q, k, v).reshape(batch, count, channels)
        return nn.Dense(channels, kernel_init=_NORMAL, dtype=x.dtype, name="proj")(x)


class LayerScale(nn.Module):
    """Multiplies each channel by a learned factor, 1e-5 at first."""

    @nn.compact
    def __call__(self, x: Float[Array, "B N C"]) -> Float[Array, "B N C"]:
        """Maps (B, N, C) to the same shape."""
        return x * self.param("gamma", nn.initializers.constant(1e-5), (x.shape[-1],)).astype(x.dtype)


class TransformerBlock(nn.Module):
    """Attention and MLP, each in a residual branch after layer normalisation.

    Attributes:
        num_heads: of the attention.
        layer_scale: scale each branch by channel.
        drop_path: probability that a branch of a picture is left out in training.
        grid: rows and columns of patches, for the recorded maps.
    """

    num_heads: int
    layer_scale: bool
    drop_path: float
    grid: tuple[int, int]

    @nn.compact
    def __call__(self, x: Float[Array, "B N C"], *, train: bool) -> Float[Array, "B N C"]:
        """Maps tokens (B, N, C), the class token first, to the same shape."""
        y = self._watched(nn.LayerNorm(epsilon=_EPSILON, name="norm1")(x).astype(x.dtype))
        x = x + self._branch(Attention(self.num_heads, name="attn")(y), 1, train)
        y = nn.LayerNorm(epsilon=_EPSILON, name="norm2")(x).astype(x.dtype)
        return x + self._branch(Mlp(name="mlp")(y), 2, train)

    def _branch(self, x: jax.Array, number: int, train: bool) -> jax.Array:
        x = LayerScale(name=f"ls{number}")(x) if self.layer_scale else x
        return DropPath(self.drop_path, name=f"drop_path{number}")(x, train=train) if self.drop_path else x

    def _watched(self, x: jax.Array) -> jax.Array:
        """Records the patches that the attention reads, as a map: later ones of the last block reach no class token."""
        if not is_watched(self, "activation"):
            return x
        batch, _, channels = x.shape
        maps = tap(self, "activation", x[:, 1:].reshape(batch, *self.grid, channels))
        return jnp.concatenate([x[:, :1], maps.reshape(batch, -1, channels)], axis=1)


class VisionTransformer(nn.Module):
    """A vision transformer up to its last normalisation.

    Attributes:
        patch: side of a patch, pixels.
        channels: of a token.
        depth: number of blocks.
        num_heads: of each attention.
        layer_scale: scale each residual branch by channel.
        drop_path: of the last block; it rises linearly from 0.
    """

    patch: int
    channels: int
    depth: int
    num_heads: int
    layer_scale: bool
    drop_path: float

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], style: Style, *, train: bool) -> Features:
        """Maps (B, H, W, 3) to maps (B, H / patch, W / patch, channels) and the class token (B, channels)."""
        batch, height, width, _ = x.shape
        grid = (height // self.patch, width // self.patch)
        x = PatchEmbedding(self.patch, self.channels, name="patch_embed")(x).reshape(batch, -1, self.channels)
        token = Learned((1, 1, self.channels), _NORMAL, name="cls_token")().astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(token, (batch, 1, self.channels)), x], axis=1)
        x = x + self._positions(grid).astype(x.dtype)
        for i in range(self.depth):
            rate = self.drop_path * i / max(self.depth - 1, 1)
            block = TransformerBlock(self.num_heads, self.layer_scale, rate, grid, name=f"blocks_{i}")
            x = block(x, train=train)
        x = nn.LayerNorm(epsilon=_EPSILON, name="norm")(x).astype(x.dtype)
        return Features(cut(x, slice(1, None)).reshape(batch, *grid, self.channels), cut(x, 0))

    def _positions(self, grid: tuple[int, int]) -> jax.Array:
        """Returns the positions of the class token and of a grid of patches, (1, 1 + rows columns, C)."""
        # A network whose weights exist has their grid; a new one has that of its first pictures.
        own = self.get_variable("params", "pos_embed") if self.has_variable("params", "pos_embed") else None
        count = own["value"].shape[1] if own else 1 + grid[0] * grid[1]
        found = Learned((1, count, self.channels), _NORMAL, name="pos_embed")()
        return resample_positions(found, grid)


def resample_positions(positions: Float[Array, "1 N C"], grid: tuple[int, int]) -> Float[Array, "1 M C"]:
    """Interpolates the positions of a square grid of patches to another grid, bicubic and antialiased.

    Args:
        positions: of the class token and of the patches of a square grid.
        grid: rows and columns wanted.

    Returns:
        The same for the other grid, (1, 1 + rows columns, C); unchanged where the grid is the same.
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    if grid == (side, side):
        return positions
    channels = positions.shape[-1]
    patches = positions[:, 1:].reshape(1, side, side, channels)
    patches = jax.image.resize(patches, (1, *grid, channels), "bicubic", antialias=True)
    return jnp.concatenate([positions[:, :1], patches.reshape(1, -1, channels)], axis=1)


class PatchEmbedding(nn.Module):
    """A dense layer on each patch, as a convolution.

    Attributes:
        patch: side of a patch, pixels.
        channels: of a token.
    """

    patch: int
    channels: int

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"]) -> Float[Array, "B H2 W2 F"]:
        """Maps (B, H, W, 3) to (B, H / patch, W / patch, channels)."""
        return Conv(self.channels, self.patch, self.patch, True, use_bias=True, name="proj")(x)
