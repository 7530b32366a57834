"""Whether a run's convolutions use the native kernels on this machine, and in which precision it is computed."""

from typing import NamedTuple

import jax

from foodjax.config.blocks import Conv, Residual, Stem
from foodjax.config.keys import Config
from foodjax.models.native import library
from foodjax.models.native.conv import fits


class Choice(NamedTuple):
    """The level of the native kernels, "" for XLA's convolutions, and why they are not used; "" where that is usual."""

    level: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The value of model.convolutions that makes the same choice: native or xla."""
        return "native" if self.level else "xla"


def choose(wanted: str, devices: int) -> Choice:
    """Returns whether to use the native kernels; compiles them where that has not been done on this machine.

    Args:
        wanted: model.convolutions: auto, native or xla.
        devices: that share a batch, of all processes.
    """
    if wanted == "xla":
        return Choice("")
    if not (level := library.level()):
        missing = "this CPU has no AVX-512" if jax.default_backend() == "cpu" else f"this is a {jax.default_backend()}"
        return Choice("", missing if wanted == "native" else "")
    if devices > 1:  # XLA does not split a call of theirs
        return Choice("", f"{devices} devices share a batch")
    if reason := library.load():
        return Choice("", reason)
    return Choice(level)


def dtype_of(config: Config, level: str, platform: str) -> str:
    """Returns the precision in which a network is computed: that of model.dtype, or float32 where it is faster.

    On a CPU bfloat16 pays in the native kernels alone: XLA's products and convolutions turn it into float32 and back.

    Args:
        config: the experiment; reads `model`.
        level: of the native kernels; "" for none.
        platform: of the devices, such as "cpu".
    """
    model = config.model
    if platform != "cpu" or model.dtype != "bfloat16":
        return model.dtype
    native = all(isinstance(block, Conv | Residual | Stem) and fits(block.features) for block in model.blocks)
    return "bfloat16" if level == "avx512_bf16" and native and not model.backbone else "float32"
