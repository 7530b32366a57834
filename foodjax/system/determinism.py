"""The same bits in every run on a GPU: what XLA needs for that, set before JAX's backend starts."""

import os
import re
import sys

from foodjax.system.errors import UserError

NAME = "--xla_gpu_deterministic_ops"
# It leaves out kernels whose sums depend on which thread is first, and the search for the fastest kernels, which may
# choose others in the next run.
FLAG = f"{NAME}=true"
_FALSE = ("false", "0", "f", "n", "no")


def set_up(*, deterministic: bool) -> None:
    """Asks XLA for deterministic kernels, where that is wanted.

    Args:
        deterministic: train.deterministic; False changes nothing.

    Raises:
        UserError: XLA_FLAGS says the opposite, or JAX has begun to use a GPU without it.
    """
    if not deterministic:
        return
    flags = os.environ.get("XLA_FLAGS", "")
    given = re.findall(rf"{NAME}(?:=(\S+))?(?=\s|$)", flags)  # the last one counts
    if given and given[-1].lower() in _FALSE:
        raise UserError(f"train.deterministic is true, but XLA_FLAGS has {NAME}={given[-1]}: needs one of the two")
    if given:
        return
    platform = _started()
    if platform in ("gpu", "cuda", "rocm"):
        raise UserError(
            f"train.deterministic is true, but JAX has begun to use the GPU without it: needs XLA_FLAGS={FLAG} in the "
            f"environment, or foodjax.train before anything else of JAX"
        )
    if not platform:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}".strip()


def _started() -> str:
    """Returns the platform of JAX's backend, or "" before it has started."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    if bridge is None or not bridge.backends_are_initialized():
        return ""
    return sys.modules["jax"].default_backend()


def sentence(platform: str, devices: int) -> str:
    """Returns what train.deterministic does here, and what it does not cover.

    Args:
        platform: of JAX's devices, such as "gpu".
        devices: their number.
    """
    if platform == "cpu":
        return "train.deterministic changes nothing on a CPU: with as many cores a run has the same bits anyway"
    if platform != "gpu":
        return f"train.deterministic changes nothing on a {platform}, of which foodjax knows nothing in this respect"
    others = "" if devices == 1 else f"; the sums over {devices} GPUs are NCCL's, which promises no order"
    return (
        "train.deterministic: kernels with a fixed order of sums, chosen without timing. Another GPU, number of "
        f"devices, driver or version of a package may give other bits{others}"
    )
