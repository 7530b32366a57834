"""Whether a run's convolutions use the native kernels on this machine."""

from typing import NamedTuple

import jax

from foodjax.models.native import library


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
