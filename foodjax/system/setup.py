"""Settings of the process that suit foodjax: compiled programs are kept, libraries log little, TensorFlow gets no GPU.

They are global, so neither an import nor any other call of foodjax makes them. The command line calls `setup` first.
A notebook that wants the same calls it once, best before it imports JAX or TensorFlow:

    import foodjax

    foodjax.setup()
    predictor = foodjax.Predictor("runs/food10")
"""

import contextlib
import logging
import os
import sys
import threading
import warnings
from typing import Any

from foodjax.system.files import is_home_known, user_cache

_called = threading.Event()

# TensorFlow does no mathematics here, and announces oneDNN on every start.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}

# After a failed read of a checkpoint orbax raises the first error. The others appear later, whenever the garbage
# collector runs: as unraisable errors, in asyncio's log, and as warnings of coroutines that were never awaited.
_LATE_ERRORS = ("Event loop is closed", "TensorStore", "tensorstore_spec")


def setup() -> None:
    """Applies the settings below to this process. A second call does no harm.

    Environment variables and settings of JAX that have a value of the user's own keep it.

    - JAX: compiled programs that took 0.05 s or more are kept in foodjax/compiled of the user's cache folder, so that
      the next start takes seconds. On a CPU a step begins when the one before has ended: with both on their way, each
      with its buffers (620 MiB then), the tutorial took 3.6 GiB instead of 2.2 and was no faster.
      This has an effect only before JAX computes anything.
    - Keras: where the user has no home, its settings are in the cache folder too; it would make a folder named "~".
    - TensorFlow: foodjax hides the GPUs from it before it uses it, so that JAX has their memory. Errors alone are
      logged and oneDNN is off, where TensorFlow is imported afterwards.
    - Logs: absl's logger (used by orbax and TensorFlow Datasets) and Pillow's show critical messages only: what
      they log as an error is raised as well. matplotlib's shows errors: it works in a home that cannot be written too.
    - Warnings: Pillow's are ignored, and matplotlib's about characters that its font lacks: pages show them.
    - The late errors of a failed read of a checkpoint are dropped: `sys.unraisablehook`, asyncio's log and the
      warning "coroutine ... was never awaited".

    Example:
        >>> import foodjax
        >>> foodjax.setup()
        >>> import logging
        >>> logging.getLevelName(logging.getLogger("PIL").level)
        'CRITICAL'
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not is_home_known():
        os.environ.setdefault("KERAS_HOME", str(user_cache() / "keras"))
    _set_up_jax()
    import absl.logging  # noqa: F401, makes the logger: one that is there before would stay without absl's methods

    for name in ("absl", "PIL"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    logging.getLogger("asyncio").addFilter(_is_no_late_record)
    warnings.filterwarnings("ignore", "coroutine '.*' was never awaited", RuntimeWarning)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
    if not _called.is_set():
        _drop_late_unraisables()
    _called.set()
    leave_gpus_to_jax()


def leave_gpus_to_jax() -> None:
    """Hides the GPUs from TensorFlow, where it is imported and `setup` was called; otherwise changes nothing.

    Whoever uses TensorFlow calls this before its first operation: afterwards TensorFlow has the memory already.
    """
    tensorflow = sys.modules.get("tensorflow")
    if _called.is_set() and tensorflow is not None:
        with contextlib.suppress(RuntimeError):  # it has run an operation
            tensorflow.config.set_visible_devices([], "GPU")


def _set_up_jax() -> None:
    import jax

    for name, default, ours in (
        ("jax_compilation_cache_dir", None, str(user_cache() / "compiled")),
        ("jax_persistent_cache_min_compile_time_secs", 1.0, 0.05),
        ("jax_cpu_enable_async_dispatch", True, False),
    ):
        if jax.config.values[name] == default:  # another value is the user's
            jax.config.update(name, ours)


def _drop_late_unraisables() -> None:
    others = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not _is_late(unraisable.exc_value):
            others(unraisable)

    sys.unraisablehook = hook


def _is_no_late_record(record: logging.LogRecord) -> bool:
    return not (record.exc_info and _is_late(record.exc_info[1]))


def _is_late(error: BaseException | None) -> bool:
    return any(words in str(error) for words in _LATE_ERRORS)
