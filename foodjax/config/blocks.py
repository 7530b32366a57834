"""Kinds of blocks that `model.blocks` may list: their fields. Their layers are in models/blocks.py.

A new kind is a dataclass here, with an entry of `KINDS`, and a Linen module of the same kind in models/blocks.py.
"""

from dataclasses import dataclass
from typing import ClassVar

from foodjax.config.key import REQUIRED, key
from foodjax.config.rules import FRACTION, MAX_DEPTH, MAX_FEATURES, MAX_SIDE, PADDING, Rule, integer


@dataclass(frozen=True)
class Block:
    """A block of layers.

    Attributes:
        kind: its name in a config.
        features: output channels.
    """

    kind: ClassVar[str] = ""

    features: int = key(REQUIRED, integer(1, MAX_FEATURES), "channels", "of the output", shapes_state=True)

    @property
    def num_layers(self) -> int:
        """Number of layers with a kernel, those of shortcuts and of squeeze and excitation left out."""
        return 1

    @property
    def num_branches(self) -> int:
        """Number of residual branches, which stochastic depth may drop."""
        return 0

    def size_after(self, size: int) -> int:
        """Returns the side of the output for an input of `size` pixels; below 1 if nothing is left."""
        raise NotImplementedError


@dataclass(frozen=True)
class Conv(Block):
    """Convolutions, each with normalisation and activation, then max pooling and dropout."""

    kind: ClassVar[str] = "conv"

    kernel: int = key(REQUIRED, integer(1, MAX_SIDE), "pixels", "side of the square kernels", shapes_state=True)
    padding: tuple[str, ...] = key(REQUIRED, PADDING, "", "of each convolution", shapes_state=True)
    pool: int = key(REQUIRED, integer(1, MAX_SIDE), "pixels", "side and stride of the max pooling; 1 does not pool",
                    shapes_state=True)  # fmt: skip
    dropout: float = key(REQUIRED, FRACTION, "of the outputs", "set to zero in training")

    @property
    def num_layers(self) -> int:  # noqa: D102
        return len(self.padding)

    def size_after(self, size: int) -> int:  # noqa: D102
        size -= (self.kernel - 1) * sum(padding == "VALID" for padding in self.padding)
        return size // self.pool if size > 0 else 0


@dataclass(frozen=True)
class Stem(Block):
    """Space to depth, a convolution, normalisation and activation."""

    kind: ClassVar[str] = "stem"

    patch: int = key(REQUIRED, integer(1, MAX_SIDE), "pixels",
                     "side of the patches that become channels; 1 keeps the size", shapes_state=True)  # fmt: skip
    kernel: int = key(REQUIRED, integer(1, MAX_SIDE), "patches", "side of the square kernel", shapes_state=True)

    def size_after(self, size: int) -> int:  # noqa: D102
        return size // self.patch


@dataclass(frozen=True)
class Residual(Block):
    """A convolution, pooled, and a residual branch of more convolutions."""

    kind: ClassVar[str] = "residual"

    pool: int = key(REQUIRED, integer(1, MAX_SIDE), "pixels", "side and stride of the max pooling; 1 does not pool",
                    shapes_state=True)  # fmt: skip
    depth: int = key(REQUIRED, integer(0, MAX_DEPTH), "convolutions", "in the residual branch; 0 leaves it out",
                     shapes_state=True)  # fmt: skip
    dropout: float = key(REQUIRED, FRACTION, "of the outputs", "set to zero in training")
    squeeze: int = key(0, integer(0, MAX_FEATURES), "channels",
                       "squeeze and excitation: channels for each hidden one; 0: none", since=9,
                       shapes_state=True)  # fmt: skip

    @property
    def num_layers(self) -> int:  # noqa: D102
        return 1 + self.depth

    @property
    def num_branches(self) -> int:  # noqa: D102
        return 1 if self.depth else 0

    def size_after(self, size: int) -> int:  # noqa: D102
        return size // self.pool


@dataclass(frozen=True)
class ResNetStem(Block):
    """The first layers of ResNet: 7 x 7 convolution and 3 x 3 max pooling, each of stride 2."""

    kind: ClassVar[str] = "resnet_stem"

    def size_after(self, size: int) -> int:  # noqa: D102
        return -(-size // 4)


@dataclass(frozen=True)
class ResNetStage(Block):
    """Basic blocks of ResNet: two 3 x 3 convolutions beside a shortcut."""

    kind: ClassVar[str] = "resnet"

    stride: int = key(REQUIRED, Rule(lambda v: v in (1, 2) and v is not True, "1 or 2"), "pixels",
                      "of the first basic block", shapes_state=True)  # fmt: skip
    depth: int = key(REQUIRED, integer(1, MAX_DEPTH), "basic blocks", "one after the other", shapes_state=True)

    @property
    def num_layers(self) -> int:  # noqa: D102
        return 2 * self.depth

    @property
    def num_branches(self) -> int:  # noqa: D102
        return self.depth

    def size_after(self, size: int) -> int:  # noqa: D102
        return -(-size // self.stride)


KINDS: dict[str, type[Block]] = {cls.kind: cls for cls in (Conv, Stem, Residual, ResNetStem, ResNetStage)}
